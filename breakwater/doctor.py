"""`breakwater doctor`: looks at this installation and says, in one line each, what is wrong and what to do.

It mends nothing itself, and sends nothing to any other machine.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import secrets
import sqlite3
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from breakwater import checks, paths, training
from breakwater.checks import Setup
from breakwater.errors import SetupError

SAMPLE_NAME = "Harbor Street Clinic"
GOOD, NOTE, BAD = "✓", "!", "✗"
LOADS = """
import asyncio, sys, warnings
warnings.simplefilter("ignore")
from rasa.core.agent import load_agent
agent = asyncio.run(load_agent(model_path=sys.argv[1]))
sys.exit(0 if agent is not None and agent.is_ready() else "the model cannot be loaded")
"""


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `state` is ✓, ! (to know) or ✗ (to mend); `todo` says what to do."""

    state: str
    what: str
    said: str
    todo: str = ""


@dataclass(frozen=True)
class Patient:
    """What the checks look at: where things listen, and whether Breakwater runs now."""

    setup: Setup
    running: bool


Check = Callable[[Patient], Iterator[Finding]]


def examine(*, production: bool = False) -> int:
    """Prints a table of findings; 1 when something must be mended, else 0."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    try:
        setup = checks.read_setup()
    except SetupError as error:
        print(f"{BAD} settings: {error.sentence}")
        return 1
    patient = Patient(setup, checks.answers(f"{setup.url}/healthz"))
    table = Table(show_edge=False, pad_edge=False)
    for heading in ("", "what", "found"):
        table.add_column(heading, overflow="fold")
    console = Console(highlight=False)
    colours = {GOOD: "green", NOTE: "yellow", BAD: "red"}
    findings = []
    with console.status("looking …"):
        for finding in look(patient, production=production):
            findings.append(finding)
            said = Text(finding.said)
            if finding.todo:
                said.append(f"\n→ {finding.todo}", style="bold")
            table.add_row(Text(finding.state, style=colours[finding.state]), Text(finding.what), said)
    console.print(table)
    bad = sum(finding.state == BAD for finding in findings)
    notes = sum(finding.state == NOTE for finding in findings)
    verdict = f"{bad} to mend" if bad else "Nothing to mend"
    console.print(f"\n{verdict}, {notes} to know, {len(findings) - bad - notes} good.")
    return 1 if bad else 0


def look(patient: Patient, *, production: bool = False) -> Iterator[Finding]:
    """Every finding, in the order in which a person would mend them."""
    for what, check in (*CHECKS, *(PRODUCTION if production else ())):
        try:
            yield from check(patient)
        except SetupError as error:
            sentence, _, todo = error.sentence.rpartition("; ")
            yield Finding(BAD, what, sentence or todo, todo if sentence else "")


def _python(patient: Patient) -> Iterator[Finding]:
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] != (3, 10):
        raise SetupError(
            f"Python {found}, and Rasa 3.6 needs 3.10; run `make install`, then `.venv/bin/breakwater`"
        )
    yield Finding(GOOD, "Python", found)


def _packages(patient: Patient) -> Iterator[Finding]:
    lock = paths.ROOT / "requirements.lock"
    if not lock.is_file():
        raise SetupError(f"{lock} is missing; put it back with `git checkout requirements.lock`")
    wrong = list(against_lock(lock.read_text(encoding="utf-8")))
    if wrong:
        shown = ", ".join(wrong[:4]) + (" …" if len(wrong) > 4 else "")
        raise SetupError(
            f"{len(wrong)} packages are not as locked: {shown}; remove .venv and run `make install`"
        )
    yield Finding(GOOD, "packages", "as requirements.lock says")


def against_lock(lock: str) -> Iterator[str]:
    """What is installed otherwise than a lock says, such as "httpx 1.0 (locked 0.28.1)"."""
    import importlib.metadata

    from packaging.requirements import Requirement

    for line in lock.splitlines():
        if not re.match(r"[A-Za-z0-9]", line):
            continue
        wanted = Requirement(line.rstrip("\\ "))
        if wanted.marker is not None and not wanted.marker.evaluate():
            continue
        locked = str(wanted.specifier).removeprefix("==")
        try:
            found = importlib.metadata.version(wanted.name)
        except importlib.metadata.PackageNotFoundError:
            yield f"{wanted.name} missing (locked {locked})"
            continue
        if found not in wanted.specifier:
            yield f"{wanted.name} {found} (locked {locked})"


def _clinic(patient: Patient) -> Iterator[Finding]:
    yield Finding(GOOD, "clinic.yml", checks.check_clinic().name)


def _rules(patient: Patient) -> Iterator[Finding]:
    yield Finding(GOOD, "rule book", checks.check_rules())


def _words(patient: Patient) -> Iterator[Finding]:
    checks.check_words()
    yield Finding(GOOD, "safety words", "complete, with 988, 741741 and 911")


def _folders(patient: Patient) -> Iterator[Finding]:
    setup = patient.setup
    checks.check_writable(setup.var, "logs and conversations")
    if setup.store is None:
        yield Finding(NOTE, "store", "in memory: conversations and holds are lost at every restart")
        return
    checks.check_writable(setup.store.parent, "conversations")
    if not setup.store.exists():
        yield Finding(GOOD, "store", f"{setup.store} will be made")
        return
    trouble = store_trouble(setup.store)
    if trouble:
        raise SetupError(f"{setup.store} {trouble}; stop Breakwater, move the file away and start again")
    yield Finding(GOOD, "store", str(setup.store))


def store_trouble(file: Path) -> str:
    """What is wrong with a store's file, or nothing."""
    try:
        with contextlib.closing(
            sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=5)
        ) as base:
            said = base.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.OperationalError as error:
        return f"cannot be opened ({error})"
    except sqlite3.DatabaseError:
        return "is damaged"
    return "" if said == "ok" else "is damaged"


