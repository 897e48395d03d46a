"""Which listed outbounds are polled, under which label: tables, and what holds for any list."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearl_exporter.api.decode_platform import ListedOutbound, Listing
from pearl_exporter.config.settings import OutboundEntry
from pearl_exporter.discovery.selection import (
    MAX_MISSES,
    KnownOutbound,
    Polled,
    Selection,
    SelectionRules,
    merge,
    select,
    shown_name,
)
from pearl_exporter.patterns import Pattern

NOBODY = Polled({})


def rules(include: str = ".*", exclude: str = "", **more) -> SelectionRules:
    patterns = [Pattern(text) for text in (include, exclude)]
    return SelectionRules(*patterns, **more)


def polled(known: list[KnownOutbound], by: SelectionRules, now: Polled = NOBODY) -> dict[str, str]:
    """Labels by id of those that are polled."""
    choices = select(known, by, now)
    return {each.outbound.id: each.label for each in choices if each.selection is Selection.POLLED}


def verdicts(
    known: list[KnownOutbound], by: SelectionRules, now: Polled = NOBODY
) -> dict[str, str]:
    return {each.outbound.id: each.selection.value for each in select(known, by, now)}


SPRING, TEST, NAMELESS = (
    KnownOutbound("a1", "spring", 1),
    KnownOutbound("b2", "spring test", 1),
    KnownOutbound("c3", "", 1),
)


@pytest.mark.parametrize(
    ("include", "exclude", "chosen"),
    [
        (".*", "", "a1 b2 c3"),
        ("spring", "", "a1"),
        ("spring.*", "", "a1 b2"),
        ("spring.*", ".*test", "a1"),
        ("a1|c3", "", "a1 c3"),
        (".*", "a1", "b2 c3"),
        (".*", "spring", "b2 c3"),
        (".*", ".*", ""),
        ("pring", "", ""),
        ("", "", "c3"),
        ("SPRING", "", ""),
        ("(?i)SPRING", "", "a1"),
    ],
)
def test_whole_names_or_whole_ids_are_matched(include, exclude, chosen):
    known = [SPRING, TEST, NAMELESS]
    assert set(polled(known, rules(include, exclude))) == set(chosen.split())


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("spring", "spring"),
        ("  spring ", "spring"),
        ("Frühling 🌷", "Frühling 🌷"),
        ("campaign 2026-11-23", "campaign 2026-11-23"),
        ("x" * 128, "x" * 128),
        ("x" * 129, ""),
        ("", ""),
        (None, ""),
        ("   ", ""),
        ("line\nbreak", ""),
        ("bell\a", ""),
        ("a`b", ""),
        ("""Win "VIP" \\ Mother's""", """Win "VIP" \\ Mother's"""),
        ("\ud800", ""),
        ("call +49 151 23456789", ""),
        ("0151/2345678", ""),
        ("max@example.org", ""),
    ],
)
def test_a_name_that_is_no_label_or_personal_is_not_shown(name, shown):
    assert shown_name(KnownOutbound("a1", name)) == shown


@pytest.mark.parametrize(
    ("known", "configured", "labels"),
    [
        ([KnownOutbound("a1", "x"), KnownOutbound("b2", "y")], {}, {"a1": "x", "b2": "y"}),
        ([KnownOutbound("a1", "x"), KnownOutbound("b2", "x")], {}, {"a1": "x", "b2": "b2"}),
        ([KnownOutbound("b2", "x"), KnownOutbound("a1", "x")], {}, {"a1": "x", "b2": "b2"}),
        ([KnownOutbound("a1", ""), KnownOutbound("b2", None)], {}, {"a1": "a1", "b2": "b2"}),
        ([KnownOutbound("a1", "mine")], {"z9": "mine"}, {"a1": "a1"}),
        ([KnownOutbound("a1", "z9")], {"z9": "mine"}, {"a1": "a1"}),
        ([KnownOutbound("a1", "b2"), KnownOutbound("b2", "y")], {}, {"a1": "a1", "b2": "y"}),
        ([KnownOutbound("a1", "a1")], {}, {"a1": "a1"}),
        ([KnownOutbound("a1", "x")], {"z9": "a1"}, {"a1": "x"}),
        ([KnownOutbound("a1", "")], {"z9": "a1"}, {"a1": "a1-2"}),
        ([KnownOutbound("a1", "x"), KnownOutbound("z9", "y")], {"z9": "x"}, {"a1": "a1"}),
        ([KnownOutbound("a1", "+49 151 23456789")], {}, {"a1": "a1"}),
    ],
)
def test_labels_are_unique_and_do_not_depend_on_the_order(known, configured, labels):
    assert polled(known, rules(), Polled(configured)) == labels
    assert polled(known[::-1], rules(), Polled(configured)) == labels


def test_a_configured_outbound_wins():
    choices = select([SPRING, TEST], rules(exclude="a1"), Polled({"a1": "mine"}))
    assert [(each.label, each.selection) for each in choices] == [
        ("mine", Selection.CONFIGURED),
        ("spring test", Selection.POLLED),
    ]


@pytest.mark.parametrize("status", [2, 3])
def test_a_paused_outbound_is_skipped_once_its_calls_settled(status):
    """If the rules say so."""
    known = [KnownOutbound("a1", "spring", status)]
    assert verdicts(known, rules()) == {"a1": "polled"}
    skips = rules(skips_paused=True)
    assert verdicts(known, skips) == {"a1": "paused"}
    assert verdicts(known, skips, Polled({}, {"a1"})) == {"a1": "polled"}


@pytest.mark.parametrize("status", [1, 10, 77, None])
def test_no_other_status_is_paused(status):
    known = [KnownOutbound("a1", "spring", status)]
    assert verdicts(known, rules(skips_paused=True)) == {"a1": "polled"}


def test_paused_outbounds_do_not_count_for_the_maximum():
    known = [
        KnownOutbound("a1", "x", 2),
        KnownOutbound("b2", "y"),
        KnownOutbound("c3", "z"),
        KnownOutbound("d4", "w"),
    ]
    by = rules(skips_paused=True, max_outbounds=2)
    assert verdicts(known, by) == {
        "a1": "paused",
        "b2": "polled",
        "c3": "polled",
        "d4": "over_limit",
    }


def listing(*ids: str, **more) -> Listing:
    return Listing(tuple(ListedOutbound(each, f"name of {each}", 1) for each in ids), **more)


def ids(known) -> list[str]:
    return [each.id for each in known]


def test_an_outbound_vanishes_only_after_several_good_answers():
    known = merge((), listing("a", "b"), rules())
    for miss in range(1, MAX_MISSES):
        known = merge(known, listing("a"), rules())
        assert ids(known) == ["a", "b"]
        assert known[1].misses == miss
    assert ids(merge(known, listing("a"), rules())) == ["a"]


def test_an_outbound_that_is_listed_again_begins_again():
    known = merge((), listing("a", "b"), rules())
    for _ in range(MAX_MISSES - 1):
        known = merge(known, listing("a"), rules())
    known = merge(known, listing("a", "b"), rules())
    known = merge(known, listing("a"), rules())
    assert ids(known) == ["a", "b"]


def test_an_empty_answer_removes_nothing_at_once():
    known = merge((), listing("a", "b"), rules())
    assert ids(merge(known, listing(), rules())) == ["a", "b"]


def test_an_answer_that_is_not_whole_proves_nobody_gone():
    known = merge((), listing("a", "b"), rules())
    for _ in range(3 * MAX_MISSES):
        known = merge(known, listing("a", not_listed=2), rules())
    assert ids(known) == ["a", "b"]


def test_who_vanished_is_kept_if_wanted():
    known = merge((), listing("a"), rules())
    for _ in range(3 * MAX_MISSES):
        known = merge(known, listing(), rules(keeps_vanished=True))
    assert ids(known) == ["a"]
    assert ids(merge(known, listing(), rules())) == []


def test_a_name_that_is_missing_for_once_stays():
    known = merge((), listing("a"), rules())
    nameless = Listing((ListedOutbound("a", "", 2),))
    assert merge(known, nameless, rules()) == (KnownOutbound("a", "name of a", 2),)


def test_a_new_name_is_followed():
    known = merge((), listing("a"), rules())
    renamed = Listing((ListedOutbound("a", "new", 1),))
    assert merge(known, renamed, rules()) == (KnownOutbound("a", "new", 1),)


def test_an_outbound_from_before_a_restart_stays_selected():
    """Until its name is known."""
    restored = [KnownOutbound("a1", None)]
    assert set(polled(restored, rules("spring.*"))) == {"a1"}
    assert polled(restored, rules(exclude="a1")) == {}
    known = merge(restored, Listing((ListedOutbound("a1", "autumn", 1),)), rules())
    assert polled(list(known), rules("spring.*")) == {}


names = st.none() | st.text(max_size=12) | st.sampled_from(["x", "y", "a", "+4915123456789", "b-2"])
outbounds = st.dictionaries(st.sampled_from(["a", "b", "c", "d", "x", "a-2", "b-2"]), names)
configured = st.dictionaries(
    st.sampled_from(["a", "c", "q", "r"]), st.sampled_from(["x", "b", "a-2", "w", "b-3"])
).filter(lambda given: len(set(given.values())) == len(given))


@given(outbounds, configured)
def test_any_list_gives_valid_and_different_labels(listed, given_):
    # a configured name may be another outbound's id only if that one is not configured too
    known = [KnownOutbound(key, name) for key, name in listed.items()]
    found = polled(known, rules(), Polled(given_))
    assert found.keys() == listed.keys() - given_.keys()
    labels = [*found.values(), *given_.values()]
    assert len(set(labels)) == len(labels)
    for outbound_id, label in found.items():
        assert OutboundEntry(id=outbound_id, name=label).name == label
        assert "4915123456789" not in label
    assert polled(known[::-1], rules(), Polled(given_)) == found


@pytest.mark.parametrize("configured", [{}, {"x": "c" * 120}], ids=["none", "in the way"])
def test_many_ids_with_one_start_get_numbers_in_order(configured):
    ids = [f"{'c' * 120}{number:03d}" for number in range(500)]
    taken = {f"cfg-{number}": each for number, each in enumerate(ids)} | configured
    labels = polled([KnownOutbound(each, "same") for each in ids], rules(), Polled(taken))
    start = "c" * 120
    # the first has the name, all others would have their ids, which are taken
    assert [*labels.values()] == ["same", *(f"{start}-{number}" for number in range(2, 501))]
