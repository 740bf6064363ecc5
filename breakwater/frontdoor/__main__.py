"""`python -m breakwater.frontdoor`: starts the front door, or says in one line why it cannot."""

from __future__ import annotations

import logging
import sys

STOPPED = 2


def main() -> int:
    # Imported here, so that the worker for long texts, which imports this package, stays small.
    import uvicorn

    from breakwater.clinic import ClinicError, load_clinic
    from breakwater.frontdoor.app import create_app
    from breakwater.frontdoor.metrics import log_to_stderr
    from breakwater.frontdoor.settings import SettingsError, for_clinic, from_environment
    from breakwater.safety.rulebook import RuleBookError
    from breakwater.safety.words import WordsError, load_words

    log_to_stderr()
    try:
        clinic = load_clinic()
        settings = for_clinic(from_environment(), clinic)
        words = load_words().for_clinic(clinic.name, clinic.phone, clinic.lines, clinic.sentences())
        app = create_app(settings, words)
    except (SettingsError, ClinicError, WordsError, RuleBookError) as error:
        print(f"The front door cannot start. {error}", file=sys.stderr)
        return STOPPED
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            ws="none",
            proxy_headers=False,  # whose address a request has is decided in limits.py
            server_header=False,
            access_log=False,  # a path may name a session
            log_config=None,
            timeout_graceful_shutdown=10,
            lifespan="on",
        )
    )
    server.run()
    return 0 if server.started else STOPPED


if __name__ == "__main__":
    sys.exit(main())