def _model(patient: Patient) -> Iterator[Finding]:
    model = training.model_path()
    if not model.is_file():
        todo = "`breakwater train`, or let `make run` do it"
        yield Finding(NOTE, "model", "none fits the present sources yet", todo)
        return
    try:
        with tarfile.open(model) as archive:
            archive.getmember("metadata.json")
    except (tarfile.TarError, KeyError, OSError, EOFError):
        raise SetupError(f"{model} is damaged; remove it and run `breakwater train`") from None
    environment = training.quiet_environment(
        {"LOG_LEVEL": "ERROR", "BREAKWATER_SECRET": patient.setup.secret}
    )
    command = [sys.executable, "-c", LOADS, str(model)]
    try:
        loaded = subprocess.run(
            command, cwd=paths.ROOT, env=environment, capture_output=True, text=True, timeout=180
        )
    except subprocess.TimeoutExpired:
        raise SetupError(
            f"{model.name} did not load within 3 minutes; remove it and run `breakwater train`"
        ) from None
    if loaded.returncode != 0:
        why = " ".join(training.brief_error(loaded.stderr, 1)) or "no reason given"
        raise SetupError(f"{model.name} does not load ({why}); remove it and run `breakwater train`")
    yield Finding(GOOD, "model", f"{model.name} loads")


def _ports(patient: Patient) -> Iterator[Finding]:
    setup = patient.setup
    if patient.running:
        yield Finding(GOOD, "ports", f"Breakwater itself is on {setup.port}")
        return
    checks.check_ports(setup)
    yield Finding(GOOD, "ports", f"{setup.port}, {setup.rasa_port} and {setup.actions_port} are free")


def _memory(patient: Patient) -> Iterator[Finding]:
    free = checks.available_memory()
    if not patient.running:
        checks.check_memory()
    yield Finding(GOOD, "memory", f"{free / 1e9:.1f} GB free")


