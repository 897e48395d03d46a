"""From the body of an answer to typed rows: every oddity of the API, and any other bytes.

The decoder sees bytes only, so an answer's content type can't matter. A page that msgspec can't
read in one go is read leniently; a byte order mark forces that way, so that both can be compared.
"""

import codecs
import json
import re
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pearl_exporter.api.decode_calls import decode_page, format_instant, parse_instant, storable_id
from pearl_exporter.counting.calls import Call, status_label
from pearl_exporter.counting.labels import MAX_TAGS_OF_A_CALL, OTHER
from pearl_exporter.errors import BadResponseError
from pearl_exporter.reading.search import Page

START = "2026-11-23T09:40:00.123Z"
START_MS = 1_795_426_800_123

GOOD_ROW = {
    "id": "65f1c0ffee65f1c0ffee0001",
    "startTime": START,
    "conversationStatus": 100,
    "status": 4,
    "from": "+4930123456",
    "to": "+4915112345678",
    "duration": 61,
    "tags": ["renewal", "vip"],
}
GOOD_CALL = Call(GOOD_ROW["id"], START_MS, 100, 4, 61.0, ("renewal", "vip"))
OTHER_ROW = GOOD_ROW | {"id": "65f1c0ffee65f1c0ffee0002"}

ABSENT = type("Absent", (), {"__repr__": lambda _: "absent"})()
LONE = "\\ud800"
"""Half a surrogate pair, as JSON writes it."""


def body_of(*rows: object, count: object = None) -> bytes:
    return json.dumps({"count": len(rows) if count is None else count, "results": rows}).encode()


def row_with(**fields: object) -> dict[str, object]:
    return {key: value for key, value in (GOOD_ROW | fields).items() if value is not ABSENT}


def call_with(**fields: object) -> Call:
    """The only call of a page whose one row has these fields."""
    (call,) = decode_page(body_of(row_with(**fields))).calls
    return call


def raw_row(field: str, literal: str) -> bytes:
    """A row that bears a JSON literal which json.dumps would not write."""
    rest = {key: value for key, value in GOOD_ROW.items() if key != field}
    return b'{"%s": %s, ' % (field.encode(), literal.encode()) + json.dumps(rest).encode()[1:]


def raw_body(*rows: bytes) -> bytes:
    return b'{"count": %d, "results": [%s]}' % (len(rows), b", ".join(rows))


def in_short(value: object) -> str:
    """The id of an example that may be very long."""
    return ascii(value)[:40]


# --- whole answers


