"""Planted numbers, addresses and secrets come out nowhere: no answer, log, state, error or page."""

import base64
import html
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, chdir
from pathlib import Path
from typing import Self
from urllib.parse import quote, urldefrag, urljoin, urlsplit

import bcrypt
import httpx
import pytest
import yaml
from click.testing import CliRunner

from pearl_exporter.cli import main
from tests.end_to_end.canary_api import ALONE, GOOD, MOODS, CanaryApi
from tests.end_to_end.scrape import OPENMETRICS, Scrape
from tests.support.canary import Canary
from tests.support.patience import HANGING_SECONDS, PATIENT
from tests.support.programs import (
    Running,
    environment,
    eventually,
    pearl_command,
    run_pearl,
    running,
)

pytestmark = pytest.mark.slow

USER = "prometheus"


@pytest.fixture
def canary() -> Canary:
    return Canary()


@pytest.fixture
def api(canary: Canary) -> Iterator[CanaryApi]:
    with CanaryApi(canary) as server:
        yield server


class World:
    """A configuration with a secret in every place where one may be."""

    def __init__(self, folder: Path, canary: Canary, api: CanaryApi) -> None:
        self.folder = folder
        self.canary = canary
        self.password = canary.secret("password of basic auth")
        self.path = folder / "config.yml"
        hashed = bcrypt.hashpw(self.password.encode(), bcrypt.gensalt(4)).decode()
        canary.keep(hashed[7:], "hash of basic auth")
        (folder / "web.yml").write_text(f"basic_auth_users: {{{USER}: '{hashed}'}}\n")
        proxy_user, proxy_password = (
            canary.secret("proxy's user"),
            canary.secret("proxy's password"),
        )
        canary.keep(
            base64.b64encode(f"{proxy_user}:{proxy_password}".encode()).decode(),
            "proxy's credentials as they are sent",
        )
        self.token = f"{canary.secret('account id')}:{canary.secret('secret key')}"
        self.settings = {
            "api": {
                "url": "http://nlpearl.invalid",
                "proxy": f"http://{proxy_user}:{proxy_password}@{api.address}",
                "rate_limit": 1000,
                "concurrency": 64,
            },
            # give_up: a busy machine needs its time for the two dozen polls of the first seconds
            "poll": {"interval": "5s", "give_up": "5s", "window": "1m", "settle": "1s"},
            "outbounds": [{"id": GOOD, "name": GOOD}, *map(self._outbound, MOODS)],
            # the names in the list are other ones each time, and end in any digit
            "discovery": {"enabled": True, "exclude": ".*-2", "interval": "1s"},
            "account": {"enabled": True, "interval": "1s"},
            "state": {"url": "sqlite:///state.db"},
            "web": {
                "listen": "127.0.0.1:0",
                "enable_reload": True,
                "config_file": str(folder / "web.yml"),
            },
            "log": {"level": "debug"},
        }
        self.write(self.settings)

    def _outbound(self, mood: str) -> dict[str, str]:
        if mood not in ALONE:
            return {"id": mood}
        file = self.folder / f"token-of-{mood}"
        file.write_text(f"account-id:{self.canary.secret(f'token of {mood}')}\n")
        return {"id": mood, "token_file": str(file)}

    def write(self, settings: object) -> None:
        self.path.write_text(yaml.safe_dump(settings))

    def serve(self) -> list[str]:
        return pearl_command("serve", "--config", self.path)


@pytest.fixture
def world(tmp_path: Path, canary: Canary, api: CanaryApi) -> World:
    return World(tmp_path, canary, api)


