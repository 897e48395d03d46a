"""``explain``, beside an exporter that runs on a simulated API."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from pearl_exporter.blocks import decode_block
from pearl_exporter.cli import main
from pearl_exporter.kinds import Kinds
from pearl_exporter.short_ids import long_id
from tests.cli.simulated import base_url, simulated_api, write_config
from tests.cli.test_serve import polled_well
from tests.programs import run_pearl, running_pearl


def a_tracked_call(state: Path) -> str:
    """One of the middle: the oldest may be forgotten, and the newest deleted, any moment."""
    with closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True)) as connection:
        blocks = connection.execute("SELECT key, calls FROM blocks ORDER BY key").fetchall()
    ids = [short for key, calls in blocks for short in decode_block(key, calls, Kinds()).entries]
    return long_id(ids[len(ids) // 2])


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
                assert "tracked are calls that started from" in unknown.output
            options = ["--outbound", "typo", "--config", str(path)]
            typo = runner.invoke(main, ["explain", call_id, *options])
            assert (typo.exit_code, "it holds: one" in typo.output) == (2, True)


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
