"""The front door's settings, read once from the environment and from clinic.yml.

A value that is not understood stops the start with its name and what to write instead. Secrets are never
printed.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from breakwater import paths
from breakwater.clinic import Clinic

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

IN_MEMORY = ":memory:"


class SettingsError(Exception):
    """One setting cannot be used; the text names it and says what to do."""

    def __init__(self, name: str, found: str, todo: str) -> None:
        super().__init__(f"{name}: {found}; {todo}")


@dataclass(frozen=True)
class Settings:
    secret: bytes = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 8080
    assistant_url: str = "http://127.0.0.1:5005"
    store: str = IN_MEMORY
    deadline: float = 6.0  # seconds that a turn gives the assistant, waiting for its place included
    greeting_deadline: float = 2.0  # the same, where something has been said already
    screen_deadline: float = 4.0  # seconds for a long text in the worker
    trace: bool = False
    sms_tokens: tuple[str, ...] = field(default=(), repr=False)
    public_url: str = "http://127.0.0.1:8080"
    trusted_proxies: tuple[Network, ...] = ()
    metrics_token: str | None = field(default=None, repr=False)
    session_limit: int = 40  # messages a minute; 0 is no limit, here and below
    address_limit: int = 120  # messages a minute
    opening_limit: int = 60  # sessions an hour that one address may open
    idle: float = 3600.0  # seconds after which a web talk ends
    texting_idle: float = 24 * 3600.0  # the same for texting
    hold_idle: float = 24 * 3600.0  # the same for a hold, on every channel
    sessions_in_memory: int = 5000
    embed_origins: tuple[str, ...] = ()


def from_environment(environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from BREAKWATER_…; makes VAR/secret when there is none. SettingsError for a bad value."""
    env = os.environ if environ is None else environ
    host = env.get("BREAKWATER_HOST") or "127.0.0.1"
    port = _whole(env, "BREAKWATER_PORT", 8080, 0, 65535)
    local = f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}"
    return Settings(
        secret=_secret(env),
        host=host,
        port=port,
        assistant_url=_url(env, "BREAKWATER_ASSISTANT_URL", "http://127.0.0.1:5005"),
        store=env.get("BREAKWATER_STORE") or str(paths.VAR / "breakwater.sqlite3"),
        deadline=_seconds(env, "BREAKWATER_DEADLINE", 6.0, 0.1, 12.0),
        screen_deadline=_seconds(env, "BREAKWATER_SCREEN_DEADLINE", 4.0, 0.1, 10.0),
        trace=env.get("BREAKWATER_TRACE") == "1",
        sms_tokens=tuple(filter(None, (t.strip() for t in env.get("BREAKWATER_SMS_TOKENS", "").split(",")))),
        public_url=_url(env, "BREAKWATER_PUBLIC_URL", local),
        trusted_proxies=_networks(env, "BREAKWATER_TRUSTED_PROXIES"),
        metrics_token=env.get("BREAKWATER_METRICS_TOKEN") or None,
        session_limit=_whole(env, "BREAKWATER_LIMIT_SESSION", 40, 0, 10**9),
        address_limit=_whole(env, "BREAKWATER_LIMIT_ADDRESS", 120, 0, 10**9),
        opening_limit=_whole(env, "BREAKWATER_LIMIT_OPENING", 60, 0, 10**9),
    )


def _secret(env: Mapping[str, str]) -> bytes:
    """BREAKWATER_SECRET, or the one kept in VAR/secret, made on the first start."""
    given = env.get("BREAKWATER_SECRET", "")
    if given:
        if len(given) < 16:
            raise SettingsError("BREAKWATER_SECRET", "shorter than 16 characters", "use a longer random text")
        return given.encode()
    file = paths.VAR / "secret"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            kept = file.read_text(encoding="ascii").strip()
        else:
            with os.fdopen(descriptor, "w", encoding="ascii") as out:
                kept = secrets.token_urlsafe(32)
                out.write(kept + "\n")
    except (OSError, UnicodeDecodeError) as error:
        todo = "make the folder writable, or set BREAKWATER_SECRET"
        raise SettingsError(
            "BREAKWATER_SECRET", f"{file} cannot be used ({type(error).__name__})", todo
        ) from None
    if len(kept) < 16:
        raise SettingsError("BREAKWATER_SECRET", f"{file} is empty or too short", "delete the file")
    return kept.encode()


def _whole(env: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    given = env.get(name, "")
    if not given:
        return default
    if not given.isascii() or not given.isdigit() or not least <= int(given) <= most:
        raise SettingsError(name, f"{given!r} is not usable", f"write a whole number from {least} to {most}")
    return int(given)


def _seconds(env: Mapping[str, str], name: str, default: float, least: float, most: float) -> float:
    given = env.get(name, "")
    if not given:
        return default
    try:
        value = float(given)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise SettingsError(name, f"{given!r} is not usable", f"write seconds from {least:g} to {most:g}")
    return value


def _url(env: Mapping[str, str], name: str, default: str) -> str:
    given = (env.get(name) or default).rstrip("/")
    parts = urlsplit(given)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise SettingsError(
            name, f"{given!r} is not usable", 'write an address such as "https://chat.example.org"'
        )
    return given


def _networks(env: Mapping[str, str], name: str) -> tuple[Network, ...]:
    given = [part.strip() for part in env.get(name, "").split(",") if part.strip()]
    try:
        return tuple(ipaddress.ip_network(part, strict=False) for part in given)
    except ValueError:
        todo = 'write addresses or networks with commas between, as in "127.0.0.1, 10.0.0.0/8"'
        raise SettingsError(name, f"{', '.join(given)!r} is not usable", todo) from None


def for_clinic(settings: Settings, clinic: Clinic) -> Settings:
    """The settings with what clinic.yml says: who may embed the chat, and how long anything is kept."""
    kept = clinic.privacy.retention_hours * 3600.0
    return dataclasses.replace(
        settings,
        embed_origins=clinic.embed_origins,
        idle=min(settings.idle, kept),
        texting_idle=min(settings.texting_idle, kept),
    )