def _telemetry(patient: Patient) -> Iterator[Finding]:
    """What Rasa's process was really given, when it runs; else what it would be given."""
    given: Mapping[str, str] = training.quiet_environment()
    where = "off for every process that Breakwater starts"
    if patient.running:
        import psutil

        with contextlib.suppress(OSError, ValueError, KeyError, psutil.Error):
            noted = json.loads((patient.setup.var / "processes.json").read_text(encoding="utf-8"))
            given = psutil.Process(int(noted["Rasa"][0])).environ()
            where = "off in the running Rasa"
    if given.get("RASA_TELEMETRY_ENABLED") != "false":
        raise SetupError(
            "Rasa's telemetry is on; start Rasa through `make run`, or set RASA_TELEMETRY_ENABLED=false"
        )
    yield Finding(GOOD, "telemetry", where)


def _answering(patient: Patient) -> Iterator[Finding]:
    if not patient.running:
        yield Finding(NOTE, "running", f"nothing answers at {patient.setup.url}", "`make run` starts it")
        return
    yield Finding(GOOD, "front door", f"answers at {patient.setup.url}")
    found = checks.fetch(f"{patient.setup.url}/readyz", 15)
    if found is None or found[0] != 200:
        reasons = _reasons(found[1]) if found else "no answer from /readyz"
        raise SetupError(f"the assistant does not answer ({reasons}); look into {patient.setup.var / 'logs'}")
    yield Finding(GOOD, "assistant", "answers")


def _reasons(body: bytes) -> str:
    try:
        said = json.loads(body)
        return ", ".join(map(str, said.get("reasons", ()))) or "no reason given"
    except (ValueError, AttributeError):
        return "no reason given"


def _texting(patient: Patient) -> Iterator[Finding]:
    """A message signed as Twilio signs: through the running front door, or one made here for it."""
    setup = patient.setup
    if patient.running and setup.sms_tokens:
        status, text = _post_signed(setup.url, setup.sms_tokens[0], setup.public_url)
        if status == 403:
            raise SetupError(
                "the running front door refused a message signed with BREAKWATER_SMS_TOKENS for "
                f"{setup.public_url}/sms; start it with the same tokens and BREAKWATER_PUBLIC_URL as here"
            )
        where = "the running front door"
    else:
        status, text, unsigned = _post_in_process()
        if unsigned != 403:
            raise SetupError(
                f"an unsigned message got {unsigned} and not 403; do not put this version on the net"
            )
        where = "tried without a server"
    if status != 200 or "<Message>" not in text:
        raise SetupError(
            f"a signed message got {status} and no answer in TwiML; look into {setup.var / 'logs'}"
        )
    off = "" if setup.sms_tokens else "; texting is off until BREAKWATER_SMS_TOKENS is set"
    yield Finding(GOOD, "texting", f"a signed message is answered ({where}){off}")


def _message() -> dict[str, str]:
    """A message from a number that is nobody's, with the blank fields that Twilio signs too."""
    sid = "SM" + secrets.token_hex(16)
    return {"MessageSid": sid, "From": "+15555550100", "To": "+15555550199", "Body": "hello", "FromZip": ""}


def _post_signed(url: str, token: str, public_url: str) -> tuple[int, str]:
    import requests
    from twilio.request_validator import RequestValidator

    fields = _message()
    signature = RequestValidator(token).compute_signature(f"{public_url}/sms", fields)
    session = requests.Session()
    session.trust_env = False
    headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
    try:
        answer = session.post(f"{url}/sms", data=urlencode(fields), headers=headers, timeout=20)
    except requests.RequestException:
        return 0, ""
    return answer.status_code, answer.text


def _post_in_process() -> tuple[int, str, int]:
    """(status, body) of a signed message, and the status of an unsigned one."""
    from starlette.testclient import TestClient
    from twilio.request_validator import RequestValidator

    from breakwater.frontdoor import settings as frontdoor_settings
    from breakwater.frontdoor.app import create_app

    token, public_url, fields = "doctor-" + secrets.token_hex(8), "https://doctor.example", _message()
    settings = dataclasses.replace(
        frontdoor_settings.from_environment(),
        sms_tokens=(token,),
        public_url=public_url,
        store=frontdoor_settings.IN_MEMORY,
        assistant_url="http://127.0.0.1:9",  # nobody listens: the failsafe answer is enough here
    )
    signature = RequestValidator(token).compute_signature(f"{public_url}/sms", fields)
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    with TestClient(create_app(settings)) as client:
        signed = client.post(
            "/sms", content=urlencode(fields), headers={**kind, "X-Twilio-Signature": signature}
        )
        unsigned = client.post("/sms", content=urlencode(fields), headers=kind)
    return signed.status_code, signed.text, unsigned.status_code


