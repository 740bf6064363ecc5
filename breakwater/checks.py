"""What must be right before Breakwater starts, and where it listens and writes.

Each check says in one sentence what is wrong and what to do. `breakwater run` and `doctor` share them.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from breakwater import paths
from breakwater.clinic import Clinic, ClinicError, load_clinic
from breakwater.errors import SetupError

if TYPE_CHECKING:
    from breakwater.safety.words import Words

MEMORY_NEEDED = 1_200_000_000
CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Setup:
    """Where everything listens and writes."""

    host: str
    port: int
    rasa_port: int
    actions_port: int
    secret: str = field(repr=False)
    store: Path | None
    var: Path
    sms_tokens: tuple[str, ...] = field(default=(), repr=False)
    public_url: str = ""
    trace: bool = False

    @property
    def url(self) -> str:
        return f"http://{local_name(self.host)}:{self.port}"


def local_name(host: str) -> str:
    """The name under which a server that listens on `host` is reached from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]" if ":" in host else host


def is_local(host: str) -> bool:
    """Is this a name or address that only this machine, or nobody, can reach?"""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host in ("", "localhost")
    return address.is_loopback or address.is_unspecified


def read_setup(environ: Mapping[str, str] = os.environ) -> Setup:
    """What the environment says; SetupError names the variable and what to write."""
    from breakwater.frontdoor import settings as frontdoor_settings

    rasa_port = _port(environ, "BREAKWATER_RASA_PORT", 5005)
    actions_port = _port(environ, "BREAKWATER_ACTIONS_PORT", 5055)
    _port(environ, "BREAKWATER_PORT", 8080)
    try:
        settings = frontdoor_settings.from_environment(environ)
    except frontdoor_settings.SettingsError as error:
        raise SetupError(str(error)) from None
    ports = {
        "BREAKWATER_PORT": settings.port,
        "BREAKWATER_RASA_PORT": rasa_port,
        "BREAKWATER_ACTIONS_PORT": actions_port,
    }
    if len(set(ports.values())) < len(ports):
        raise SetupError("two of " + ", ".join(ports) + " are the same; give each its own port")
    return Setup(
        host=settings.host,
        port=settings.port,
        rasa_port=rasa_port,
        actions_port=actions_port,
        secret=settings.secret.decode(),
        store=None if settings.store == frontdoor_settings.IN_MEMORY else Path(settings.store),
        var=paths.VAR,
        sms_tokens=settings.sms_tokens,
        public_url=settings.public_url,
        trace=settings.trace,
    )


def _port(environ: Mapping[str, str], name: str, default: int) -> int:
    given = environ.get(name) or str(default)
    if not given.isascii() or not given.isdigit() or not 1 <= int(given) <= 65535:
        raise SetupError(f"{name} is {given!r}; write a port number from 1 to 65535")
    return int(given)


def check_clinic() -> Clinic:
    """clinic.yml as the front door will read it, its sentences included."""
    try:
        clinic = load_clinic(paths.CLINIC)
        clinic.sentences()
    except ClinicError as error:
        raise SetupError(str(error)) from None
    if clinic.privacy.notify_on_call:
        raise SetupError(
            "clinic.yml, privacy.notify_on_call is true, but this version sends no alerts, so people would "
            "be told what is not so; set it to false"
        )
    return clinic


def check_rules() -> str:
    """How large the rule book is, and its version."""
    from breakwater.safety.rulebook import RuleBookError, load_rulebook

    try:
        book = load_rulebook()
    except RuleBookError as error:
        raise SetupError(str(error)) from None
    return f"{len(book.rules)} rules, version {book.version}"


def check_words() -> Words:
    """The safety words, filled in for this clinic."""
    from breakwater.safety.words import WordsError, load_words

    clinic = check_clinic()
    try:
        return load_words().for_clinic(clinic.name, clinic.phone, clinic.lines, clinic.sentences())
    except WordsError as error:
        raise SetupError(str(error)) from None


def check_files() -> None:
    for name in ("config.yml", "credentials.yml", "endpoints.yml"):
        if not (paths.ROOT / name).is_file():
            raise SetupError(
                f"{paths.ROOT / name} is missing; put it back, for instance with `git checkout {name}`"
            )


def check_ports(setup: Setup) -> None:
    check_port(setup.host, setup.port, "the front door", "BREAKWATER_PORT")
    check_port("127.0.0.1", setup.rasa_port, "Rasa", "BREAKWATER_RASA_PORT")
    check_port("127.0.0.1", setup.actions_port, "the action server", "BREAKWATER_ACTIONS_PORT")


def check_port(host: str, port: int, what: str, setting: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # As servers do: a port that only waits out its last connections is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if isinstance(error, PermissionError):
                raise SetupError(
                    f"port {port} is not yours to open; set {setting} to one above 1023"
                ) from None
            if _is_breakwater(host, port):
                sentence = (
                    f"Breakwater is already running at http://{local_name(host)}:{port}; use it, or stop it"
                )
                raise SetupError(
                    f"{sentence} (Ctrl-C where it runs), or set {setting} to another port"
                ) from None
            if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
                raise SetupError(
                    f"{host} is no address of this machine; set BREAKWATER_HOST to one, or leave it out"
                ) from None
            who = _who_listens(port)
            sentence = f"port {port}, which {what} needs, is taken{who}; stop that program"
            raise SetupError(f"{sentence} or set {setting} to a free port") from None


def _is_breakwater(host: str, port: int) -> bool:
    found = fetch(f"http://{local_name(host)}:{port}/openapi.json", 1.0)
    return found is not None and b"/chat/messages" in found[1]


def _who_listens(port: int) -> str:
    import psutil

    with contextlib.suppress(psutil.Error, RuntimeError):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    return ""


def check_memory(needed: int = MEMORY_NEEDED) -> int:
    available = available_memory()
    if available < needed:
        raise SetupError(
            f"Breakwater needs {needed / 1e9:.1f} GB of free memory and this machine has "
            f"{available / 1e9:.1f} GB; close other programs, or use a machine with 2 GB or more"
        )
    return available


def available_memory() -> int:
    """Bytes that new processes can have here: the machine's, or the container's when that is less."""
    import psutil

    available = int(psutil.virtual_memory().available)
    with contextlib.suppress(OSError, ValueError):
        limit = int((CGROUP / "memory.max").read_text())
        used = int((CGROUP / "memory.current").read_text())
        available = min(available, limit - used)
    return available


def check_writable(folder: Path, what: str) -> None:
    probe = folder / f".probe-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SetupError(
            f"{folder}, where {what} go, cannot be written ({reason}); make it writable for you"
        ) from None


def check_all(setup: Setup) -> None:
    """Everything that must be right before the first process is started; SetupError says what is not."""
    check_rules()
    check_words()
    check_files()
    check_ports(setup)
    check_writable(setup.var, "logs and conversations")
    if setup.store is not None:
        check_writable(setup.store.parent, "conversations")
    check_memory()


# Asking a server on this machine


def fetch(url: str, timeout: float) -> tuple[int, bytes] | None:
    """(status, body) of a GET on this machine; None when nothing usable came back. Never by a proxy."""
    import http.client
    import urllib.parse

    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port or 80, timeout=timeout)
    try:
        connection.request("GET", parts.path or "/", headers={"Connection": "close"})
        answer = connection.getresponse()
        return answer.status, answer.read(1_000_000)
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def answers(url: str, timeout: float = 2.0) -> bool:
    found = fetch(url, timeout)
    return found is not None and found[0] == 200
