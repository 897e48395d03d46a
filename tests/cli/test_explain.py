"""``explain``, beside an exporter that runs on a simulated API."""

import asyncio
import json
import re
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from pearl_exporter.api.decode_calls import storable_id
from pearl_exporter.cli import main
from pearl_exporter.counting.blocks import decode_block
from pearl_exporter.counting.calls import Call
from pearl_exporter.counting.compact_ids import full_id
from pearl_exporter.counting.packing import KindTable
from pearl_exporter.counting.tracker import Tracker
from pearl_exporter.state.store import open_store
from tests.cli.simulated import base_url, simulated_api, write_config
from tests.cli.test_serve import polled_well
from tests.support.programs import run_pearl, running_pearl
from tests.support.saving import RULES, T0, apply_rows


def a_tracked_call(state: Path) -> str:
    """One of the middle: the oldest may be forgotten, and the newest deleted, any moment."""
    with closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True)) as connection:
        blocks = connection.execute("SELECT key, calls FROM blocks ORDER BY key").fetchall()
    ids = [
        short for key, calls in blocks for short in decode_block(key, calls, KindTable()).entries
    ]
    return full_id(ids[len(ids) // 2])


def test_it_tells_of_calls_while_the_exporter_runs(tmp_path: Path) -> None:
    state = tmp_path / "state.db"
    with simulated_api() as api:
        path = write_config(tmp_path, api.url, api.outbound, state={"url": f"sqlite:///{state}"})
        with running_pearl(tmp_path / "run", "serve", "--config", path) as process:
            polled_well(base_url(process.says("msg=listening")))
            call_id = a_tracked_call(state)
            told = run_pearl(tmp_path, "explain", call_id, "--config", path)
            assert told.returncode == 0, told.stderr
            assert "one" in told.stdout
            assert "was already there when tracking began" in told.stdout
            runner = CliRunner()
            found = runner.invoke(main, ["explain", call_id, "--json", "--config", str(path)])
            (fact,) = json.loads(found.output)["found"]
            assert (fact["outbound"], fact["outbound_id"]) == ("one", api.outbound)
            for odd in ("nobody", "", "\x00\x1b[2J", "f" * 5000, "\udc80", "🎉"):
                unknown = runner.invoke(main, ["explain", "--config", str(path), "--", odd])
                assert unknown.exit_code == 1, (odd, unknown.output)
                assert "calls that started from" in unknown.output
            options = ["--outbound", "typo", "--config", str(path)]
            typo = runner.invoke(main, ["explain", call_id, *options])
            assert typo.exit_code == 2
            assert typo.output.startswith("pearl-exporter: --outbound: the state holds no")
            assert "it holds: one" in typo.output


def kept(path: Path, life: list[tuple[int, list[Call]]], *outbounds: str) -> None:
    """A state in which each outbound has lived through these polls: seconds after T0, and rows."""

    async def story() -> None:
        store = open_store(f"sqlite:///{path}")
        for outbound in outbounds:
            tracker = Tracker(RULES)
            for seconds, rows in life:
                now = T0 + seconds * 1000
                ranges = [(now - RULES.window_ms, now + 1)]
                applied = apply_rows(tracker, rows, ranges=ranges, now=now)
                await store.commit(outbound, applied.delta)
        await store.aclose()

    asyncio.run(story())


def test_the_whole_life_of_a_call_in_two_outbounds(tmp_path: Path) -> None:
    state, start = tmp_path / "state.db", T0 + 1000
    life = [
        (0, []),
        (30, [Call("call", start, 40, 3)]),
        (60, [Call("call", start, 100, 4, 20.0, ("vip",))]),
        (300, [Call("call", start, 100, 4, 20.0, ("vip",))]),
        (330, [Call("call", start, 500, 4, 20.0, ("vip",))]),
    ]
    kept(state, life, "a" * 24, "b" * 24)
    url = {"url": f"sqlite:///{state}"}
    path = write_config(tmp_path, "http://127.0.0.1:1", "a" * 24, state=url)
    told = CliRunner().invoke(main, ["explain", "call", "--config", str(path)])
    assert told.exit_code == 0, told.output
    one, other = told.output.split("\n\n")
    assert "b" * 24 in other
    for line in (
        r"outbound +one",
        r"state +counted",
        r"first seen +2026-\S+Z",
        r"first seen after seconds +29.0",
        r"counted as +status=success, call_status=completed, duration_seconds=20.0, bucket_le=30.0",
        r"revised +2026-.*: status=success,.* -> status=error,",
        r"is now +status=error,.* tags=vip",
        r"in window +yes",
    ):
        assert re.search(line, one), (line, one)


def test_a_call_that_was_missing_for_a_while_says_so(tmp_path: Path) -> None:
    state, live = tmp_path / "state.db", [Call("call", T0 + 1000, 40, 3)]
    life = [(0, []), (30, live), (60, []), (90, []), (120, live), (150, [])]
    kept(state, life, "a" * 24)
    url = {"url": f"sqlite:///{state}"}
    path = write_config(tmp_path, "http://127.0.0.1:1", "a" * 24, state=url)
    told = CliRunner().invoke(main, ["explain", "call", "--config", str(path)])
    assert [line.split(maxsplit=1) for line in told.output.splitlines() if "missing" in line] == [
        ["missing", "from 2026-11-18T11:07:40.000Z to 2026-11-18T11:08:40.000Z"],
        ["missing", "from 2026-11-18T11:09:10.000Z and still"],
    ]
    assert "absent                    the last poll missed it" in told.output
    told = CliRunner().invoke(main, ["explain", "call", "--json", "--config", str(path)])
    (fact,) = json.loads(told.output)["found"]
    assert [each["to"] for each in fact["missing"]] == ["2026-11-18T11:08:40.000Z", None]


def test_a_machine_reads_every_moment_as_rfc_3339(tmp_path: Path) -> None:
    state = tmp_path / "state.db"
    live = [Call("call", T0 + 1000, 40, 3)]
    done = [Call("call", T0 + 1000, 100, 4, 20.0)]
    revised = [Call("call", T0 + 1000, 500, 4, 20.0)]
    kept(state, [(0, []), (30, live), (300, done), (330, revised)], "a" * 24)
    path = write_config(
        tmp_path, "http://127.0.0.1:1", "a" * 24, state={"url": f"sqlite:///{state}"}
    )
    options = ["--json", "--config", str(path)]
    told = json.loads(CliRunner().invoke(main, ["explain", "call", *options]).output)
    (fact,), (tracked,) = told["found"], told["tracked"]
    moments = [fact["started"], fact["first_seen"], fact["counted_at"], fact["in_window_until"]]
    moments += [fact["revisions"][0]["at"], tracked["tracked_from"], tracked["tracked_to"]]
    for moment in moments:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", moment), moment
    assert datetime.fromisoformat(fact["started"]).timestamp() * 1000 == T0 + 1000


def test_a_call_whose_id_is_stored_as_a_hash_is_found(tmp_path: Path) -> None:
    state, number = tmp_path / "state.db", "call-+4915150777001"
    kept(state, [(0, []), (30, [Call(storable_id(number), T0 + 1000, 40, 3)])], "a" * 24)
    url = {"url": f"sqlite:///{state}"}
    path = write_config(tmp_path, "http://127.0.0.1:1", "a" * 24, state=url)
    told = CliRunner().invoke(main, ["explain", number, "--config", str(path)])
    assert told.exit_code == 0
    assert "live" in told.output


@pytest.mark.parametrize(
    ("last", "said"),
    [
        ([(60, []), (180, [])], "not counted: deleted, 2026-"),
        ([(60, [])], "live, last seen live at 2026-"),
        ([(60, [Call("call", T0 + 1000, 40, 3)])], "live, last seen live at 2026-"),
        ([(60, [Call("call", T0 + 1000, 100, 4, 50.0)])], "finished, counts at 2026-"),
    ],
)
def test_a_call_that_is_not_counted_says_why(
    tmp_path: Path, last: list[tuple[int, list[Call]]], said: str
) -> None:
    state = tmp_path / "state.db"
    kept(state, [(0, []), (30, [Call("call", T0 + 1000, 40, 3)]), *last], "a" * 24)
    url = {"url": f"sqlite:///{state}"}
    path = write_config(tmp_path, "http://127.0.0.1:1", "a" * 24, state=url)
    told = CliRunner().invoke(main, ["explain", "call", "--config", str(path)])
    assert said in told.output


@pytest.mark.parametrize(
    ("url", "said"), [("memory:", "keeps nothing"), ("sqlite:///{}/none.db", "no such file")]
)
def test_where_nothing_is_kept_it_says_so(tmp_path: Path, url: str, said: str) -> None:
    state = {"url": url.format(tmp_path)}
    path = write_config(tmp_path, "http://127.0.0.1:1", "a" * 24, state=state)
    told = CliRunner().invoke(main, ["explain", "call", "--config", str(path)])
    assert told.exit_code == 2
    assert said in told.output
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize(
    "api", ["{}", "{token_file: gone}", "{token: }", "{token: x, token_file: gone}", "{token: 4}"]
)
@pytest.mark.parametrize("outbound", ["", ", token_file: gone"])
def test_it_needs_no_token(tmp_path: Path, api: str, outbound: str) -> None:
    """The service alone may know it, as under systemd."""
    state, path = tmp_path / "state.db", tmp_path / "config.yml"
    kept(state, [(0, []), (30, [Call("call", T0 + 1000, 40, 3)])], "a" * 24)
    path.write_text(
        f"api: {api}\nstate: {{url: 'sqlite:///{state}'}}\n"
        f"outbounds: [{{id: {'a' * 24}, name: one{outbound}}}]\n"
        "web: {config_file: gone.yml}\ndiscovery: {enabled: true}\n"
    )
    variables = {"PEARL_API_TOKEN_FILE": str(tmp_path / "gone")}
    told = CliRunner().invoke(main, ["explain", "call", "--config", str(path)], env=variables)
    assert told.exit_code == 0, told.output
    assert "live" in told.output


def test_what_else_is_wrong_with_the_configuration_is_told(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    path.write_text("api: {token_fil: x}\noutbounds: [{id: a}]\npoll: {window: 5x}\n")
    told = CliRunner().invoke(main, ["explain", "call", "--config", str(path)])
    assert told.exit_code == 2
    assert 'did you mean "token_file"?' in told.output
    assert "poll.window" in told.output