class Told:
    """Everything that a running exporter says, and where."""

    def __init__(self, world: World, process: Running) -> None:
        line = process.says("listening")
        self.address = urlsplit("//" + line.partition("address=")[2].split(maxsplit=1)[0])
        self.client = httpx.Client(
            base_url=f"http://{self.address.netloc}",
            auth=(USER, world.password),
            **PATIENT,
        )
        self.by_place: dict[str, str | bytes] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def note(self, place: str, answer: httpx.Response, status: int = 200) -> None:
        assert answer.status_code == status, (place, answer.status_code)
        head = "\n".join((answer.reason_phrase, *map(str, answer.headers.multi_items())))
        self.by_place[place] = f"{head}\n\n{answer.text}"

    def scrape(self, accept: str = OPENMETRICS) -> str:
        answer = self.client.get("/metrics", headers={"Accept": accept})
        self.note(f"/metrics as {accept}", answer)
        return answer.text

    def crawl(self) -> None:
        """Every page that can be come to from the first one, and what no link leads to."""
        self.scrape()
        self.scrape("text/plain")
        seen, left = set[str](), ["/", "/-/healthy?verbose", "/-/ready", "/-/healthy"]
        while left:
            path = left.pop()
            if path in seen:
                continue
            seen.add(path)
            answer = self.client.get(path)
            self.note(path, answer)
            links = re.findall(r'(?:href|src)="([^"]+)"', answer.text)
            paths = [urldefrag(urljoin(path, html.unescape(link))).url for link in links]
            assert all(link.startswith("/") for link in paths), "leads elsewhere"
            left += paths

    def breaker(self, canary: Canary) -> None:
        """What comes of requests that are wrong, with bait in them."""
        number = canary.number("what a client asks")
        self.note("404", self.client.get(f"/{quote(number)}?to={quote(number)}"), 404)
        self.note("405", self.client.post("/metrics", content=number), 405)
        self.note("413", self.client.post("/metrics", content=number * 1000), 413)
        credentials = (canary.email("a wrong user"), canary.secret("a wrong password"))
        self.note("401", self.client.get("/", auth=credentials), 401)
        where = (self.address.hostname, self.address.port)
        with socket.create_connection(where, HANGING_SECONDS) as sock:
            sock.sendall(f"GET /{number} HTTP/1.1\r\n{number}\r\n\r\n".encode())
            self.by_place["400"] = b"".join(iter(lambda: sock.recv(4096), b""))
        assert b" 400 " in self.by_place["400"]


def test_nothing_that_was_planted_is_told_by_a_running_exporter(
    world: World, canary: Canary, api: CanaryApi
) -> None:
    env = environment(PEARL_API_TOKEN=world.token)
    with ExitStack() as stack:
        process = stack.enter_context(running(world.serve(), world.folder / "run", env=env))
        told = stack.enter_context(Told(world, process))
        eventually(lambda: all_is_met(Scrape(told.scrape())), what="every mood is met")
        told.crawl()
        told.breaker(canary)
        broken = {**world.settings, "poll": {"window": world.token}, world.token: 1}
        world.write(broken)
        told.note("a reload refused", told.client.post("/-/reload"), 500)
        process.send(signal.SIGHUP)
        process.says("keeping the old configuration")
        world.write({**world.settings, "log": {"level": "debug", "format": "json"}})
        told.note("a reload", told.client.post("/-/reload"))
        process.says('"poll failed')
        told.crawl()
        for file in world.folder.glob("run/state.db*"):
            told.by_place[f"{file.name} of a running exporter"] = file.read_bytes()
        proc = Path(f"/proc/{process.process.pid}")
        told.by_place["command line"] = (proc / "cmdline").read_bytes()
        told.by_place["process title"] = (proc / "comm").read_bytes()
    for file in world.folder.glob("run/*"):
        told.by_place[file.name] = file.read_bytes()
    assert told.by_place.keys() >= {"stderr", "stdout", "state.db", "/", "405"}
    assert "poll failed" in process.stderr
    assert_heard_and_silent(told.by_place, canary, api)


def all_is_met(seen: Scrape) -> bool:
    """Whether each outbound has failed for its reason, and the good one was counted."""
    failed = {
        (labels["outbound"], labels["reason"])
        for (name, its), value in seen.samples.items()
        for labels in [dict(its)]
        if name == "pearl_exporter_poll_failures_total" and value
    }
    return (
        {(name, mood.reason) for name, mood in MOODS.items()} <= failed
        and (seen.value("pearl_tagged_calls_total", outbound=GOOD, tag="_other") or 0) > 3
        and (seen.value("pearl_discovery_up") or 0) > 0
        and (seen.value("pearl_account_up") or 0) > 0
    )


