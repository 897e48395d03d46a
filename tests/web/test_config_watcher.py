"""The web configuration reloaded: what changes, what stays, and what is logged of it."""

import logging
from datetime import UTC, datetime, timedelta

import bcrypt
import pytest

from pearl_exporter.errors import ConfigError
from pearl_exporter.web.config_watcher import CHECK_DATES_SECONDS, WebConfigWatcher
from tests.support.certificates import make_certificates

HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
TLS = "tls_server_config: {cert_file: server.crt, key_file: server.key}\n"
ALICE = f"basic_auth_users: {{alice: {HASH}}}\n"


@pytest.fixture
def made(tmp_path):
    return make_certificates(tmp_path)


@pytest.fixture
def path(made):
    path = made.folder / "web.yml"
    path.write_text(TLS + ALICE)
    return path


@pytest.fixture(autouse=True)
def _log(caplog):
    caplog.set_level(logging.INFO, "pearl_exporter")


async def settled(web: WebConfigWatcher) -> None:
    """Check twice: the first check sees the change, the second that it is over."""
    await web.check_files()
    await web.check_files()


def test_a_bad_file_at_the_start_is_all_its_faults(path):
    path.write_text("basic_auth_users: {a: x, b: y}\n")
    with pytest.raises(ConfigError) as caught:
        WebConfigWatcher(path)
    assert len(caught.value.problems) == 2


async def test_nothing_is_read_again_where_nothing_changed(path, caplog):
    web = WebConfigWatcher(path)
    before = web.active
    for _ in range(4):
        await web.check_files()
    assert web.active is before
    assert caplog.messages == []


async def test_users_and_headers_are_read_again(path, caplog):
    web = WebConfigWatcher(path)
    path.write_text(
        f"{TLS}{ALICE.replace('alice', 'bob')}"
        "http_server_config: {headers: {X-Frame-Options: deny}}\n"
    )
    await settled(web)
    assert list(web.active.config.users) == ["bob"]
    assert web.active.config.headers == {"X-Frame-Options": "deny"}
    assert caplog.messages == ["web configuration reloaded"]


async def test_a_change_is_read_when_it_is_no_longer_being_written(path):
    """A file cut after its first section asks for no password."""
    web = WebConfigWatcher(path)
    path.write_text(TLS)
    await web.check_files()
    assert list(web.active.config.users) == ["alice"]
    path.write_text(TLS + ALICE.replace("alice", "bob"))
    await web.check_files()
    assert list(web.active.config.users) == ["alice"]
    await web.check_files()
    assert list(web.active.config.users) == ["bob"]


async def test_a_renewed_certificate_makes_another_context(path, made):
    web = WebConfigWatcher(path)
    before = web.active.config.context
    made.renew()
    await settled(web)
    assert web.active.config.context is not before


async def test_a_client_ca_is_read_again(made, path):
    path.write_text(
        TLS.replace("}", ", client_ca_file: ca.pem, client_auth_type: RequireAndVerifyClientCert}")
    )
    web = WebConfigWatcher(path)
    before = web.active.config.context
    made.ca.write_bytes(made.certificate.read_bytes())
    await settled(web)
    assert web.active.config.context is not before


async def test_a_bad_pair_keeps_the_last_good_and_is_logged_once(path, made, caplog):
    web = WebConfigWatcher(path)
    before = web.active
    key = made.key.read_bytes()
    made.key.write_bytes(made.client.read_bytes())
    for _ in range(5):
        await web.check_files()
    assert web.active is before
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert "keeping the old web configuration" in record.getMessage()
    assert "tls_server_config.key_file: the key does not belong to the certificate" in caplog.text
    made.key.write_bytes(key)
    await settled(web)
    assert caplog.messages[-1] == "web configuration reloaded"


async def test_a_certificate_that_comes_after_the_file_that_names_it(path, made, caplog):
    web = WebConfigWatcher(path)
    path.write_text(TLS.replace("server.", "new.") + ALICE)
    await settled(web)
    assert "new.crt can't be read" in caplog.text
    (made.folder / "new.crt").write_bytes(made.certificate.read_bytes())
    (made.folder / "new.key").write_bytes(made.key.read_bytes())
    await web.check_files()
    assert made.folder / "new.crt" in web.active.config.files


async def test_a_file_that_is_gone_keeps_the_last_good(path, caplog):
    web = WebConfigWatcher(path)
    path.unlink()
    await settled(web)
    assert list(web.active.config.users) == ["alice"]
    assert "not a regular file" in caplog.text
    path.write_text(TLS + ALICE)
    await settled(web)
    assert caplog.messages[-1] == "web configuration reloaded"


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [(TLS + ALICE, ALICE, "TLS is turned off only by a restart"), (ALICE, TLS, "TLS is turned on")],
    ids=["off", "on"],  # a hash is another in each process
)
async def test_tls_is_turned_on_and_off_only_by_a_restart(path, caplog, before, after, message):
    path.write_text(before)
    web = WebConfigWatcher(path)
    path.write_text(after)
    await settled(web)
    assert list(web.active.config.users) == ["alice"]
    assert message in caplog.text


