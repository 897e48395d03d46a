"""The command line: commands, help and exit codes (0 well, 1 failed at its job, 2 bad usage)."""

from pearl_exporter.cli.commands import main

__all__ = ["main"]
