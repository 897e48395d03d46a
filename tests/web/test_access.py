"""Which requests reach an endpoint, over ASGI: size, rate limit, password, and headers."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import bcrypt
import httpx
import pytest
import yaml

from pearl_exporter.web.access import Access
from pearl_exporter.web.config_watcher import WebConfigWatcher
from pearl_exporter.web.endpoints import build_endpoints
from pearl_exporter.web.pages.rendering import CONTENT_SECURITY_POLICY
from tests.exposition.scraped import polled
from tests.web.test_endpoints import a_view

ALICE = ("alice", "secret")
USERS = {"alice": bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()}
CLOSED = ("/", "/metrics", "/-/reload", "/nothing", "/-/healthy/", "/-/healthy?verbose")
OPEN = ("/-/healthy", "/-/ready")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def client_of(folder: Path, clock: Clock | None = None, **sections) -> httpx.AsyncClient:
    path = folder / "web.yml"
    path.write_text(yaml.safe_dump(sections))
    web = WebConfigWatcher(path)
    asgi = Access(build_endpoints(a_view(polled())), lambda: web.active, clock or Clock())
    return httpx.AsyncClient(transport=httpx.ASGITransport(asgi), base_url="http://exporter")


@pytest.fixture
async def guarded(tmp_path) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"X-Frame-Options": "deny", "Content-Security-Policy": "default-src 'self'"}
    sections = {"basic_auth_users": USERS, "http_server_config": {"headers": headers}}
    async with client_of(tmp_path, **sections) as client:
        yield client


@pytest.mark.parametrize("path", CLOSED)
async def test_without_credentials_the_answer_is_401(guarded, path):
    for method in ("GET", "POST", "HEAD", "OPTIONS"):
        answer = await guarded.request(method, path)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic")


async def test_unknown_user_and_wrong_password_look_the_same(guarded):
    answers = [
        await guarded.get("/metrics", auth=auth)
        for auth in (("alice", "wrong"), ("eve", "secret"), ("alice", "secre"), ("", ""))
    ]
    assert {each.status_code for each in answers} == {401}
    assert len({(each.text, tuple(each.headers.items())) for each in answers}) == 1


async def test_a_user_gets_every_endpoint(guarded):
    assert (await guarded.get("/", auth=ALICE)).status_code == 200
    assert "pearl_outbound_up" in (await guarded.get("/metrics", auth=ALICE)).text
    assert (await guarded.get("/nothing", auth=ALICE)).status_code == 404


async def test_two_headers_of_credentials_are_none(guarded):
    given = guarded.build_request("GET", "/", headers={}).headers
    right = httpx.BasicAuth(*ALICE)._auth_header
    headers = [*given.raw, (b"authorization", right.encode()), (b"authorization", right.encode())]
    assert (await guarded.get("/", headers=headers)).status_code == 401


@pytest.mark.parametrize("path", OPEN)
async def test_probes_need_no_credentials(guarded, path):
    assert (await guarded.get(path)).status_code == 200
    assert (await guarded.get(path, auth=("alice", "wrong"))).status_code == 200


@pytest.mark.parametrize("path", [*CLOSED, *OPEN])
@pytest.mark.parametrize("auth", [None, ALICE])
async def test_every_answer_has_the_headers(guarded, path, auth):
    answer = await guarded.get(path, **({} if auth is None else {"auth": auth}))
    assert answer.headers["x-frame-options"] == "deny"


async def test_an_answers_own_header_stays_and_is_not_doubled(guarded):
    page = await guarded.get("/", auth=ALICE)
    assert page.headers.get_list("content-security-policy") == [CONTENT_SECURITY_POLICY]
    metrics = await guarded.get("/metrics", auth=ALICE)
    assert metrics.headers.get_list("content-security-policy") == ["default-src 'self'"]


async def test_a_small_body_is_let_pass_and_a_large_one_is_not(guarded):
    for size, status in ((0, 405), (4096, 405), (4097, 413), (1_000_000, 413)):
        answer = await guarded.post("/metrics", auth=ALICE, content=b"x" * size)
        assert answer.status_code == status, size
        assert answer.headers["x-frame-options"] == "deny"


@pytest.mark.parametrize(("pieces", "status"), [(4, 405), (5, 413), (10_000, 413)])
async def test_a_body_without_a_length_is_counted(guarded, pieces, status):
    taken = 0

    async def body():
        nonlocal taken
        for _ in range(pieces):
            taken += 1
            yield b"x" * 1024

    answer = await guarded.post("/metrics", auth=ALICE, content=body())
    assert answer.status_code == status
    assert taken < 100


async def test_requests_over_the_rate_limit_are_429_but_for_probes(tmp_path):
    clock = Clock()
    limit = {"interval": "1s", "burst": 2}
    async with client_of(tmp_path, clock, rate_limit=limit) as client:
        codes = [(await client.get("/metrics")).status_code for _ in range(3)]
        assert codes == [200, 200, 429]
        assert (await client.get("/-/healthy")).status_code == 200
        clock.now += 1
        assert (await client.get("/metrics")).status_code == 200


async def test_wrong_passwords_use_up_none_of_the_users_requests(tmp_path):
    limit = {"interval": "1h", "burst": 2}
    async with client_of(tmp_path, rate_limit=limit, basic_auth_users=USERS) as client:
        for number in range(9):
            auth = None if number % 2 else ("alice", f"guess {number % 4}")
            assert (await client.get("/metrics", auth=auth)).status_code == 401
        codes = [(await client.get("/metrics", auth=ALICE)).status_code for _ in range(3)]
        assert codes == [200, 200, 429]


async def test_without_a_configuration_everybody_is_let_in():
    web = WebConfigWatcher(None)
    asgi = Access(build_endpoints(a_view(polled())), lambda: web.active)
    transport = httpx.ASGITransport(asgi)
    async with httpx.AsyncClient(transport=transport, base_url="http://exporter") as client:
        for path in ("/", "/metrics", *OPEN):
            assert (await client.get(path)).status_code == 200


async def test_no_endpoint_takes_an_address_or_an_id(guarded):
    """What a request names is never asked for: every query means the same, every path is known."""
    for query in ("target=http://169.254.169.254/", "id=65f1c0ffee", "outbound=x&url=file:///etc"):
        for path in ("/", "/metrics"):
            texts = [(await guarded.get(path + end, auth=ALICE)).text for end in ("", f"?{query}")]
            assert len(set(map(_without_process, texts))) == 1
    for path in ("/probe", "/proxy/http://x", "/metrics/65f1c0ffee", "//etc/passwd", "/../x"):
        assert (await guarded.get(path, auth=ALICE)).status_code == 404


def _without_process(text: str) -> str:
    """What this process itself costs moves from one scrape to the next."""
    return re.sub(r"^(process|python)_.*\n", "", text, flags=re.MULTILINE)