CA = ", client_ca_file: ca.pem, client_auth_type: "
REQUIRED = TLS.replace("}", CA + "RequireAndVerifyClientCert}")
NAMED = REQUIRED.replace("}", ", client_allowed_sans: [prometheus]}")


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (ALICE, "", "basic_auth_users: passwords are turned off only by a restart"),
        (ALICE, "basic_auth_users: {}\n", "basic_auth_users: passwords are turned off"),
        (ALICE, "rate_limit: {interval: 1s, burst: 9}\n", "basic_auth_users: passwords"),
        (TLS + ALICE, TLS, "basic_auth_users: passwords are turned off only by a restart"),
        (TLS + ALICE, "", "tls_server_config: TLS is turned off only by a restart"),
        (REQUIRED, TLS, "client_auth_type: clients go without a certificate only after"),
        (
            REQUIRED,
            TLS.replace("}", CA + "VerifyClientCertIfGiven}"),
            "client_auth_type: clients go without a certificate only after a restart",
        ),
        (NAMED, REQUIRED, "client_allowed_sans: certificates with any name are let in only"),
    ],
    ids=["emptied", "no users", "others", "cut", "all", "no ca", "if given", "any name"],
)
async def test_a_door_is_opened_only_by_a_restart(path, caplog, before, after, message):
    """By the watcher and by a reload; the old configuration stays, and a good one comes after."""
    path.write_text(before)
    web = WebConfigWatcher(path)
    active = web.active
    path.write_text(after)
    await settled(web)
    assert message in caplog.text
    assert message in " ".join(await web.reload())
    assert web.active is active
    path.write_text(before.replace("alice", "bob"))
    assert await web.reload() == ()
    assert web.active is not active
    assert caplog.messages[-1] == "web configuration reloaded"


async def test_users_of_an_open_configuration_apply_at_once_and_stay(path, caplog):
    path.write_text("")
    web = WebConfigWatcher(path)
    path.write_text(ALICE)
    await settled(web)
    assert list(web.active.config.users) == ["alice"]
    path.write_text("")
    await settled(web)
    assert list(web.active.config.users) == ["alice"]
    assert "basic_auth_users" in caplog.text


async def test_what_clients_must_show_can_be_added_while_it_runs(path):
    path.write_text(TLS)
    web = WebConfigWatcher(path)
    for wanted in (REQUIRED, NAMED, NAMED + ALICE, NAMED.replace("[", "[other, ") + ALICE):
        path.write_text(wanted)
        assert await web.reload() == ()
    assert web.active.config.tls.client_allowed_sans == ("other", "prometheus")
    assert list(web.active.config.users) == ["alice"]


async def test_a_reload_of_what_has_not_changed_changes_nothing(path, caplog):
    web = WebConfigWatcher(path)
    before = web.active
    assert await web.reload() == ()
    assert web.active is before
    assert await WebConfigWatcher(None).reload() == ()
    assert caplog.messages == []


async def test_a_reload_says_again_what_is_wrong(path, caplog):
    web = WebConfigWatcher(path)
    path.write_text(TLS)
    for _ in range(2):
        assert len(await web.reload()) == 1
    assert len(caplog.records) == 2


async def test_what_is_logged_holds_no_hash_and_no_key(path, made, caplog):
    web = WebConfigWatcher(path)
    path.write_text(f"{TLS}basic_auth_users: {{alice: {HASH}x}}\n")
    made.key.write_text("PRIVATE KEY secret-of-mine")
    await settled(web)
    assert caplog.records
    assert HASH[7:] not in caplog.text
    assert "secret-of-mine" not in caplog.text


YESTERDAY, TOMORROW, NEXT_YEAR = (datetime.now(UTC) + timedelta(days=n) for n in (-1, 1, 365))


@pytest.mark.parametrize(
    ("dates", "said"),
    [
        ({"not_after": YESTERDAY}, ["has expired"]),
        ({"not_before": TOMORROW, "not_after": NEXT_YEAR}, ["is not valid yet"]),
        ({}, []),
    ],
    ids=["expired", "not yet", "well"],
)
@pytest.mark.parametrize("clients", ["NoClientCert", "RequireAndVerifyClientCert"])
async def test_a_useless_certificate_is_logged_every_hour(made, caplog, dates, said, clients):
    made.renew(**dates)
    path = made.folder / "web.yml"
    more = (
        ""
        if clients == "NoClientCert"
        else f"client_ca_file: ca.pem, client_auth_type: {clients}, "
    )
    path.write_text(TLS.replace("{", "{" + more))
    web = WebConfigWatcher(path)
    for now in (0.0, 1.0, CHECK_DATES_SECONDS):
        await web.check_certificate_dates(now)
    warnings = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert [text.split(",")[0].split("tls_server_config ")[1] for text in warnings] == said * 2


async def test_a_new_certificate_is_looked_at_at_once(made, path, caplog):
    web = WebConfigWatcher(path)
    await web.check_certificate_dates(0.0)
    made.renew(not_after=YESTERDAY)
    await settled(web)
    await web.check_certificate_dates(1.0)
    assert "has expired" in caplog.text
