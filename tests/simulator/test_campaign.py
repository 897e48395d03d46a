"""A campaign answers for any moment, the same way whoever asks for what in which order."""

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pearl_exporter.simulator import CallQuery, Campaign, Incident
from pearl_exporter.simulator.call_generator import horizon_ms
from pearl_exporter.simulator.call_life import NEVER, CallLife
from tests.simulator.worlds import CALM, HOUR, MINUTE, NOW, ODD, a_campaign

WORLD = a_campaign(**ODD)
START = WORLD.start_ms
moments = st.integers(START - MINUTE, NOW + 10 * MINUTE)
ranges = st.tuples(moments, moments)
codes = st.frozensets(
    st.sampled_from((1, 10, 20, 30, 40, 70, 100, 110, 150, 220, 300, 500, 777)), min_size=1
)


def everything(**changes):
    return replace(CallQuery(from_ms=0, to_ms=NEVER, limit=1 << 40, ascending=True), **changes)


def ids(campaign: Campaign, calls):
    return [campaign.row_writer.call_id(call) for call in calls]


def shown(campaign: Campaign, search: CallQuery, at_ms: int):
    page = campaign.page(search, at_ms)
    return page.count, [campaign.row(call, at_ms) for call in page.calls]


# The same seed, the same rows


def test_rows_do_not_depend_on_what_was_asked_before():
    straight, crooked = a_campaign(**ODD), a_campaign(**ODD)
    for at in (NOW - 3 * HOUR, NOW, START + 5, NOW - HOUR, NOW + MINUTE):
        crooked.count(at - HOUR, at, at)
        crooked.page(CallQuery(from_ms=START, to_ms=at, statuses=frozenset({1})), at)
    straight.advance(NOW + 2 * HOUR)
    for at in (START + HOUR, NOW - 7, NOW):
        assert straight.rows(START, at, at) == crooked.rows(START, at, at)


def test_another_seed_and_another_outbound_give_other_rows():
    rows = [
        campaign.rows(START, NOW, NOW)
        for campaign in (a_campaign(), a_campaign(seed=1), a_campaign(place=2))
    ]
    names = [{row["id"] for row in each} for each in rows]
    assert not names[0] & names[1]
    assert not names[0] & names[2]


def test_ids_are_24_hex_digits_and_distinct():
    names = [row["id"] for row in WORLD.rows(START, NOW, NOW)]
    assert len(set(names)) == len(names) > 1000
    assert all(len(name) == 24 and int(name, 16) for name in names)


def test_plain_times_are_all_of_one_form():
    times = {row["startTime"][19::4] for row in a_campaign(plain_times=True).rows(START, NOW, NOW)}
    assert times == {".Z"}


def test_without_tags_no_call_is_tagged():
    rows = a_campaign(tags=()).rows(START, NOW, NOW)
    assert not any(row["tags"] for row in rows)


# The life of a call


def life(campaign: Campaign, call: CallLife):
    """Return the rows of a call, without repetitions, from before its start to its last event."""
    stops = [call.appear, call.queued, call.talk, call.end, call.written, call.tagged]
    stops += [call.late_change.at_ms] if call.late_change else []
    stops += [call.deleted] if call.deleted != NEVER else []
    moments = sorted({call.start - 1, *(at for at in stops if at >= call.start)})
    rows = [campaign.row_at(call, at) for at in moments]
    return [row for before, row in pairwise([..., *rows]) if row != before]


def test_an_answered_call_goes_through_the_queue_to_its_outcome():
    calm = a_campaign(**CALM)
    call = next(
        c for c in calm.calls(START, NOW) if c.outcome == 100 and c.tags and not c.early_cancel
    )
    states = [
        row and (row["conversationStatus"], row["status"], row["duration"] > 0, bool(row["tags"]))
        for row in life(calm, call)
    ]
    assert states == [
        None,
        (1, 3, False, False),
        (20, 3, False, False),
        (40, 3, False, False),
        (40, 4, True, False),
        (100, 4, True, True),
    ]
    last = calm.row(call, NEVER)
    assert last["duration"] == (call.end - call.talk) // 1000
    assert 2_000 <= call.written - call.end <= 90_000


