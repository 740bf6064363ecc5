"""`python -m breakwater.frontdoor`: starts the front door, or says in one line why it cannot."""

from __future__ import annotations

import gc
import logging
import socket
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

CANNOT_START = 2
GRACE = 10  # seconds that turns in flight have when the process is asked to end


def main() -> int:
    # Imported here, so that a mistake in a file of the clinic's is said before anything else can go wrong.
    from breakwater.clinic import ClinicError, load_clinic
    from breakwater.frontdoor.app import create_app
    from breakwater.frontdoor.metrics import log_to_stderr
    from breakwater.frontdoor.settings import SettingsError, for_clinic, from_environment
    from breakwater.safety.rulebook import RuleBookError
    from breakwater.safety.words import WordsError, load_words

    log_to_stderr()
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    try:
        clinic = load_clinic()
        settings = for_clinic(from_environment(), clinic)
        door = listen(settings.host, settings.port)
        words = load_words().for_clinic(clinic.name, clinic.phone, clinic.lines, clinic.sentences())
        app = create_app(settings, words)
    except (SettingsError, ClinicError, WordsError, RuleBookError) as error:
        print(f"The front door cannot start. {error}", file=sys.stderr)
        return CANNOT_START
    # The rule book is many small objects that stay: the collector would walk them again and again, and a
    # reply in its way would wait 60 ms.
    gc.collect()
    gc.freeze()
    server(app).run(sockets=[door])
    return 0


def listen(host: str, port: int) -> socket.socket:
    """The socket that people reach. SettingsError when there is none to be had."""
    from breakwater.frontdoor.settings import SettingsError

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        found = f"{host}:{port} cannot be used ({error.strerror})"
        raise SettingsError("BREAKWATER_PORT", found, "end what uses it, or set another port") from None


def server(app: ASGIApp) -> uvicorn.Server:
    """uvicorn as the front door runs it."""
    import uvicorn

    return uvicorn.Server(
        uvicorn.Config(
            app,
            ws="none",
            lifespan="on",
            proxy_headers=False,  # whose address a request has is decided in limits.py
            server_header=False,
            access_log=False,  # a path may name a session
            log_config=None,
            timeout_graceful_shutdown=GRACE,
        )
    )


if __name__ == "__main__":
    sys.exit(main())
