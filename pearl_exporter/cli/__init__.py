"""The command line: commands, options, help and exit codes."""

from pearl_exporter.cli.commands import main

__all__ = ["main"]
