"""The command line: one thin file a command, no logic, nothing heavy imported before a command runs."""

from ussearch.cli.app import main

__all__ = ["main"]
