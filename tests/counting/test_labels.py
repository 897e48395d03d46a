"""Which label values an outbound may have: codes and tags, first come, first served, for good."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearl_exporter.counting.labels import (
    MAX_FOLDED_REMEMBERED,
    MAX_REFUSED_REMEMBERED,
    MAX_TAG_LENGTH,
    OTHER,
    TagLabels,
    TagRules,
    call_status_labels,
    looks_personal,
    status_labels,
)
from pearl_exporter.patterns import Pattern

# --- codes


@pytest.mark.parametrize("make", [status_labels, call_status_labels])
def test_twenty_unknown_codes_have_labels_of_their_own(make):
    labels = make()
    own = [labels.of(code) for code in range(1000, 1020)]
    assert own == [f"unknown_{code}" for code in range(1000, 1020)]
    assert labels.of(1020) == "unknown"
    assert labels.of(2000) == "unknown"
    assert [labels.of(code) for code in range(1000, 1020)] == own
    assert labels.admitted == tuple(range(1000, 1020))


@pytest.mark.parametrize("make", [status_labels, call_status_labels])
def test_known_codes_and_null_take_no_room_from_the_unknown(make):
    labels = make()
    for code in (None, 1, 20, 100, 130, 500):
        labels.of(code)
    assert labels.admitted == ()
    assert labels.of(None) == "unknown"
    assert labels.of(0) == "unknown_0"
    assert labels.of(-5) == "unknown_-5"


def test_an_outcome_s_code_as_telephony_state_keeps_its_label():
    labels = call_status_labels()
    assert [labels.of(code) for code in (4, 8, 100, 500)] == [
        "completed",
        "canceled",
        "success",
        "error",
    ]
    assert labels.admitted == ()


def test_a_telephony_code_as_outcome_is_unknown():
    assert status_labels().of(4) == "unknown_4"


@pytest.mark.parametrize("make", [status_labels, call_status_labels])
def test_unknown_codes_keep_their_labels_over_a_restart(make):
    before = make()
    for code in range(1000, 1030):
        before.of(code)
    after = make(before.admitted)
    assert after.admitted == before.admitted
    assert [after.of(code) for code in (1019, 1020, 3000)] == ["unknown_1019", "unknown", "unknown"]


@given(st.lists(st.none() | st.integers()))
def test_a_code_has_the_same_label_whenever_it_is_asked_for(codes):
    labels = status_labels()
    first = [labels.of(code) for code in codes]
    assert [labels.of(code) for code in codes] == first
    assert len(labels.admitted) <= 20


# --- tags: room


def test_the_first_tags_have_the_room_and_keep_it():
    labels = TagLabels(TagRules(max_tags=2))
    assert labels.of(["a"]) == ("a",)
    assert labels.of(["b", "c"]) == ("b", OTHER)
    assert labels.of(["c", "a"]) == (OTHER, "a")
    assert labels.admitted == ("a", "b", OTHER)
    assert labels.folded == 1


def test_the_calls_folded_tags_are_one_other():
    labels = TagLabels(TagRules(max_tags=1))
    assert labels.of(["a", "b", "c", "+4915112345678", "a"]) == ("a", OTHER)
    assert labels.of(["b", "c"]) == (OTHER,)
    assert labels.of([]) == ()


def test_no_room_at_all_folds_every_tag():
    labels = TagLabels(TagRules(max_tags=0))
    assert labels.of(["a", "b"]) == (OTHER,)
    assert labels.folded == 2


def test_other_takes_no_room_even_as_a_customer_s_tag():
    labels = TagLabels(TagRules(max_tags=2))
    assert labels.of([OTHER, "me@example.com"]) == (OTHER,)
    assert labels.of(["a", "b"]) == ("a", "b")
    assert labels.of([OTHER]) == (OTHER,)
    assert labels.folded == 0
    full = TagLabels(TagRules(max_tags=0))
    assert full.of([OTHER]) == (OTHER,)
    assert full.folded == 0


def test_only_tags_that_found_no_room_count_as_folded_each_once():
    labels = TagLabels(TagRules(max_tags=1, exclude=Pattern("internal")))
    for tag in ("a", "b", "b", "c", "internal", "+49 30 123456", "x" * 129):
        labels.of([tag])
    assert labels.folded == 2


def test_what_is_remembered_of_folded_tags_is_bounded():
    labels = TagLabels(TagRules(max_tags=0))
    for number in range(MAX_FOLDED_REMEMBERED + 5):
        labels.of([f"tag {number}"])
    assert labels.folded == MAX_FOLDED_REMEMBERED


def test_whether_a_tag_is_admitted_is_found_out_once(monkeypatch):
    """That takes 10 µs, and rows of a busy outbound bring the same tags again and again."""
    looked_at = []
    monkeypatch.setattr(
        "pearl_exporter.counting.labels.looks_personal",
        lambda tag: looked_at.append(tag) or "@" in tag,
    )
    labels = TagLabels(TagRules(max_tags=1))
    tags = ["a", "b", "me@example.com"]
    for _ in range(3):
        assert labels.of(tags) == ("a", OTHER)
    assert looked_at == tags


def test_what_is_remembered_of_refused_tags_is_bounded():
    labels = TagLabels(TagRules())
    for number in range(MAX_REFUSED_REMEMBERED + 5):
        assert labels.of([f"me{number}@example.com"]) == (OTHER,)
    assert len(labels._refused) == MAX_REFUSED_REMEMBERED
    assert labels.of(["me1@example.com", "you@example.com", "fine"]) == (OTHER, "fine")


def test_labels_outlast_a_restart_with_stricter_rules():
    before = TagLabels(TagRules(max_tags=3))
    before.of(["a", "b", "c", "d"])
    after = TagLabels(TagRules(max_tags=1, exclude=Pattern("b")), before.admitted)
    assert after.admitted == ("a", "b", "c", OTHER)
    assert after.of(["c", "b", "d", "e"]) == ("c", "b", OTHER)


def test_a_folded_tag_is_nowhere_kept():
    labels = TagLabels(TagRules(max_tags=1))
    labels.of(["a", "secret plan", "jo@example.com"])
    assert labels.admitted == ("a", OTHER)
    assert "secret" not in repr(vars(labels))
    assert "jo@" not in repr(vars(labels))


@given(st.lists(st.lists(st.text(min_size=1, max_size=4), max_size=4)), st.integers(0, 5))
def test_a_tag_has_the_same_label_whenever_it_comes(calls, max_tags):
    labels = TagLabels(TagRules(max_tags=max_tags))
    first = [labels.of(tags) for tags in calls]
    assert [labels.of(tags) for tags in calls] == first
    own = [label for label in labels.admitted if label != OTHER]
    assert len(own) <= max_tags
    for tags, given_labels in zip(calls, first, strict=True):
        assert set(given_labels) <= {*tags, OTHER}
        assert len(set(given_labels)) == len(given_labels)
        assert bool(given_labels) == bool(tags)


# --- tags: rules


@pytest.mark.parametrize(
    ("include", "exclude", "tag", "label"),
    [
        (".*", "", "anything", "anything"),
        ("camp-.*", "", "camp-1", "camp-1"),
        ("camp-.*", "", "my camp-1", OTHER),  # the whole tag, not a part of it
        ("camp", "", "camp-1", OTHER),
        ("a|b", "", "ab", OTHER),
        (".*", "internal", "internal", OTHER),
        (".*", "internal", "internals", "internals"),
        (".*", "int.*", "internals", OTHER),
        ("camp-.*", "camp-9", "camp-9", OTHER),
        ("camp-.*", "camp-9", "camp-8", "camp-8"),
        ("(?i)vip", "", "VIP", "VIP"),
        ("", "", "anything", OTHER),
        (".*", "", "two\nlines", "two\nlines"),
    ],
)
def test_include_and_exclude_judge_the_whole_tag(include, exclude, tag, label):
    rules = TagRules(include=Pattern(include), exclude=Pattern(exclude))
    assert TagLabels(rules).of([tag]) == (label,)


@pytest.mark.parametrize(
    ("tag", "label"),
    [
        ("x" * MAX_TAG_LENGTH, "x" * MAX_TAG_LENGTH),
        ("x" * (MAX_TAG_LENGTH + 1), OTHER),
        ("日" * MAX_TAG_LENGTH, "日" * MAX_TAG_LENGTH),  # characters, not bytes
        ("x" * 100_000, OTHER),
        ("\ud800", OTHER),
        ("ok\udc80", OTHER),
        ("😀", "😀"),
        ('quo"te\\', 'quo"te\\'),
        ("Müller & Söhne", "Müller & Söhne"),
        ("e\u0301", "e\u0301"),
        ("\x00", "\x00"),
    ],
)
def test_too_long_a_tag_and_one_of_invalid_unicode_are_folded(tag, label):
    assert TagLabels(TagRules()).of([tag]) == (label,)


PERSONAL = [
    "cb 06,12,34,56,78",
    "555,010,1234",
    "555:010:1234",
    "+1;555;010;1234",
    "tel 0172=123=4567",
    "555#0101#234",
    "555'010'1234",
    r"555\010\1234",
    "555 - - 010 - - 1234",
    "+4915112345678",
    "+49 151 12345678",
    "+49 (0)151 / 123 45 67",
    "+49 (0) 151 - 234 567",
    "0151-12345678",
    "0151/12345678",
    "0151 12 34 56 78",
    "(030) 123 45 67",
    "(030) - 123456",
    "030.123.4567",
    "(555) 123-4567",
    "+1-555-123-4567",
    "1 (800) 555 0100",
    "555 0100 1",
    "00491511234567",
    "01 23 45 67 89",
    "0151\u00a01234567",
    "0151\u202f123\u202f4567",
    "0151\u20131234\u2013567",  # en dashes
    "0151\u2011123\u20114567",  # hyphens that don't break
    "0151\u2212123\u22124567",  # minus signs
    "0151\u2014123\u20144567",
    "0151_123_45_67",
    "0151·123·45·67",
    "0151•123•45•67",
    "0151|123|45|67",
    "0151*123*45*67",
    "0151~123~45~67",
    "[0151] 123 4 567",
    "\u202a+49 151 234 567\u202c",
    "015\u200b112\u200b345\u200b67",  # spaces of no width
    "015\u00ad112\u00ad345",
    "0\ufeff1\ufeff5\ufeff1\ufeff2\ufeff3\ufeff4",
    "call back 015112345678 please",
    "Tel.:015112345678",
    "tel:+15551234567",
    "whatsapp+15551234567",
    "x015112345678x",
    "1234567",
    "１２３４５６７",
    "٠١٥١١٢٣٤٥٦٧",
    "०१५११२३४५६७",
    "①⑤①①②③④⑤",
    "0151 2026-11-23 456 78 90",
    "+49 2026 11 23",
    "4915 2026-11-234567",
    "20251130",  # as good a Danish number as a date
    "20 25 11 30",
    "2026112309",
    "2026-11-23-4567",
    "030-12-11-2026",
    "+12-11-2026",
    "0️⃣1️⃣5️⃣1️⃣1️⃣2️⃣3️⃣4️⃣",
    "jo@example.com",
    "Jo Doe <jo.doe+x@mail.example.co.uk>",
    "mailto:jo@example.com",
    "jo＠example．com",
    "jo@münchen.de",
    "用户@例子.公司",
    "JO@EXAMPLE.COM",
]

HARMLESS = [
    "10,000 to 1,000,000",
    "",
    "renewal",
    "vip 2026",
    "2026",
    "2025/2026",
    "2025-2026",
    "2025 - 2026",
    "2025–2026",
    "2026-11",
    "2026-11-23",
    "2026/11/23",
    "2026.11.23",
    "23.11.2026",
    "3.1.2026",
    "23. 11. 2026",
    "23/11/2026",
    "11/23/2026",
    "23-11-2026",
    "23.11.26",
    "2026-11-23T09:40:00Z",
    "2026-11-23 09:40",
    "23.11.2026 14:30 Uhr",
    "from 2026-11-01 to 2026-11-23",
    "2026-11-01 - 2026-11-23",
    "01.11.2026-23.11.2026",
    "callback 23.11.2026",
    "Q4 2026-11-23",
    "09:40:00",
    "7",
    "123456",
    "12 34 56",
    "+49 151",
    "112",
    "1.000 EUR",
    "1.000,00 EUR",
    "12.500 €",
    "$1,000,000",
    "100.000 EUR",
    "EUR 999.99",
    "5 - 10 days",
    "10115 Berlin",
    "batch 12, row 3456",
    "v1.2.3",
    "50%",
    "A/B 1 2 3",
    "@home",
    "jo @ home",
    "meet@noon",
    "a@b",
    "@example.com",
    "C3PO R2D2 7 of 9",
    "1 a 2 b 3 c 4 d 5 e 6 f 7 g",
]


@pytest.mark.parametrize("tag", PERSONAL, ids=ascii)
def test_phone_numbers_and_e_mail_addresses_are_folded(tag):
    assert looks_personal(tag)
    assert TagLabels(TagRules()).of([tag]) == (OTHER,)


@pytest.mark.parametrize("tag", HARMLESS, ids=ascii)
def test_dates_years_and_amounts_are_no_phone_numbers(tag):
    assert not looks_personal(tag)


@given(
    st.lists(st.sampled_from("0123456789"), min_size=7, max_size=15),
    st.sampled_from(["", " ", "-", ".", "/", " - ", "\u00a0", ") "]),
    st.text(alphabet="abcxyz äß:", max_size=10),
    st.text(alphabet="abcxyz äß:", max_size=10),
)
def test_seven_digits_are_a_phone_number_in_any_text(digits, separator, before, after):
    assert looks_personal(before + separator.join(digits) + after)


@given(st.text(alphabet="abc XYZ-./()+", max_size=40))
def test_a_tag_without_a_digit_and_an_at_sign_is_never_personal(tag):
    assert not looks_personal(tag)


@given(st.text(max_size=MAX_TAG_LENGTH))
def test_every_tag_is_judged_whatever_it_holds(tag):
    assert isinstance(looks_personal(tag), bool)
