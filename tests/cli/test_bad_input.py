"""Bad input: one clear line for each fault, the right exit code, no traceback, nothing started."""

import asyncio
import os
import re
import socket
from contextlib import chdir
from pathlib import Path

import pytest
from click.testing import CliRunner

from pearl_exporter.cli import main
from pearl_exporter.errors import StateError
from pearl_exporter.state.store import open_store
from tests.cli.simulated import TOKEN, simulated_api, write_config
from tests.state.states import run_sql
from tests.support.programs import run_pearl

pytestmark = pytest.mark.slow

LOADING = ("serve", "check", "once")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path, "http://127.0.0.1:9", "65f1c0ffee")


def complaints(folder: Path, *arguments: str | Path, code: int, **variables: str) -> list[str]:
    """The lines on standard error of a command that must end with this exit code."""
    told = run_pearl(folder, *arguments, **variables)
    assert told.returncode == code, told
    assert told.stdout == ""
    assert "Traceback" not in told.stderr
    assert TOKEN not in told.stderr
    return told.stderr.splitlines()


def complaints_here(folder: Path, *arguments: str, **variables: str) -> list[str]:
    """The same of a configuration that is refused with 2, without a process of its own."""
    ours = {name: None for name in os.environ if name.startswith("PEARL_")}
    with chdir(folder):
        told = CliRunner().invoke(main, arguments, env=ours | variables)
    assert told.exit_code == 2
    assert isinstance(told.exception, SystemExit)
    assert told.stdout == ""
    return told.stderr.splitlines()


def test_a_process_tells_a_bad_configuration_on_standard_error(tmp_path: Path) -> None:
    (line,) = complaints(tmp_path, "serve", "--config", "no.yml", code=2)
    assert line == (
        "pearl-exporter: no.yml: can't be read: No such file or directory, from the working "
        f"directory {tmp_path}; name the file by --config or PEARL_CONFIG"
    )


@pytest.mark.parametrize("command", LOADING)
def test_a_file_that_is_no_yaml(tmp_path: Path, command: str) -> None:
    (tmp_path / "c.yml").write_text("poll:\n  interval: 30s\n window: 1h\n")
    (line,) = complaints_here(tmp_path, command, "--config", "c.yml")
    assert line.startswith("pearl-exporter: c.yml:3: not valid YAML: ")


@pytest.mark.parametrize("command", LOADING)
def test_a_file_that_is_missing(tmp_path: Path, command: str) -> None:
    (line,) = complaints_here(tmp_path, command, "--config", "no.yml")
    assert line == (
        "pearl-exporter: no.yml: can't be read: No such file or directory, from the working "
        f"directory {tmp_path}; name the file by --config or PEARL_CONFIG"
    )


def test_a_folder_in_the_place_of_a_file(tmp_path: Path) -> None:
    (line,) = complaints_here(tmp_path, "check", "--config", ".")
    assert line == "pearl-exporter: .: can't be read: Is a directory; wanted a file"


@pytest.mark.parametrize("option", ["--config", "--output"])
def test_a_name_that_is_empty(tmp_path: Path, config: Path, option: str) -> None:
    """As a shell makes of a variable that is not set."""
    arguments = ["once", "--config", str(config), option, ""]
    told = complaints_here(tmp_path, *arguments)
    assert told[-1] == (
        f"Error: Invalid value for '{option}': the name is empty; name a file, or leave the "
        "option out"
    )


def test_a_file_that_may_not_be_read(tmp_path: Path, config: Path) -> None:
    config.chmod(0)
    tmp_path.chmod(0o755)
    is_root = os.geteuid() == 0
    with chdir(tmp_path):
        try:
            if is_root:
                os.seteuid(65534)
            told = CliRunner().invoke(main, ["check", "--config", "config.yml"])
        finally:
            if is_root:
                os.seteuid(0)
    assert told.exit_code == 2
    assert told.stderr == (
        "pearl-exporter: config.yml: can't be read: Permission denied; the user that runs this "
        "must be able to read it\n"
    )


def test_a_folder_in_the_place_of_the_state(tmp_path: Path) -> None:
    said = f"{tmp_path}: it is a folder: name a file in it, such as pearl-exporter.db"
    state = {"url": f"sqlite:///{tmp_path}"}
    path = write_config(tmp_path, "http://127.0.0.1:9", "65f1c0ffee", state=state)
    (line,) = complaints_here(tmp_path, "explain", "x", "--config", str(path))
    assert line == f"pearl-exporter: state.url: {said}"
    with pytest.raises(StateError, match=re.escape(said)):
        open_store(state["url"])


def test_the_file_named_by_the_environment_is_missing(tmp_path: Path) -> None:
    (line,) = complaints_here(tmp_path, "check", PEARL_CONFIG="gone.yml")
    assert line.startswith("pearl-exporter: gone.yml: can't be read")


def test_no_configuration_at_all(tmp_path: Path) -> None:
    outbounds, token = complaints_here(tmp_path, "serve")
    assert "PEARL_OUTBOUNDS" in outbounds
    assert "PEARL_API_TOKEN" in token


def test_no_token(tmp_path: Path) -> None:
    (tmp_path / "c.yml").write_text("outbounds: [{id: 65f1c0ffee}]\n")
    (line,) = complaints_here(tmp_path, "serve", "--config", "c.yml")
    assert "no token" in line
    assert "PEARL_API_TOKEN" in line