def test_a_page_is_its_count_and_its_calls_in_order():
    page = decode_page(body_of(GOOD_ROW, OTHER_ROW, count=17))
    assert page.count == 17
    assert [call.id for call in page.calls] == [GOOD_ROW["id"], OTHER_ROW["id"]]
    assert page.calls[0] == GOOD_CALL
    assert (page.rejected, page.rejected_ids, page.received) == (0, frozenset(), 2)


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (b'{"count": 0, "results": []}', 0),
        (b'{"count": 0, "results": null}', 0),
        (b'{"count": 7, "results": null}', 7),
        (b' \r\n{"results":[],"count":0}\n', 0),
        (codecs.BOM_UTF8 + b'{"count": 0, "results": null}', 0),
        (b'{"count": 0, "results": [], "nextPage": {"of": ["the", "future"]}}', 0),
        (b'{"count": 123456789012, "results": []}', 123_456_789_012),
    ],
)
def test_an_answer_without_rows_is_an_empty_page(body, count):
    assert decode_page(body) == Page(count, [])


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not JSON (it is empty)"),
        (b"  \r\n", "not JSON (it is empty)"),
        (codecs.BOM_UTF8, "not JSON"),
        (b"<!DOCTYPE html><html><body>Bad gateway</body></html>", "looks like HTML"),
        (b"\n\n <HTML>", "looks like HTML"),
        (b"<?xml version='1.0'?><Error/>", "looks like HTML or XML"),
        (b"Service Unavailable", "not JSON (19 bytes)"),
        (b'{"count": 1, "results": [{"id": "65f1', "JSON that was cut off"),
        (b'{"count": 1, "results": [', "JSON that was cut off"),
        (b'[{"id": 1}', "JSON that was cut off"),
        (b"null", "not an object"),
        (b"true", "not an object"),
        (b"17", "not an object"),
        (b'"ok"', "not an object"),
        (b"[]", "not an object"),
        (b'[{"count": 0, "results": []}]', "not an object"),
        (b"{}", "without a usable count and results"),
        (b'{"error": "unauthorized"}', "without a usable count and results"),
        (b'{"type": "about:blank", "title": "Oops", "status": 500}', "without a usable count"),
        (b'{"count": 0}', "without a usable count and results"),
        (b'{"results": []}', "without a usable count and results"),
        (b'{"count": null, "results": []}', "without a usable count and results"),
        (b'{"count": true, "results": []}', "without a usable count and results"),
        (b'{"count": "3", "results": []}', "without a usable count and results"),
        (b'{"count": 1.5, "results": []}', "without a usable count and results"),
        (b'{"count": NaN, "results": []}', "without a usable count and results"),
        (b'{"count": [1], "results": []}', "without a usable count and results"),
        (b'{"count": %s, "results": []}' % (b"9" * 5000), "without a usable count and results"),
        (b'{"count": 1, "results": {}}', "without a usable count and results"),
        (b'{"count": 1, "results": "none"}', "without a usable count and results"),
        (b'{"count": 1, "results": false}', "without a usable count and results"),
        (b'{"count": -1, "results": []}', "count is negative"),
        (codecs.BOM_UTF8 + b'{"count": -1, "results": []}', "count is negative"),
        (b"[" * 100_000, "not JSON"),
        (b'{"a":' * 100_000, "not JSON"),
        (b"[" * 100_000 + b"]" * 100_000, "not JSON"),
        ('{"count": 0, "results": []}'.encode("utf-16"), "not JSON"),
        (b'{"count": 0, "results": []}{"count": 0, "results": []}', "not JSON"),
        (b'{"count": 0, "results": []}\x00', "not JSON"),
        (b"\xff\xfe\x00\x01", "not JSON (4 bytes)"),
    ],
    ids=in_short,
)
def test_what_is_no_answer_of_the_search_is_a_bad_response(body, said):
    with pytest.raises(BadResponseError) as caught:
        decode_page(body)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        b"call +4915112345678 failed",
        b"<p>+4915112345678</p>",
        b'{"to": "+4915112345678"',
        b'{"to": "+4915112345678"}',
        b'["+4915112345678"]',
        b'{"count": -4915112345678, "results": []}',
        b'{"count": 4915112345678.5, "results": []}',
        b'{"count": 1, "results": "+4915112345678"}',
        b"\xff+4915112345678",
    ],
)
def test_no_message_quotes_the_body(body):
    with pytest.raises(BadResponseError) as caught:
        decode_page(body)
    shown = caught.value
    while shown is not None:
        assert "4915112345678" not in str(shown)
        shown = shown.__cause__


def is_page_or_says_why_not(body: bytes) -> bool:
    try:
        return isinstance(decode_page(body), Page)
    except BadResponseError as error:
        return str(error).startswith("the answer")


@given(st.binary() | st.text().map(str.encode))
@example(b'"\\u0000"')
@example(b'{"count":0,"results":[{"id":"\xf0\x9f"}]}')
def test_any_bytes_are_a_page_or_a_bad_response(body):
    assert is_page_or_says_why_not(body)


ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([START, "", " ", -1, 200, 1e300]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*GOOD_ROW, "count", "results"]), inner, max_size=8)
    ),
    max_leaves=20,
)


@given(ANY_JSON)
def test_any_json_value_is_a_page_or_a_bad_response(value):
    assert is_page_or_says_why_not(json.dumps(value).encode())