# Before people in need use it


def _trace(patient: Patient) -> Iterator[Finding]:
    if patient.setup.trace or os.environ.get("BREAKWATER_TRACE"):
        raise SetupError("BREAKWATER_TRACE is set, so replies carry what the rules saw; unset it")
    yield Finding(GOOD, "trace", "off")


def _own_clinic(patient: Patient) -> Iterator[Finding]:
    clinic = checks.check_clinic()
    if clinic.name == SAMPLE_NAME:
        raise SetupError(
            f"clinic.yml still names the made-up {SAMPLE_NAME}; put your clinic's name and phone there"
        )
    if clinic.phone and re.search(r"555\D*01\d\d$", clinic.phone):
        raise SetupError(
            f"clinic.yml still has a made-up phone number ({clinic.phone}); put yours there, or null"
        )
    yield Finding(GOOD, "own clinic", clinic.name)


def _lines(patient: Patient) -> Iterator[Finding]:
    for record in checks.check_words().records:
        if record.read is None and record.kind != "clinic":
            number = record.call or record.text or record.url or ""
            said = f"{record.label['en']}, {number}: not verified"
            todo = "check it yourself, then note the month as `read:` in safety/lines.yml"
            yield Finding(NOTE, "line to check", said, todo)


def _secret_file(patient: Patient) -> Iterator[Finding]:
    if os.environ.get("BREAKWATER_SECRET"):
        yield Finding(GOOD, "secret", "from BREAKWATER_SECRET")
        return
    file = patient.setup.var / "secret"
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077:
        raise SetupError(f"others on this machine can read {file} (mode {mode:o}); run `chmod 600 {file}`")
    yield Finding(GOOD, "secret", f"{file}, for its owner alone")


def _texting_settings(patient: Patient) -> Iterator[Finding]:
    setup = patient.setup
    number = checks.check_clinic().sms.number
    if number and not setup.sms_tokens:
        raise SetupError(
            "clinic.yml has an sms.number, but BREAKWATER_SMS_TOKENS is not set; set it to Twilio's token"
        )
    if setup.sms_tokens and not number:
        yield Finding(
            NOTE, "texting", "tokens are set, but clinic.yml has no sms.number", "set it, so pages can say it"
        )
    elif number:
        yield Finding(GOOD, "texting", number)
    else:
        yield Finding(NOTE, "texting", "off: no sms.number in clinic.yml and no BREAKWATER_SMS_TOKENS")


def _public_url(patient: Patient) -> Iterator[Finding]:
    parts = urlsplit(patient.setup.public_url)
    address = patient.setup.public_url
    if parts.scheme != "https" or checks.is_local(parts.hostname or ""):
        raise SetupError(f"BREAKWATER_PUBLIC_URL is {address}; set it to the https address that people use")
    yield Finding(GOOD, "public address", address)


CHECKS: tuple[tuple[str, Check], ...] = (
    ("Python", _python),
    ("packages", _packages),
    ("clinic.yml", _clinic),
    ("rule book", _rules),
    ("safety words", _words),
    ("store", _folders),
    ("model", _model),
    ("ports", _ports),
    ("memory", _memory),
    ("telemetry", _telemetry),
    ("running", _answering),
    ("texting", _texting),
)
PRODUCTION: tuple[tuple[str, Check], ...] = (
    ("trace", _trace),
    ("own clinic", _own_clinic),
    ("line to check", _lines),
    ("secret", _secret_file),
    ("texting", _texting_settings),
    ("public address", _public_url),
)
