"""What every test needs: a place of its own for what Breakwater writes, and no telemetry."""

import os
import tempfile

# Set before anything of the project is imported: breakwater.paths reads them once.
os.environ.setdefault("BREAKWATER_VAR", tempfile.mkdtemp(prefix="breakwater-test-"))
os.environ["RASA_TELEMETRY_ENABLED"] = "false"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("SQLALCHEMY_SILENCE_UBER_WARNING", "1")
for name in ("BREAKWATER_TRACE", "BREAKWATER_CLINIC", "BREAKWATER_SECRET", "BREAKWATER_STORE"):
    os.environ.pop(name, None)

from tests.running import running  # noqa: E402  (after the environment is set)

__all__ = ["running"]