ODD_ROWS = st.lists(
    ANY_JSON
    | st.fixed_dictionaries(
        {},
        optional={
            "id": st.text(min_size=1) | ANY_JSON,
            "startTime": st.datetimes().map(datetime.isoformat) | ANY_JSON,
            "conversationStatus": st.sampled_from([1, 100, 200, 999, 4.0]) | ANY_JSON,
            "status": st.sampled_from([3, 4, 8, 200]) | ANY_JSON,
            "duration": st.integers(0, 7200) | st.floats() | ANY_JSON,
            "tags": st.lists(st.text() | st.none()) | ANY_JSON,
        },
    ),
    max_size=5,
)


@given(ODD_ROWS, st.integers(0, 10**6))
def test_every_row_is_a_call_or_rejected(rows, count):
    """Both ways of decoding agree."""
    body = body_of(*rows, count=count)
    page = decode_page(body)
    assert page.count == count
    assert page.received == len(rows)
    assert len(page.rejected_ids) <= page.rejected
    assert decode_page(codecs.BOM_UTF8 + body) == page


# --- rows


@pytest.mark.parametrize(
    "row",
    [
        None,
        "row",
        17,
        [],
        {},
        row_with(id=ABSENT),
        row_with(id=None),
        row_with(id=""),
        row_with(id=17),
        row_with(id=["x"]),
        row_with(id="x" * 257),
        row_with(startTime=ABSENT),
        row_with(startTime=None),
        row_with(startTime=""),
        row_with(startTime="soon"),
        row_with(startTime="2026-13-45T99:99:99Z"),
        row_with(startTime=1_795_426_800),
        row_with(startTime=True),
        row_with(startTime={"date": START}),
    ],
)
def test_a_row_without_id_or_start_costs_only_that_row(row):
    page = decode_page(body_of(GOOD_ROW, row, OTHER_ROW))
    assert [call.id for call in page.calls] == [GOOD_ROW["id"], OTHER_ROW["id"]]
    assert page.rejected == 1
    assert page.received == 3


def test_the_ids_of_rejected_rows_are_returned():
    """Those calls are there, though they can't be read."""
    rows = (row_with(startTime=None), row_with(id=None), row_with(id=5), {"id": "x"}, {"id": ""})
    page = decode_page(body_of(*rows))
    assert page.rejected == 5
    assert page.rejected_ids == {GOOD_ROW["id"], "x"}


@pytest.mark.parametrize("field", ["conversationStatus", "status", "from", "to"])
@pytest.mark.parametrize(
    "value", [ABSENT, None, "4 ", "four", "", True, [4], {"code": 4}, 4.5, 1e300]
)
def test_a_bad_code_counts_as_null_and_the_row_stays(field, value):
    attribute = {"conversationStatus": "status", "status": "call_status"}.get(field)
    call = call_with(**{field: value})
    expected = GOOD_CALL
    if attribute is not None:
        assert getattr(call, attribute) is None
        expected = Call(
            expected.id,
            expected.start,
            None if attribute == "status" else 100,
            None if attribute == "call_status" else 4,
            expected.duration,
            expected.tags,
        )
    assert call == expected


@pytest.mark.parametrize(
    ("code", "read"),
    [
        (0, 0),
        (-7, -7),
        (999, 999),
        (4.0, 4),
        (999_999, 999_999),
        (1_000_000, None),
        (-1_000_000, None),
        (151_504_200, None),  # a phone number in the wrong field
        (10**30, None),
    ],
)
@pytest.mark.parametrize("field", ["conversationStatus", "status"])
def test_an_unknown_code_is_kept_within_limits(field, code, read):
    call = call_with(**{field: code})
    assert (call.status if field == "conversationStatus" else call.call_status) == read


