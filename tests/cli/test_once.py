"""``once``: window and health of one poll, for a textfile collector; no counter."""

import os
import resource
import subprocess
import threading
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pearl_exporter.cli.once import write_by_rename
from tests.cli.simulated import simulated_api, write_config
from tests.support.patience import HANGING_SECONDS
from tests.support.programs import debian_program, environment, pearl_command, run_pearl

OLD = "pearl_outbound_up 0\n"


def test_it_prints_gauges_and_no_counter(tmp_path: Path) -> None:
    with simulated_api(outbounds=2) as api:
        outbounds = [{"id": api.outbound, "name": "one"}, {"id": api.others[0], "name": "two"}]
        path = write_config(tmp_path, api.url, api.outbound, outbounds=outbounds)
        told = run_pearl(tmp_path, "once", "--config", path)
    assert told.returncode == 0
    assert told.stderr == ""
    families = {family.name: family for family in text_string_to_metric_families(told.stdout)}
    assert {family.type for family in families.values()} == {"gauge", "unknown"}
    assert [name for name in families if name.endswith(("_total", "_created"))] == []
    assert "pearl_calls" not in families
    assert "pearl_window_call_duration_seconds_bucket" in families
    ups = {each.labels["outbound"]: each.value for each in families["pearl_outbound_up"].samples}
    assert ups == {"one": 1.0, "two": 1.0}
    assert sum(each.value for each in families["pearl_window_calls"].samples) > 0


def test_promtool_finds_nothing_to_complain_of(tmp_path: Path) -> None:
    with simulated_api() as api:
        path = write_config(tmp_path, api.url, api.outbound)
        told = run_pearl(tmp_path, "once", "--config", path)
    command = [debian_program("promtool"), "check", "metrics"]
    checked = subprocess.run(
        command, input=told.stdout, capture_output=True, text=True, check=False
    )
    assert (checked.stdout, checked.stderr, checked.returncode) == ("", "", 0)


@pytest.mark.parametrize("name", ["Sömmer", "Sömmer 🎉"])
def test_it_prints_utf_8_in_a_locale_of_latin_1(tmp_path: Path, name: str) -> None:
    """As from cron with ``LANG=de_DE.ISO-8859-1``; what is for people has an escape instead."""

    def printed(command: str) -> bytes:
        ran = subprocess.run(
            pearl_command(command, "--config", path),
            cwd=tmp_path,
            env=environment(PYTHONIOENCODING="latin-1"),
            capture_output=True,
            timeout=HANGING_SECONDS,
            check=False,
        )
        assert (ran.returncode, ran.stderr) == (0, b"")
        return ran.stdout

    with simulated_api() as api:
        named = [{"id": api.outbound, "name": name}]
        path = write_config(tmp_path, api.url, api.outbound, outbounds=named)
        exposition, checked = printed("once"), printed("check")
    assert f'pearl_outbound_up{{outbound="{name}"}} 1.0' in exposition.decode()
    assert name.encode("latin-1", errors="backslashreplace") in checked


