"""What the configuration names may be a pipe, a device or a folder: nothing hangs."""

import os
import threading
from pathlib import Path

import pytest

from pearl_exporter.config.files import read_capped
from pearl_exporter.config.load import load_settings
from pearl_exporter.errors import ConfigError

CONTENT = b"outbounds: [{id: a}]\n" * 5_000
"""More than a pipe holds at once."""

VARIABLES = {
    "api.ca_file": "PEARL_API__CA_FILE",
    "api.token_file": "PEARL_API_TOKEN_FILE",
    "web.config_file": "PEARL_WEB__CONFIG_FILE",
}


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


def read(path: Path, **limits: float) -> bytes:
    return read_capped(path, 1024 * 1024, "is too large", **limits)


def write(descriptor: int) -> None:
    with os.fdopen(descriptor, "wb") as pipe:
        pipe.write(CONTENT)


def test_a_named_pipe_is_read_until_its_writer_closes_it(fifo):
    writer = threading.Thread(target=fifo.write_bytes, args=(CONTENT,))
    writer.start()
    assert read(fifo) == CONTENT
    writer.join()


def test_a_shell_s_substitution_is_read_once():
    reading, writing = os.pipe()
    with os.fdopen(reading):
        writer = threading.Thread(target=write, args=(writing,))
        writer.start()
        assert read(Path(f"/dev/fd/{reading}")) == CONTENT
        writer.join()
        with pytest.raises(ValueError, match="only once"):
            read(Path(f"/dev/fd/{reading}"))


@pytest.mark.parametrize("is_begun", [False, True])
def test_a_pipe_that_is_not_written_whole_is_given_up(fifo, is_begun):
    keeper = os.open(fifo, os.O_RDWR) if is_begun else None
    if keeper is not None:
        os.write(keeper, b"outbounds:")
    with pytest.raises(ValueError, match=r"did not finish within 0\.1 s"):
        read(fifo, pipe_seconds=0.1)
    if keeper is not None:
        os.close(keeper)


def test_a_device_without_an_end_is_too_large():
    with pytest.raises(ValueError, match="is too large"):
        read(Path("/dev/zero"))


@pytest.mark.parametrize("where", VARIABLES)
def test_other_files_are_regular_ones(fifo, where):
    environment = {
        "PEARL_OUTBOUNDS": "a",
        VARIABLES[where]: str(fifo),
        **({"PEARL_API_TOKEN": "a:b"} if where != "api.token_file" else {}),
    }
    with pytest.raises(ConfigError, match="regular file"):
        load_settings(None, environment)