@pytest.mark.parametrize("field", ["conversationStatus", "status"])
def test_200_was_replaced_by_500_and_counts_as_error(field):
    call = call_with(**{field: 200})
    code = call.status if field == "conversationStatus" else call.call_status
    assert code == 500
    assert status_label(code) == "error"


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [
        (0, 0.0),
        (61, 61.0),
        (61.5, 61.5),
        (7200, 7200.0),
        (31 * 86_400, 31 * 86_400.0),
        (31 * 86_400 + 1, 0.0),
        (-1, 0.0),
        (-0.5, 0.0),
        (1e308, 0.0),
        (10**350, 0.0),
        (10**400, 0.0),
        (None, 0.0),
        (ABSENT, 0.0),
        ("61", 61.0),
        ("61.5", 61.5),
        ("61 s", 0.0),
        (True, 0.0),
        ([61], 0.0),
        (float("nan"), 0.0),
        (float("inf"), 0.0),
        (float("-inf"), 0.0),
    ],
    ids=in_short,
)
def test_a_duration_that_can_be_none_counts_as_null(duration, seconds):
    assert call_with(duration=duration) == Call(
        GOOD_CALL.id, START_MS, 100, 4, seconds, GOOD_CALL.tags
    )


@pytest.mark.parametrize("literal", ["9" * 5000, "-" + "9" * 5000, "1e999", "-1e999"], ids=in_short)
@pytest.mark.parametrize(
    "field", ["conversationStatus", "status", "duration", "from", "id", "tags"]
)
def test_a_number_of_any_length_costs_only_its_field(field, literal):
    page = decode_page(raw_body(raw_row(field, literal), json.dumps(OTHER_ROW).encode()))
    assert page.received == 2
    assert page.calls[-1].id == OTHER_ROW["id"]
    assert page.rejected == (1 if field == "id" else 0)


@pytest.mark.parametrize(
    ("tags", "read"),
    [
        (None, ()),
        (ABSENT, ()),
        ([], ()),
        (["a", "b"], ("a", "b")),
        (["b", "a"], ("b", "a")),
        (["a", "a", "b", "a"], ("a", "b")),
        (["  a\t", "a", "\u00a0a\n"], ("a",)),
        (["", "  ", "a"], ("a",)),
        ([None, "a", None], ("a",)),
        ([1, "a", True, {"t": 1}, ["b"]], ("a",)),
        ("a", ()),
        ({"a": 1}, ()),
        (5, ()),
        (["Ünïcode ☎", "日本", "\U0001f600"], ("Ünïcode ☎", "日本", "\U0001f600")),
        (["two words", "A", "a"], ("two words", "A", "a")),
        (["\x00"], ("\x00",)),
    ],
)
def test_tags_are_trimmed_and_each_is_there_once(tags, read):
    assert call_with(tags=tags).tags == read


@pytest.mark.parametrize("count", [MAX_TAGS_OF_A_CALL, MAX_TAGS_OF_A_CALL + 1, 200_000])
def test_the_tags_of_a_row_beyond_a_hundred_are_one_other(count):
    named = [f"tag {number}" for number in range(count)]
    more = () if count == MAX_TAGS_OF_A_CALL else (OTHER,)
    read = call_with(tags=[*named, *named[:50], " ", None])
    assert read.tags == (*named[:MAX_TAGS_OF_A_CALL], *more)


@pytest.mark.parametrize(
    "half", ["\\ud800", "\\udfff", "\\ud800\\ud800", "\\udc00\\ud800", "x\\udbff"]
)
def test_a_tag_with_half_a_surrogate_pair_stays_a_tag(half):
    """It is one that counts as other, not one that isn't there."""
    page = decode_page(
        raw_body(raw_row("tags", f'["{half}", "a"]'), json.dumps(OTHER_ROW).encode())
    )
    assert [len(call.tags) for call in page.calls] == [2, 2]
    assert page.calls[0].tags[1] == "a"


def test_a_whole_surrogate_pair_is_one_character():
    assert decode_page(raw_body(raw_row("tags", '["\\ud83d\\ude00"]'))).calls[0].tags == ("😀",)


@pytest.mark.parametrize("field", ["from", "to", "note", LONE])
def test_half_a_surrogate_pair_in_an_unread_field_is_harmless(field):
    (call,) = decode_page(raw_body(raw_row(field, f'"{LONE}"'))).calls
    assert call == GOOD_CALL


