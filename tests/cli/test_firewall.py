"""``check`` before a firewall says so, and does not blame the token."""

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from tests.cli.simulated import write_config
from tests.support.programs import run_pearl
from tests.support.serving import serving

pytestmark = pytest.mark.slow

PAGE = "<!DOCTYPE html><title>Just a moment...</title>"


def told_before(tmp_path: Path, answer: Response) -> tuple[str, int]:
    """The line of the outbound, and the exit code."""

    async def endpoint(_request: object) -> Response:
        return answer

    app = Starlette(routes=[Route("/{path:path}", endpoint, methods=["GET", "POST"])])
    with serving(app) as url:
        told = run_pearl(tmp_path, "check", "--config", write_config(tmp_path, url, "65f1c0ffee"))
    assert told.stderr == ""
    return told.stdout.splitlines()[0], told.returncode


def test_a_challenge_is_told(tmp_path: Path) -> None:
    answer = HTMLResponse(PAGE, 403, {"cf-mitigated": "challenge"})
    assert told_before(tmp_path, answer) == (
        (
            "FAIL  one (65f1c0ffee): bad_response: 403, a challenge (cf-mitigated): a firewall "
            "before the API?"
        ),
        1,
    )


def test_a_page_of_html_is_told(tmp_path: Path) -> None:
    assert told_before(tmp_path, HTMLResponse(PAGE, 403)) == (
        (
            "FAIL  one (65f1c0ffee): bad_response: 403, a page of HTML (text/html): a firewall or "
            "proxy before the API?"
        ),
        1,
    )


def test_a_request_that_came_too_late_is_told(tmp_path: Path) -> None:
    line, code = told_before(tmp_path, Response(status_code=408))
    assert line.startswith("FAIL  one (65f1c0ffee): timeout: the API answered 408 Request Timeout")
    assert "id right" not in line
    assert code == 1