def test_nothing_that_lies_in_the_way_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if somebody guesses the temporary name and puts a link there."""
    monkeypatch.setattr("secrets.token_hex", lambda _: "guessed")
    victim, output = tmp_path / "victim", tmp_path / "pearl.prom"
    victim.write_text(OLD)
    (tmp_path / ".pearl-exporter.guessed.tmp").symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_by_rename(output, b"new")
    assert victim.read_text() == OLD
    assert not output.exists()


def test_the_output_file_is_put_in_place_whole(tmp_path: Path) -> None:
    output = tmp_path / "pearl.prom"
    output.write_text(OLD)
    before = output.stat().st_ino
    with output.open() as reading, simulated_api() as api:
        path = write_config(tmp_path, api.url, api.outbound)
        told = run_pearl(tmp_path, "once", "--config", path, "--output", output)
        # who reads the old file goes on reading the old file: it was not written into
        assert reading.read() == OLD
    assert (told.stdout, told.stderr, told.returncode) == ("", "", 0)
    assert output.stat().st_ino != before
    assert 'pearl_outbound_up{outbound="one"} 1.0' in output.read_text()
    assert {each.name for each in tmp_path.iterdir()} == {"config.yml", "pearl.prom"}
    assert output.stat().st_mode & 0o444 == 0o444 & ~_umask()


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def test_a_file_that_cannot_be_written_keeps_the_old_one(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk, which only root could make."""
    output = tmp_path / "pearl.prom"
    output.write_text(OLD)
    variables = environment(PYTHONDONTWRITEBYTECODE="1").items()
    # what measures the coverage of tests would write a larger file
    small_files_alone = {name: text for name, text in variables if not name.startswith("COVERAGE")}
    with simulated_api() as api:
        path = write_config(tmp_path, api.url, api.outbound)
        told = subprocess.run(
            pearl_command("once", "--config", path, "--output", "pearl.prom"),
            cwd=tmp_path,
            env=small_files_alone,
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024)),
        )
    assert told.stderr == "pearl-exporter: pearl.prom: File too large\n"
    assert (told.stdout, told.returncode) == ("", 1)
    assert output.read_text() == OLD
    assert {each.name for each in tmp_path.iterdir()} == {"config.yml", "pearl.prom"}


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "pearl.prom"
    link.symlink_to("real/pearl.prom")
    with simulated_api() as api:
        path = write_config(tmp_path, api.url, api.outbound)
        told = run_pearl(tmp_path, "once", "--config", path, "--output", link)
    assert told.returncode == 0
    assert link.is_symlink()
    assert "pearl_outbound_up" in (tmp_path / "real" / "pearl.prom").read_text()


def test_what_is_no_file_is_written_to_and_stays_what_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    with simulated_api() as api:
        path = write_config(tmp_path, api.url, api.outbound)
        told = run_pearl(tmp_path, "once", "--config", path, "--output", pipe)
        full = run_pearl(tmp_path, "once", "--config", path, "--output", "/dev/full")
    reader.join(HANGING_SECONDS)
    assert told.returncode == 0
    assert "pearl_outbound_up" in read[0]
    assert pipe.is_fifo()
    assert full.stderr == "pearl-exporter: /dev/full: No space left on device\n"
    assert full.returncode == 1
    assert Path("/dev/full").is_char_device()


@pytest.mark.parametrize(
    ("fault", "reason"), [("not_found", "not_found"), ("html", "bad_response")]
)
def test_a_failed_poll_is_told_and_its_health_printed(
    tmp_path: Path, fault: str, reason: str
) -> None:
    with simulated_api(fault) as api:
        path = write_config(tmp_path, api.url, api.outbound)
        told = run_pearl(tmp_path, "once", "--config", path)
    assert told.returncode == 1
    assert told.stderr.startswith(f"one: {reason}: ")
    assert len(told.stderr.splitlines()) == 1
    assert 'pearl_outbound_up{outbound="one"} 0.0' in told.stdout
    assert "pearl_window" not in told.stdout
    assert "pearl_live" not in told.stdout


def test_one_that_fails_does_not_hide_the_others(tmp_path: Path) -> None:
    with simulated_api() as api:
        outbounds = [{"id": "65f1c0ffee", "name": "typo"}, {"id": api.outbound, "name": "fine"}]
        path = write_config(tmp_path, api.url, api.outbound, outbounds=outbounds)
        told = run_pearl(tmp_path, "once", "--config", path)
    assert told.returncode == 1
    assert 'pearl_outbound_up{outbound="fine"} 1.0' in told.stdout
    assert 'pearl_outbound_up{outbound="typo"} 0.0' in told.stdout
    assert 'pearl_window_seconds{outbound="fine"} 600.0' in told.stdout
