"""For the tests of the configuration."""

from pathlib import Path

import pytest


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a folder of the test's own the working directory."""
    monkeypatch.chdir(tmp_path)