@pytest.mark.parametrize("field", ["id", "startTime"])
def test_half_a_surrogate_pair_in_id_or_start_costs_the_row(field):
    page = decode_page(raw_body(raw_row(field, f'"{LONE}"'), json.dumps(OTHER_ROW).encode()))
    assert (page.rejected, len(page.calls)) == (1, 1)
    for each in page.rejected_ids:
        each.encode()


@pytest.mark.parametrize(
    ("field", "rejected"), [("id", 1), ("startTime", 1), ("tags", 0), ("from", 0), ("other", 0)]
)
def test_bytes_that_are_not_utf8_cost_only_a_field(field, rejected):
    odd = json.dumps(GOOD_ROW | {field: "@@"}).encode().replace(b"@@", b"\xff\xc3")
    if field == "tags":
        odd = odd.replace(b'"\xff\xc3"', b'["\xff\xc3"]')
    page = decode_page(raw_body(json.dumps(OTHER_ROW).encode(), odd))
    assert page.received == 2
    assert page.rejected == rejected
    assert page.calls[0].id == OTHER_ROW["id"]
    assert field != "tags" or len(page.calls[1].tags) == 1


# --- dates


@pytest.mark.parametrize(
    ("text", "millisecond"),
    [
        ("2026-11-23T09:40:00Z", 0),
        ("2026-11-23T09:40:00.1Z", 100),
        ("2026-11-23T09:40:00.12Z", 120),
        ("2026-11-23T09:40:00.123Z", 123),
        ("2026-11-23T09:40:00.1239Z", 123),
        ("2026-11-23T09:40:00.12399Z", 123),
        ("2026-11-23T09:40:00.123999Z", 123),
        ("2026-11-23T09:40:00.1239999Z", 123),
        ("2026-11-23T09:40:00.9999999Z", 999),
        ("2026-11-23T09:40:00.1230000", 123),
        ("2026-11-23T09:40:00", 0),
        ("2026-11-23 09:40:00.5", 500),
        ("2026-11-23T10:40:00.123+01:00", 123),
        ("2026-11-23T04:10:00.1239999-05:30", 123),
        ("2026-11-23T09:40:00.123+00:00", 123),
        ("2026-11-23T09:40:00.123-00:00", 123),
    ],
)
def test_a_start_may_have_a_fraction_and_an_offset(text, millisecond):
    """Up to seven digits, and a Z, an offset or nothing."""
    expected = START_MS - 123 + millisecond
    assert parse_instant(text) == expected
    assert call_with(startTime=text).start == expected


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59.9999999Z", -1),
        ("1969-12-31T23:59:59.9981Z", -2),
    ],
)
def test_digits_beyond_the_millisecond_are_cut_off(text, instant):
    assert parse_instant(text) == instant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "soon",
        "1795426800",
        "0000-00-00",
        "2026-02-30T00:00:00Z",
        "2026-11-23T25:00:00Z",
        "2026-11-23T09:40:00.123ZZ",
        "2026-11-23T09:40:00+99:00",
        "23.11.2026",
        "\ud800",
        "-" * 999,
    ],
    ids=in_short,
)
def test_what_is_no_date_is_none(text):
    assert parse_instant(text) is None


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.9999999-14:00"])
def test_a_date_at_the_end_of_all_time_breaks_nothing(text):
    assert isinstance(parse_instant(text), int)


@given(st.text())
def test_any_text_is_a_date_or_none(text):
    assert isinstance(parse_instant(text), int | None)


MOMENTS = st.datetimes(timezones=st.just(UTC))


@given(MOMENTS)
def test_an_instant_is_the_moment_cut_to_milliseconds(moment):
    instant = parse_instant(moment.isoformat())
    assert instant is not None
    cut = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    assert datetime.fromisoformat(format_instant(instant)) == cut


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
@example(0)
@example(-1)
def test_an_instant_is_written_so_that_it_is_read_back(instant):
    text = format_instant(instant)
    assert parse_instant(text) == instant
    assert len(text) == len("2026-11-23T09:40:00.123Z")
    assert text.endswith("Z")


