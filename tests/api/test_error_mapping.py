"""Why the API was not reached: real failures of names, ports and TLS, described by the host."""

import errno
import socket

import pytest

from pearl_exporter.api.deadline import Deadline
from pearl_exporter.api.error_mapping import connection_error_message
from pearl_exporter.errors import ConnectionFailedError
from pearl_exporter.reading.search import Search
from tests.support.real_client import a_real_client
from tests.support.stream_servers import listening

pytestmark = pytest.mark.still_time

SECRET = "s3cr3t"
CHECKS = "(check DNS, api.url, api.proxy)"


@pytest.fixture
def dead_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


async def failure(url: str, **settings: object) -> str:
    async with a_real_client(url, **settings) as client:
        with pytest.raises(ConnectionFailedError) as raised:
            await client.search("out", Search(0, 1, 0, 1), Deadline(5.0, retries=False))
    assert SECRET not in str(raised.value)
    return str(raised.value)


async def test_a_name_that_is_not_known():
    message = await failure("https://nowhere.invalid")
    assert message.startswith("no connection to nowhere.invalid: its name ")
    assert message.endswith(CHECKS)


async def test_a_proxy_whose_name_is_not_known_is_not_named():
    message = await failure("https://api.test", proxy=f"http://user:{SECRET}@nowhere.invalid:3128")
    assert message.startswith("no connection to api.test through api.proxy: the proxy's name ")
    assert "nowhere" not in message


async def test_a_port_where_nobody_listens(dead_port):
    assert await failure(f"http://127.0.0.1:{dead_port}") == (
        f"no connection to 127.0.0.1:{dead_port}: refused, nobody listens there "
        "(check api.url, api.proxy)"
    )


async def test_https_where_http_is_spoken():
    async def refuse(reader, writer):
        await reader.read(100)
        writer.write(f"HTTP/1.1 400 {SECRET}\r\n\r\n".encode())
        await writer.drain()

    async with listening(refuse) as port:
        message = await failure(f"https://127.0.0.1:{port}")
    assert message == (
        f"no connection to 127.0.0.1:{port}: it answers no TLS: is it http:// "
        "(check api.url, api.proxy)?"
    )


async def test_a_peer_that_hangs_up_is_named_too():
    async def hang_up(reader, writer):
        await reader.read(100)

    async with listening(hang_up) as port:
        message = await failure(f"http://127.0.0.1:{port}")
    assert message == f"no connection to 127.0.0.1:{port}, or a broken one: RemoteProtocolError"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (socket.gaierror(socket.EAI_AGAIN, "x"), f"its name can't be looked up now {CHECKS}"),
        (OSError(errno.ENETUNREACH, "Connect call failed"), "Network is unreachable"),
    ],
)
def test_what_can_t_be_had_here(error, said):
    assert (
        connection_error_message(error, "host", has_proxy=False) == f"no connection to host: {said}"
    )


def test_an_error_that_is_not_the_system_s_has_no_message():
    assert connection_error_message(ValueError(SECRET), "host", has_proxy=False) is None
    assert connection_error_message(OSError(SECRET), "host", has_proxy=False) is None


def test_of_several_addresses_the_last_one_s_error_is_told():
    """The client tries IPv6 first, which in many networks is not there at all."""
    group = ExceptionGroup("", [OSError(errno.ENETUNREACH, "x"), ConnectionRefusedError(111, "x")])
    error = OSError("All connection attempts failed")
    error.__cause__ = group
    message = connection_error_message(error, "host", has_proxy=False)
    assert message.startswith("no connection to host: refused")


def test_errors_that_form_a_circle_are_walked_once():
    one, other = ValueError(), ValueError()
    one.__cause__, other.__cause__ = other, one
    assert connection_error_message(one, "host", has_proxy=False) is None