def test_an_unanswered_call_has_no_duration():
    calm = a_campaign(**CALM)
    unanswered = [c for c in calm.calls(START, NOW) if c.outcome in (10, 150)]
    assert len(unanswered) > 500
    for call in unanswered:
        rows = [row for row in life(calm, call) if row]
        assert {row["duration"] for row in rows} == {0}
        assert {row["conversationStatus"] for row in rows} == {1, 20, call.outcome}
        assert call.call_status in (5, 7)


def test_tags_are_null_until_they_are_written():
    for call in WORLD.calls(START, NOW):
        assert WORLD.row(call, call.tagged - 1)["tags"] is None


def test_a_call_keeps_its_identity_through_its_life():
    for call in WORLD.calls(START, START + 2 * HOUR):
        rows = [row for row in life(WORLD, call) if row]
        faces = {(row["id"], row["startTime"], row["from"], row["to"]) for row in rows}
        assert len(faces) <= 1


def test_nothing_changes_after_the_last_event():
    horizon = horizon_ms(WORLD.profile)
    for call in WORLD.calls(START, NOW):
        last = call.last_event()
        assert call.start <= call.appear <= call.start + horizon
        assert last <= call.start + horizon
        assert WORLD.row_at(call, last) == WORLD.row_at(call, last + 10 * horizon)
        assert call.deleted > call.appear
        assert WORLD.row_at(call, call.appear - 1) is None is not WORLD.row_at(call, call.appear)


def test_all_oddities_happen_and_none_in_a_calm_campaign():
    def oddities(campaign):
        calls = campaign.calls(START, NOW)
        lives = [[row for row in life(campaign, call) if row] for call in calls]
        finals = [rows[-1] for rows in lives if rows]
        return {
            "late": any(call.appear > call.start for call in calls),
            "revised": any(call.late_change for call in calls),
            "deleted": any(call.deleted != NEVER for call in calls),
            "code": any(row["conversationStatus"] == 777 for row in finals),
            "state": any(row["status"] == 12 for row in finals),
            "null from": any(row["from"] is None for row in finals),
            "null to": any(row["to"] is None for row in finals),
        }

    assert set(oddities(WORLD).values()) == {True}
    assert set(oddities(a_campaign(**CALM)).values()) == {False}


def test_without_a_success_definition_calls_end_complete():
    rows = a_campaign(success_definition=False, **CALM).rows(START, NOW - HOUR, NOW)
    seen = Counter(row["conversationStatus"] for row in rows)
    assert seen[130] > 300
    assert not seen[100] + seen[110]


def test_a_lead_is_tried_up_to_five_times_hours_apart():
    tries = defaultdict(list)
    for call in a_campaign(hours=40).calls(NOW - 40 * HOUR, NOW):
        tries[call.lead].append(call.start)
    assert Counter(map(len, tries.values())).keys() == {1, 2, 3, 4, 5}
    gaps = [later - start for starts in tries.values() for start, later in pairwise(starts)]
    assert min(gaps) > HOUR


def test_every_lead_that_was_not_reached_is_tried_again():
    campaign = a_campaign(hours=30, **CALM)
    calls = campaign.calls(NOW - 30 * HOUR, NOW)
    tries = Counter(call.lead for call in calls)
    missed = [c for c in calls if c.outcome in (10, 70, 300) and c.start < NOW - 25 * HOUR]
    assert len(missed) > 200
    assert all(tries[call.lead] > 1 for call in missed)