def test_every_fault_is_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "c.yml").write_text(
        f"api:\n  token: {TOKEN}\n  tiemout: 5s\npoll:\n  interval: soon\n"
        "outbounds:\n  - id: a\n    name: x\n  - id: b\n    name: x\n"
    )
    lines = complaints(tmp_path, "serve", "--config", "c.yml", code=2)
    assert [line.split(": ", 2)[:2] for line in lines] == [
        ["pearl-exporter", f"c.yml:{number}"] for number in (3, 5, 10)
    ]
    assert 'did you mean "timeout"?' in lines[0]
    assert 'got "soon", wanted a duration' in lines[1]
    assert "x" in lines[2]


def test_a_token_file_that_is_missing(tmp_path: Path) -> None:
    variables = {"PEARL_API_TOKEN_FILE": "/no/token", "PEARL_OUTBOUNDS": "65f1c0ffee"}
    told = complaints_here(tmp_path, "check", **variables)
    assert len(told) == 1
    assert "PEARL_API_TOKEN_FILE" in told[0]


@pytest.mark.parametrize("command", ["serve", "simulate", "demo"])
def test_a_taken_port(tmp_path: Path, command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        if command == "serve":
            web = {"listen": address}
            path = write_config(tmp_path, "http://127.0.0.1:9", "65f1c0ffee", web=web)
            key, arguments = "web.listen", ["--config", str(path)]
        else:
            key, arguments = "--listen", ["--listen", address]
        (line,) = complaints(tmp_path, command, *arguments, code=1)
    said, hint = line.split(": is another one running? ")
    assert said == f"pearl-exporter: {key}: can't listen on {address}: Address already in use"
    assert hint == "Name another address (serve: web.listen; demo: --listen)"


def test_an_address_that_is_not_ours(tmp_path: Path) -> None:
    (line,) = complaints(tmp_path, "simulate", "--listen", "192.0.2.1:80", code=1)
    assert line == (
        "pearl-exporter: --listen: can't listen on 192.0.2.1:80: Cannot assign requested address: "
        "this machine has no such address: name one that it has, or none, as in :10042"
    )


@pytest.mark.parametrize(
    ("fault", "wanted"),
    [
        ("bogus", "there is no fault 'bogus'; there are: rate_limit, "),
        ("rate_limit:2", "probability is 2"),
        ("slow:0.5,second=3", "no setting 'second'; it has: seconds, "),
        ("server_error:1,status=200", "wanted 500 to 599"),
    ],
)
def test_a_bad_fault_is_told_before_anything_listens(
    tmp_path: Path, fault: str, wanted: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        arguments = ("--listen", address, "--fault", fault)
        (line,) = complaints(tmp_path, "simulate", *arguments, code=2)
    assert line.startswith("pearl-exporter: --fault: ")
    assert wanted in line


@pytest.mark.parametrize("output", ["no/such/folder/x.prom", "config.yml/x.prom"])
def test_an_unwritable_output_is_refused_before_any_request(
    tmp_path: Path, config: Path, output: str
) -> None:
    (line,) = complaints(tmp_path, "once", "--config", config, "--output", output, code=2)
    assert line.startswith(f"pearl-exporter: --output {output}: its folder does not exist")


def test_a_folder_as_output(tmp_path: Path, config: Path) -> None:
    *_, line = complaints(tmp_path, "once", "--config", config, "--output", ".", code=2)
    assert "is a directory" in line


@pytest.mark.parametrize("command", ["check", "once"])
def test_a_full_disk_behind_standard_output(tmp_path: Path, command: str) -> None:
    with simulated_api() as api, Path("/dev/full").open("w") as full:
        path = write_config(tmp_path, api.url, api.outbound)
        told = run_pearl(tmp_path, command, "--config", path, stdout=full)
    assert told.returncode == 1
    assert told.stderr == "pearl-exporter: output: No space left on device\n"


@pytest.mark.parametrize("command", ["check", "once"])
def test_a_reader_that_has_had_enough_is_no_news(tmp_path: Path, command: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with simulated_api() as api, os.fdopen(writer, "w") as broken:
        path = write_config(tmp_path, api.url, api.outbound)
        told = run_pearl(tmp_path, command, "--config", path, stdout=broken)
    assert told.returncode == 1
    assert told.stderr == ""


def test_a_damaged_state_is_one_line_and_left_as_it_was(tmp_path: Path) -> None:
    state = tmp_path / "state.db"
    state.write_text("this is no database")
    path = write_config(
        tmp_path, "http://127.0.0.1:9", "65f1c0ffee", state={"url": f"sqlite:///{state}"}
    )
    (line,) = complaints(tmp_path, "serve", "--config", str(path), code=2)
    assert line.startswith(f"pearl-exporter: state.url: {state}: it is no SQLite database")
    assert state.read_text() == "this is no database"


def test_a_state_that_cannot_be_reached(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    url = f"sqlite:///{tmp_path}/file/state.db"
    path = write_config(tmp_path, "http://127.0.0.1:9", "65f1c0ffee", state={"url": url})
    (line,) = complaints(tmp_path, "serve", "--config", str(path), code=2)
    assert line.startswith(f"pearl-exporter: state.url: {tmp_path}/file/state.db: ")


def test_a_state_of_a_version_that_was_never_released(tmp_path: Path) -> None:
    state = tmp_path / "state.db"
    asyncio.run(open_store(f"sqlite:///{state}").aclose())
    run_sql(state, "UPDATE pearl_exporter_schema SET version = 3")
    content = state.read_bytes()
    path = write_config(
        tmp_path, "http://127.0.0.1:9", "65f1c0ffee", state={"url": f"sqlite:///{state}"}
    )
    (line,) = complaints(tmp_path, "serve", "--config", path, code=2)
    assert line.startswith(
        f"pearl-exporter: state.url: {state}: it was written by a pearl-exporter"
    )
    assert state.read_bytes() == content
