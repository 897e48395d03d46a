"""A real Prometheus scrapes by TLS, with a password and with a client certificate, or is refused.

The exporter is served with the examples of ``deploy/web``, whose hash is of "change-me".
"""

import re
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from pearl_exporter.config.web.load import read_web_config
from pearl_exporter.healthcheck import health_problem
from tests.cli.simulated import Api, base_url, simulated_api, write_config
from tests.support.certificates import Certificates, make_certificates
from tests.support.patience import PATIENT
from tests.support.programs import Running, debian_program, eventually, running_pearl
from tests.support.prometheus import Prometheus, prometheus

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "deploy" / "web"
WEB_CONFIGS = sorted(path for path in EXAMPLES.glob("*.yml") if path.name != "prometheus.yml")
PASSWORD = {"username": "prometheus", "password": "change-me"}


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with simulated_api() as api:
        yield api


@pytest.fixture
def made(tmp_path: Path) -> Certificates:
    """Certificates under the names that the examples have, and the examples beside them."""
    made = make_certificates(tmp_path / "web")
    shutil.copy(made.ca, made.folder / "client-ca.crt")
    for example in WEB_CONFIGS:
        shutil.copy(example, made.folder)
    return made


@contextmanager
def exporter(folder: Path, api: Api, web_config: Path) -> Iterator[tuple[Running, str]]:
    """A real process, and its ``host:port``."""
    web = {"config_file": str(web_config), "listen": "127.0.0.1:0"}
    folder.mkdir(exist_ok=True)
    path = write_config(folder, api.url, api.outbound, web=web)
    with running_pearl(folder / "run", "serve", "--config", path) as process:
        yield process, base_url(process.says("msg=listening")).removeprefix("http://")


def job(name: str, target: str, made: Certificates, client: Path | None = None, **more: Any) -> Any:
    tls = {"ca_file": str(made.ca)}
    if client is not None:
        tls |= {"cert_file": str(client), "key_file": str(client)}
    targets = [{"targets": [target]}]
    base = {"job_name": name, "scheme": "https", "tls_config": tls, "static_configs": targets}
    return base | more


def until_said(server: Prometheus, wanted: dict[str, str]) -> None:
    """Waits until Prometheus says of each job, ``up`` or an error, what it should.

    Before, a scrape may take longer than its second: the machine is busy, or passwords are checked.
    """

    def as_wanted() -> bool:
        said = {
            each["scrapePool"]: each["lastError"] or each["health"] for each in server.targets()
        }
        return all(re.search(text, said.get(name, "")) for name, text in wanted.items())

    eventually(as_wanted, what=f"Prometheus says {wanted}")


@pytest.mark.parametrize("example", WEB_CONFIGS, ids=lambda path: path.stem)
def test_promtool_and_we_accept_every_example(made, example, monkeypatch):
    assert len(WEB_CONFIGS) == 3
    command = [debian_program("promtool"), "check", "web-config", str(made.folder / example.name)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert read_web_config(made.folder / example.name).context is not None


def test_the_prometheus_example_is_one(tmp_path):
    for name in ("ca.crt", "client.crt", "client.key", "password"):
        (tmp_path / name).touch()
    shutil.copy(EXAMPLES / "prometheus.yml", tmp_path)
    command = [debian_program("promtool"), "check", "config", str(tmp_path / "prometheus.yml")]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_prometheus_needs_a_password_or_a_certificate(tmp_path, api, made):
    by_password = exporter(tmp_path / "password", api, made.folder / "basic-auth.yml")
    by_certificate = exporter(tmp_path / "certificate", api, made.folder / "client-certificate.yml")
    with by_password as (one, password), by_certificate as (other, certificate):
        jobs = [
            job("password", password, made, basic_auth=PASSWORD),
            job("wrong password", password, made, basic_auth=PASSWORD | {"password": "guess"}),
            job("unknown user", password, made, basic_auth=PASSWORD | {"username": "eve"}),
            job("no password", password, made),
            job("plain http", password, made, scheme="http", basic_auth=PASSWORD),
            job("certificate", certificate, made, made.client),
            job("strange certificate", certificate, made, made.strange_client),
            job("no certificate", certificate, made),
        ]
        with prometheus(tmp_path / "prometheus", {}, more={"scrape_configs": jobs}) as server:
            ok, refused = "^up$", "401 Unauthorized"
            no_handshake = "tls|EOF|reset|malformed"  # told by either end
            wanted = {
                "password": ok,
                "wrong password": refused,
                "unknown user": refused,
                "no password": refused,
                "plain http": no_handshake,
                "certificate": ok,
                "strange certificate": no_handshake,
                "no certificate": no_handshake,
            }
            until_said(server, wanted)
        context = ssl.create_default_context(cafile=str(made.ca))
        with httpx.Client(verify=context, **PATIENT) as http:
            assert http.get(f"https://{password}/-/healthy").status_code == 200
            with pytest.raises(httpx.TransportError):
                http.get(f"https://{certificate}/-/healthy")
        for target in (password, certificate):
            assert health_problem(target) is None, "by TLS, whatever the certificate"
        for process in (one, other):
            assert "Traceback" not in process.stderr
            assert "change-me" not in process.stderr


def test_a_renewed_certificate_is_served_without_a_reload(tmp_path, api, made):
    with exporter(tmp_path, api, made.folder / "tls.yml") as (process, target):
        host, port = target.split(":")
        first = ssl.get_server_certificate((host, int(port)))
        made.renew()
        eventually(
            lambda: ssl.get_server_certificate((host, int(port))) != first,
            what="the new certificate",
        )
        process.says("web configuration reloaded")
        context = ssl.create_default_context(cafile=str(made.ca))
        with httpx.Client(verify=context, **PATIENT) as http:
            assert http.get(f"https://{target}/metrics").status_code == 200


def test_an_empty_file_at_the_start_is_warned_of(tmp_path, api, made):
    empty = made.folder / "empty.yml"
    empty.write_text("")
    with exporter(tmp_path, api, empty) as (process, target):
        assert "level=WARNING" in process.says("the web configuration is empty")
        assert httpx.get(f"http://{target}/metrics", **PATIENT).status_code == 200


def test_a_bad_file_at_the_start_is_told_and_ends_it(tmp_path, api, made):
    bad = made.folder / "tls.yml"
    bad.write_text(yaml.safe_dump({"basic_auth_users": {"alice": "hunter2"}, "tls": {}}))
    path = write_config(tmp_path, api.url, api.outbound, web={"config_file": str(bad)})
    for command in ("serve", "check"):
        with running_pearl(tmp_path / command, command, "--config", path) as process:
            assert process.ends() == 2
            assert "basic_auth_users.alice: not a bcrypt hash" in process.stderr
            assert "tls: unknown key" in process.stderr
            assert "hunter2" not in process.stderr