def test_nobody_is_called_again_at_night():
    office_hours = (0.0,) * 8 + (1.0,) * 10 + (0.0,) * 6
    office = Campaign(replace(WORLD.profile, hours=office_hours), start_ms=NOW - 76 * HOUR)
    calls = office.calls(office.start_ms, NOW)
    assert {call.start // HOUR % 24 for call in calls} == set(range(8, 18))
    first = {}
    for call in reversed(calls):
        first[call.lead] = call.start
    evenings = [call for call in calls if first[call.lead] // HOUR % 24 == 17]
    again = [call for call in evenings if call.start > first[call.lead]]
    assert len(again) > 50


def test_every_spelling_of_the_start_time_means_the_start():
    spelled = Counter()
    for call in WORLD.calls(START, NOW):
        text = WORLD.row(call, NOW)["startTime"]
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        assert int(moment.replace(microsecond=0).timestamp()) == call.start // 1000
        assert moment.microsecond // 1000 == call.start % 1000
        digits = len(text.rstrip("Z").partition("+")[0].partition(".")[2])
        spelled[digits, text[-1] == "Z", "+" in text] += 1
    usual = (3, True, False)
    assert spelled.keys() == {usual, (3, False, True), (3, False, False)} | {
        (digits, True, False) for digits in (0, 1, 2, 6, 7)
    }
    assert spelled[usual] > 0.7 * spelled.total()


def test_numbers_are_of_the_ranges_kept_free_for_fiction():
    for row in WORLD.rows(START, NOW, NOW):
        for number in (row["from"], row["to"]):
            assert (
                number in (None, "55501")
                or (number[:2] == "+1" and number[5:10] == "55501" and len(number) == 12)
                or (number[:10] == "+447700900" and len(number) == 13)
            )


def test_the_volume_is_that_of_the_profile():
    assert a_campaign(hours=24).count(NOW - 24 * HOUR, NOW, NOW) == pytest.approx(4320, rel=0.06)


def test_the_volume_follows_the_hour_and_the_weekday():
    mornings = (0.0,) * 6 + (1.0,) * 6 + (0.0,) * 12
    weekend = Campaign(
        replace(WORLD.profile, hours=mornings, weekdays=(0, 0, 0, 0, 0, 1, 1), max_tries=1),
        start_ms=NOW - 60 * HOUR,  # from the midnight before Friday
    )
    day = NOW - 12 * HOUR
    mornings_calls = [len(weekend.calls(day + at * HOUR, day + (at + 6) * HOUR)) for at in (-48, 6)]
    assert mornings_calls == [0, len(weekend.calls(day, NOW))]
    assert mornings_calls[1] > 1000


# Every question against brute force


@settings(max_examples=200, deadline=None)
@given(ranges, moments)
def test_the_count_is_the_number_of_rows(span, at):
    assert WORLD.count(*span, at) == len(WORLD.rows(*span, at))


@settings(max_examples=200, deadline=None)
@given(ranges, moments, st.integers(0, 1500), st.integers(0, 300), st.booleans(), st.none() | codes)
def test_a_page_is_its_part_of_all_matching_rows(span, at, skip, limit, ascending, statuses):
    rows = WORLD.rows(*span, at)
    rows = [row for row in rows if statuses is None or row["conversationStatus"] in statuses]
    search = CallQuery(
        from_ms=span[0],
        to_ms=span[1],
        skip=skip,
        limit=limit,
        ascending=ascending,
        statuses=statuses,
    )
    ordered = rows if ascending else rows[::-1]
    assert shown(WORLD, search, at) == (len(rows), ordered[skip : skip + limit])


@pytest.mark.parametrize("ascending", [True, False])
def test_a_small_page_among_calls_that_are_still_open(ascending):
    statuses = frozenset({10, 100, 110, 150})
    for at in range(START + HOUR, NOW, 7 * MINUTE):
        rows = WORLD.rows(at - 5 * MINUTE, at, at)
        rows = [row for row in rows if row["conversationStatus"] in statuses]
        search = CallQuery(
            from_ms=at - 5 * MINUTE, to_ms=at, limit=1, ascending=ascending, statuses=statuses
        )
        wanted = rows[:1] if ascending else rows[:-2:-1]
        assert shown(WORLD, search, at) == (len(rows), wanted)


@settings(max_examples=30, deadline=None)
@given(moments, codes, st.sampled_from(("interested", "要回电", "no such tag")))
def test_a_filter_by_row_is_the_same_filter(at, statuses, tag):
    def matches(row):
        return tag in (row["tags"] or ())

    rows = [
        row
        for row in WORLD.rows(START, at, at)
        if row["conversationStatus"] in statuses and matches(row)
    ]
    search = everything(statuses=statuses, matches=matches)
    assert shown(WORLD, replace(search, to_ms=at), at) == (len(rows), rows)


@settings(max_examples=20, deadline=None)
@given(moments, st.integers(7, 400), st.booleans())
def test_paging_by_skip_gives_every_row_once_and_in_order(at, limit, ascending):
    search = CallQuery(from_ms=START, to_ms=at, limit=limit, ascending=ascending)
    rows, count = [], 1
    while len(rows) < count:
        count, page = shown(WORLD, replace(search, skip=len(rows)), at)
        rows += page
        assert page or not count
    whole = WORLD.rows(START, at, at)
    assert rows == (whole if ascending else whole[::-1])


def test_rows_are_in_the_order_of_their_starts():
    starts = [call.start for call in WORLD.calls(START, NOW)]
    assert starts == sorted(starts)


def test_both_ends_of_a_range_belong_to_it():
    call = next(c for c in WORLD.calls(START, NOW) if WORLD.visible(c, NOW))
    rows = WORLD.rows(call.start, call.start, NOW)
    assert WORLD.row(call, NOW) in rows
    assert WORLD.count(call.start, call.start, NOW) == len(rows)


def test_what_lies_in_the_future_is_not_served():
    assert WORLD.count(NOW + 1, NOW + HOUR, NOW) == 0
    assert WORLD.page(CallQuery(from_ms=NOW + 1, to_ms=NOW + HOUR), NOW).calls == []


# Incidents


def spike(kind="error", share=1.0):
    return Incident(kind=kind, start_ms=NOW, end_ms=NOW + 10 * MINUTE, share=share)


@pytest.mark.parametrize(("kind", "outcome"), [("error", 500), ("unreachable", 150)])
def test_an_incident_ends_the_calls_that_start_in_it(kind, outcome):
    hit = a_campaign(**CALM)
    hit.add_incident(spike(kind), NOW - MINUTE)
    calls = hit.calls(NOW, NOW + 10 * MINUTE - 1)
    rows = [hit.row(call, NEVER) for call in calls]
    assert {(row["conversationStatus"], row["duration"]) for row in rows} == {(outcome, 0)}
    states = Counter(row["status"] for row in rows)
    assert states.most_common(1)[0][0] == (6 if kind == "error" else 7)


def test_an_incident_hits_its_share_and_nobody_else():
    plain, hit = (a_campaign(calls_a_day=400_000.0, hours=1, **CALM) for _ in range(2))
    hit.add_incident(spike(share=0.5), NOW)
    pairs = zip(
        plain.rows(NOW - HOUR, NOW + HOUR, NOW + HOUR),
        hit.rows(NOW - HOUR, NOW + HOUR, NOW + HOUR),
        strict=True,
    )
    changed = [hit_row["id"] for row, hit_row in pairs if row != hit_row]
    inside = ids(hit, hit.calls(NOW, NOW + 10 * MINUTE - 1))
    assert set(changed) <= set(inside)
    assert len(changed) / len(inside) == pytest.approx(0.5, abs=0.05)


def test_an_incident_leaves_alone_what_has_started_already():
    plain, late = a_campaign(**ODD), a_campaign(**ODD)
    now = NOW + 3 * MINUTE + 17
    late.add_incident(spike(), now)
    before = plain.rows(START, now, now + HOUR)
    assert late.rows(START, now, now + HOUR) == before
    struck = late.calls(now + 1, NOW + 10 * MINUTE - 1)
    assert {late.row(call, NEVER)["conversationStatus"] for call in struck} == {500}
    assert all(late.visible(call, NEVER - 1) for call in struck)


def test_an_incident_spans_its_first_moment_and_not_its_last():
    hit = a_campaign(**CALM)
    first, *_, last = (call.start for call in a_campaign(**CALM).calls(NOW, NOW + 10 * MINUTE))
    hit.add_incident(Incident(kind="error", start_ms=first, end_ms=last, share=1.0), NOW)
    assert [call.outcome for call in hit.calls(first, first)] == [500]
    assert [call.outcome for call in hit.calls(last, last)] == [
        call.outcome for call in a_campaign(**CALM).calls(last, last)
    ]


def test_an_incident_hits_calls_made_before_and_after_it():
    eager, lazy = a_campaign(**ODD), a_campaign(**ODD)
    eager.advance(NOW + HOUR)
    for campaign in (eager, lazy):
        campaign.add_incident(spike(share=0.5), NOW + MINUTE + 1)
        campaign.add_incident(spike("unreachable", 0.5), NOW + 2 * MINUTE)
    for at in (NOW + MINUTE, NOW + 7 * MINUTE, NOW + 2 * HOUR):
        for search in (everything(to_ms=at), everything(to_ms=at, statuses=frozenset({500, 150}))):
            assert shown(eager, search, at) == shown(lazy, search, at)
            assert len(shown(eager, search, at)[1]) == eager.page(search, at).count


def test_an_incident_that_is_over_changes_nothing():
    late = a_campaign()
    late.add_incident(spike(), NOW + HOUR)
    assert late.incidents == []


# Rows taken away and brought back from outside


def test_a_removed_row_is_gone_until_it_is_brought_back():
    campaign = a_campaign(**ODD)
    call = next(c for c in campaign.calls(NOW - HOUR, NOW) if c.visible_at(NOW))
    campaign.remove(call, NOW - MINUTE)
    campaign.bring_back(call, NOW)
    for at in (NOW - MINUTE - 1, NOW - MINUTE, NOW - 1, NOW):
        there = not NOW - MINUTE <= at < NOW
        rows = campaign.rows(START, at, at)
        assert (campaign.row(call, at) in rows) is there
        assert shown(campaign, everything(to_ms=at), at) == (len(rows), rows)
        assert campaign.count(START, at, at) == len(rows)
        statuses = frozenset({call.status_at(at)})
        with_status = [row for row in rows if row["conversationStatus"] in statuses]
        search = everything(to_ms=at, statuses=statuses)
        assert shown(campaign, search, at) == (len(with_status), with_status)


def test_a_deleted_row_can_be_brought_back():
    campaign = a_campaign(**ODD)
    gone = next(c for c in campaign.calls(START, NOW) if c.deleted < NOW)
    before = campaign.count(START, NOW, NOW)
    campaign.bring_back(gone, NOW)
    assert campaign.count(START, NOW, NOW) == before + 1
    assert campaign.row(gone, NOW) in shown(campaign, everything(to_ms=NOW), NOW)[1]


# Bad descriptions


@pytest.mark.parametrize(
    "changes",
    [{"answer_share": 1.5}, {"hours": (1.0,)}, {"weekdays": (0.0,) * 7}, {"deleted_share": -0.1}],
)
def test_a_profile_that_cannot_be_is_refused(changes):
    with pytest.raises(ValueError, match="Profile"):
        replace(WORLD.profile, **changes)


@pytest.mark.parametrize(
    "changes", [{"kind": "flood"}, {"end_ms": NOW}, {"share": 2.0}, {"share": -0.5}]
)
def test_an_incident_that_cannot_be_is_refused(changes):
    with pytest.raises(ValueError, match="Incident"):
        replace(spike(), **changes)
