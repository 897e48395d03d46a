"""The image's health check, against real servers; with TLS see end_to_end/test_access.py."""

import socket

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from pearl_exporter.healthcheck import main
from tests.support.serving import serving


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_it_is_as_healthy_as_it_says(status, code, capsys):
    route = Route("/-/healthy", lambda _: PlainTextResponse("", status_code=status))
    with serving(Starlette(routes=[route])) as url:
        assert main([url.removeprefix("http://")]) == code
    assert ("answered 503" in capsys.readouterr().err) == bool(code)


def test_without_an_address_it_asks_where_the_exporter_listens(monkeypatch, capsys):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("PEARL_WEB__LISTEN", f"0.0.0.0:{port}")
    assert main([]) == 1
    assert "no answer: " in capsys.readouterr().err


def test_an_address_that_is_none_is_told(capsys):
    assert main(["localhost"]) == 1
    assert capsys.readouterr().err == "localhost: not HOST:PORT\n"
