"""End to end: everything is up, as a clinic runs it."""

from tests.running import running

__all__ = ["running"]