def assert_heard_and_silent(told: dict[str, str | bytes], canary: Canary, api: CanaryApi) -> None:
    """The bait was there, and none of it is told."""
    heard = "\n".join(api.heard)
    assert "proxy's credentials as they are sent" in canary.told_in(heard)
    assert {"account id", "secret key"} <= canary.told_in(heard)
    assert len(canary.numbers) > 300
    leaks = {place: found for place, each in told.items() if (found := canary.told_in(each))}
    assert not leaks


@pytest.mark.parametrize("command", ["check", "once"])
def test_nor_by_a_command_that_meets_every_error(
    world: World, canary: Canary, api: CanaryApi, command: str
) -> None:
    env = {"PEARL_API_TOKEN": world.token}
    run = run_pearl(world.folder, command, "--config", world.path, **env)
    assert run.returncode == 1
    lines = [*run.stdout.splitlines(), *run.stderr.splitlines()]
    assert all(any(name in line for line in lines) for name in MOODS)
    assert "connection: " in "".join(lines)
    told: dict[str, str | bytes] = {"stdout": run.stdout, "stderr": run.stderr}
    assert_heard_and_silent(told, canary, api)


def test_nor_by_a_proxy_that_refuses(world: World, canary: Canary, api: CanaryApi) -> None:
    """What it says instead of a connection is its own, and may quote anything."""
    api_settings = {**world.settings["api"], "url": "https://nlpearl.invalid"}
    world.write({**world.settings, "api": api_settings, "outbounds": [{"id": GOOD}]})
    run = run_pearl(world.folder, "once", "--config", world.path, PEARL_API_TOKEN=world.token)
    assert f"{GOOD}: connection: " in run.stderr
    assert any(head.startswith("CONNECT") for head in api.heard)
    assert canary.told_in(run.stdout + run.stderr) == set()


WRONG_PLACES = (
    "outbounds: [{{id: '{s}'}}]",
    "outbounds: [{{id: a, name: b}}, {{id: '{s}', name: b}}]",
    "outbounds: ['{s}']",
    "outbounds: '{s}'",
    "outbounds: {{'{s}': 1}}",
    "api: {{tokn: '{s}'}}",
    "api: {{url: 'https://user:{s}@api.example'}}",
    "api: {{url: 'https://api.example/?token={s}'}}",
    "api: {{proxy: 'ftp://user:{s}@proxy.example'}}",
    "api: {{timeout: '{s}'}}",
    "api: {{page_size: '{s}'}}",
    "api: {{'{s}': x}}",
    "poll: {{interval: '{s}'}}",
    "discovery: {{include: '({s}'}}",
    "metrics: {{tag_include: '({s}'}}",
    "web: {{listen: '{s}'}}",
    "web: {{config_file: wrong.yml}}",
    "state: {{url: 'postgresql://user:{s}@db/x'}}",
    "state: {{url: '{s}'}}",
    "log: {{level: '{s}'}}",
    "'{s}': 1",
    "{s}",
    "api: {{token: [{s}",
)


@pytest.mark.parametrize("text", WRONG_PLACES)
@pytest.mark.parametrize("form", ["{0}:{1}", "{1}0123456789abcdef", "Bearer {0}:{1}"])
def test_a_misplaced_secret_is_not_repeated(
    tmp_path: Path, canary: Canary, text: str, form: str
) -> None:
    secret = form.format(canary.secret("account"), canary.secret("key"))
    (tmp_path / "config.yml").write_text(text.format(s=secret))
    (tmp_path / "wrong.yml").write_text(f"basic_auth_users: {{alice: '{secret}', '{secret}': x}}")
    env = {"PEARL_API_TOKN": secret, "PEARL_API__TOKN": secret, "PEARL_OUTBOUNDS": secret}
    with chdir(tmp_path):
        run = CliRunner().invoke(main, ["serve", "--config", "config.yml"], env=env)
    assert run.exit_code == 2
    assert run.stderr
    assert canary.told_in(run.output) == set()


@pytest.mark.parametrize("command", ["serve", "check", "once", "simulate", "demo"])
def test_no_help_shows_what_the_environment_holds(canary: Canary, command: str) -> None:
    secret = canary.secret("token")
    run = CliRunner().invoke(main, [command, "--help"], env={"PEARL_API_TOKEN": secret})
    assert run.exit_code == 0
    assert canary.told_in(run.output) == set()