def test_the_form_written_is_the_vendors():
    assert format_instant(START_MS) == "2026-11-23T09:40:00.123Z"
    assert format_instant(START_MS - 123) == "2026-11-23T09:40:00.000Z"


@pytest.mark.parametrize(
    "call_id",
    [
        "65f1c0ffee65f1c0ffee65f1",
        "123456789012345678901234",
        "0b9fa3a4-5a5c-4d0e-8f5c-413012347812",
        "65F1C0123456789012",
        "call_17",
        "x",
    ],
)
def test_an_id_is_kept_as_it_is(call_id):
    assert call_with(id=call_id).id == storable_id(call_id) == call_id


@pytest.mark.parametrize(
    "call_id",
    [
        "+4915150777123",
        "4915150777123",
        "call-4915150777123",
        "jane@example.org",
        "+49 151 5077 7123",
    ],
)
def test_an_id_that_looks_personal_is_kept_as_a_hash(call_id):
    kept = call_with(id=call_id).id
    assert re.fullmatch(r"#[0-9a-f]{32}", kept)
    assert kept == storable_id(call_id) == storable_id(kept) != storable_id(f"{call_id}0")
    page = decode_page(json.dumps({"count": 1, "results": [{"id": call_id}]}).encode())
    assert page.rejected_ids == {kept}


def test_an_id_that_is_too_long_is_not_looked_at():
    """To normalize one of these takes time by its square: hours, at the largest body."""
    row = {"id": "\u0344" * 1_000_000 + "1" * 7}
    page = decode_page(msgspec.json.encode({"count": 1, "results": [row]}))
    assert (page.rejected, page.rejected_ids) == (1, frozenset())


@pytest.mark.parametrize(("text", "code"), [("4", 4), ("-1", -1), ("130.0", 130), ("200", 500)])
@pytest.mark.parametrize("field", ["conversationStatus", "status"])
def test_a_code_in_quotes_is_the_number_it_is(field, text, code):
    page = decode_page(body_of(row_with(**{field: text})))
    attribute = {"conversationStatus": "status", "status": "call_status"}[field]
    assert getattr(page.calls[0], attribute) == code
    assert not page.unusable


UNUSABLE = {
    "id": ([None, 7, "", "x" * 300, ["a"]], "id"),
    "startTime": ([None, 7, "", "yesterday", {}], "start_time"),
    "conversationStatus": (["Complete", "4 ", True, [4], 4.5, 10**7], "conversation_status"),
    "status": (["Completed", False, {}, -(10**7)], "status"),
    "duration": (["12 s", True, [], -1, 10**9], "duration"),
    "tags": (["vip", 7, {}, ["vip", 7], [["vip"]]], "tags"),
}


@pytest.mark.parametrize(
    ("field", "value", "name"),
    [(field, value, name) for field, (values, name) in UNUSABLE.items() for value in values],
    ids=in_short,
)
def test_an_unusable_field_is_named(field, value, name):
    page = decode_page(body_of(GOOD_ROW, row_with(**{field: value})))
    assert [row.fields for row in page.unusable] == [(name,)]
    assert page.unusable_count == 1


@pytest.mark.parametrize("field", ["conversationStatus", "status", "duration", "tags", "from"])
@pytest.mark.parametrize("value", [None, ABSENT])
def test_a_field_that_is_null_or_absent_is_usable(field, value):
    assert not decode_page(body_of(row_with(**{field: value}))).unusable


def test_an_unusable_row_is_known_again_by_its_id():
    bad = [row_with(duration="x", tags=[7], startTime=None), row_with(duration="y")]
    first, again = (decode_page(body_of(row)).unusable for row in bad)
    assert first[0].key == again[0].key
    assert set(first[0].fields) == {"start_time", "duration", "tags"}
