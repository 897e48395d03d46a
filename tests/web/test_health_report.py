"""``/-/healthy?verbose``: a line a check, the heart's verdict, and no outbound's name."""

from dataclasses import replace

import pytest

from tests.exposition.scraped import polled, unpolled
from tests.web.test_endpoints import a_view, client_of


@pytest.mark.parametrize(
    ("is_alive", "status", "first", "last"),
    [
        (True, 200, "[+]scheduler ok: last heartbeat 0.5 s ago", "health check passed"),
        (False, 503, "[-]scheduler failed: last heartbeat 0.5 s ago", "health check failed"),
    ],
)
async def test_the_heart_alone_decides(is_alive, status, first, last) -> None:
    view = replace(a_view(polled()), is_alive=lambda: is_alive, beat_age=lambda: 0.5)
    async with client_of(view) as client:
        answer = await client.get("/-/healthy?verbose")
    assert answer.status_code == status
    lines = answer.text.splitlines()
    assert (lines[0], lines[-1].startswith(last)) == (first, True)


@pytest.mark.parametrize("reason", ["auth", "state"])
async def test_failing_outbounds_are_counted_by_reason_and_not_named(reason) -> None:
    good, new = polled(), unpolled()
    health = replace_health(new, reason)
    async with client_of(a_view(good, health)) as client:
        answer = await client.get("/-/healthy?verbose")
    assert answer.status_code == 200
    assert f"[-]outbounds failed: 1 of 2 up; last polls failed: 1 {reason}\n" in answer.text
    assert ("[-]state failed: 1 of 2 outbounds not saved" in answer.text) == (reason == "state")
    for each in (good, new):
        assert each.name not in answer.text
        assert each.outbound_id not in answer.text


def replace_health(snapshot, reason):
    import msgspec

    health = msgspec.structs.replace(snapshot.health, last_reason=reason, up=False)
    if isinstance(snapshot, msgspec.Struct):
        return msgspec.structs.replace(snapshot, health=health)
    return replace(snapshot, health=health)
