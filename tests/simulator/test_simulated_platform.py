"""The list of outbounds and the account can be changed, and malformed, while they are served."""

import pytest

from pearl_exporter.api.decode_platform import decode_account, decode_listing
from tests.simulator.test_control import control
from tests.simulator.test_server import ID

__all__ = ["control"]
HEADERS = {"Authorization": "Bearer account:secret"}


async def answer(client, path):
    return await client.get(path, headers=HEADERS)


async def listed(client) -> dict[str, tuple[str, int | None]]:
    listing = decode_listing((await answer(client, "/v1/Outbound")).content)
    return {each.id: (each.name, each.status) for each in listing.outbounds}


async def test_a_campaign_is_renamed_and_paused(control, client):
    assert (await listed(client))[ID] == ("c1", 1)
    row = await control("POST", "outbounds", {"outbound": "c1", "name": "new", "status": 2})
    assert (row["name"], row["status"]) == ("new", 2)
    assert (await listed(client))[ID] == ("new", 2)
    assert (await answer(client, f"/v1/Outbound/{ID}")).json()["name"] == "new"
    await control("POST", "outbounds", {"outbound": ID, "name": None, "status": "odd"})
    assert (await listed(client))[ID] == ("", None)


async def test_a_campaign_goes_and_comes_back(control, client):
    await control("POST", "outbounds", {"outbound": ID, "gone": True})
    assert ID not in await listed(client)
    assert (await answer(client, f"/v1/Outbound/{ID}")).status_code == 404
    await control("POST", "outbounds", {"outbound": ID, "gone": False})
    assert ID in await listed(client)


@pytest.mark.parametrize(
    ("body", "said"),
    [({"outbound": "nobody"}, "no outbound"), ({"outbound": ID, "gone": "soon"}, "true or false")],
)
async def test_a_wrong_change_says_what_is_right(control, body, said):
    status, text = await control("POST", "outbounds", body)
    assert status == 400
    assert said in text


async def test_the_account_is_changed(control, client):
    await control("POST", "account", {"creditBalance": -1.5, "status": 3})
    account = decode_account((await answer(client, "/v1/Account")).content)
    assert (account.credit_balance, account.status, account.agents) == (-1.5, 3, 40)


async def test_faults_may_be_for_the_list_or_the_account_alone(control, client):
    await control("POST", "faults", ["server_error:outbound=/v1/Outbound"])
    statuses = [
        (await answer(client, path)).status_code
        for path in ("/v1/Outbound", "/v1/Account", f"/v1/Outbound/{ID}")
    ]
    assert statuses == [503, 200, 200]


async def test_odd_rows_stand_among_the_good_ones(control, client):
    good = await listed(client)
    await control("POST", "faults", ["odd_outbounds", "wrapped_outbounds"])
    body = await answer(client, "/v1/Outbound")
    listing = decode_listing(body.content)
    assert {each.id: each.name for each in listing.outbounds} == {
        key: name for key, (name, _) in good.items()
    }
    assert listing.unusable == 6
    assert body.json()["count"] == len(body.json()["results"]) == 10
