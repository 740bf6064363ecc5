"""Measures Breakwater against the bot that `rasa init` makes, on this machine, in this run.

Prints ratios beside each figure's target. It starts real processes on the loopback, in bounded loops,
and ends every process that it started. It must never decide a test: machines are noisy.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from rich.console import Console
from rich.table import Table

from breakwater import paths

MiB = 1024 * 1024
SCREEN_LENGTHS = (30, 300, 3_000, 10_000, 100_000)
# Everyday words, so that the screen meets what it meets most: ordinary talk with scary-looking parts.
FILLER = (
    "work was killing me this week and my phone died twice so i went home early and slept badly "
    "my sister says i should talk to someone about the stress but i do not know where to start "
)
TALK = ("hello", "i feel really sad today", "something else", "thank you", "what are you", "goodbye")
PEER_TALK = ("hello", "i am very sad", "no", "yes", "are you a bot", "bye")
CRISIS = "i want to die"
READY_WITHIN = 300.0


@dataclass(frozen=True)
class Load:
    """What one load of messages gave: milliseconds, messages per second, CPU seconds per message."""

    conversations: int
    messages: int
    per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    cpu_ms: float
    errors: int


@dataclass(frozen=True)
class Bot:
    name: str
    training_s: float
    ready_s: float
    memory_mib: float
    loads: tuple[Load, ...]


@dataclass(frozen=True)
class Ratio:
    what: str
    ours: float
    peer: float
    unit: str
    target: str
    ratio: float
    met: bool


def main(seconds: float = 8.0, screen_only: bool = False, output: Path | None = None) -> int:
    """Run the whole comparison and return 0 when every target is met, 1 otherwise."""
    console = Console()
    screen_rows = bench_screen(console)
    report: dict[str, Any] = {"screen": screen_rows}
    met = screen_p99(screen_rows, 300) <= 2.0
    if not screen_only:
        with tempfile.TemporaryDirectory(prefix="breakwater-bench-") as folder:
            peer = bench_peer(Path(folder) / "peer", seconds, console)
            ours, crises, frontdoor_mib = bench_ours(Path(folder) / "ours", seconds, console)
        rows = ratios(ours, peer)
        print_comparison(console, ours, peer, rows, crises, frontdoor_mib)
        met = met and all(row.met for row in rows) and frontdoor_mib <= 200
        met = met and all(load.p99_ms <= 15 for load in crises.values())
        report |= {
            "ours": asdict(ours),
            "peer": asdict(peer),
            "ratios": [asdict(row) for row in rows],
            "crisis": {name: asdict(load) for name, load in crises.items()},
            "frontdoor_mib": frontdoor_mib,
        }
    target = output or paths.VAR / "bench.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(report, indent=1), encoding="utf-8")
    console.print(f"written to {target}")
    return 0 if met else 1


# --- the screen alone -----------------------------------------------------------------------------


def bench_screen(console: Console) -> list[dict[str, float]]:
    from breakwater.safety.screen import load_rulebook, screen

    began = time.perf_counter()
    book = load_rulebook()
    load_s = time.perf_counter() - began
    rows = []
    for length in SCREEN_LENGTHS:
        text = (FILLER * (length // len(FILLER) + 1))[:length]
        # A message is never seen twice in life, so a cache must not answer here: vary each text.
        texts = [f"{number} {text}"[:length] for number in range(max(5, min(400, 400_000 // length)))]
        times = []
        for one in texts:
            start = time.perf_counter()
            screen(one, book=book)
            times.append((time.perf_counter() - start) * 1000)
        rows.append(
            {
                "characters": length,
                "p50_ms": quantile(times, 50),
                "p99_ms": quantile(times, 99),
                "per_second": 1000 / statistics.fmean(times),
            }
        )
    table = Table(title=f"The screen alone (rule book loaded in {load_s:.2f} s)")
    for column in ("characters", "p50 ms", "p99 ms", "messages/s"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            f"{row['characters']:,.0f}",
            f"{row['p50_ms']:.3f}",
            f"{row['p99_ms']:.3f}",
            f"{row['per_second']:,.0f}",
        )
    console.print(table)
    return rows


def screen_p99(rows: list[dict[str, float]], length: int) -> float:
    return next(row["p99_ms"] for row in rows if row["characters"] == length)


# --- the two bots ---------------------------------------------------------------------------------


def bench_peer(folder: Path, seconds: float, console: Console) -> Bot:
    """`rasa init`'s bot, as a newcomer gets it, over its REST channel."""
    folder.mkdir(parents=True)
    console.print("rasa init: making and training the peer …")
    quiet([*RASA, "init", "--no-prompt", "--init-dir", str(folder)], folder)
    shutil.rmtree(folder / "models", ignore_errors=True)
    began = time.perf_counter()
    quiet([*RASA, "train"], folder)
    training_s = time.perf_counter() - began
    port = free_port()
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        status, body = post(url, "/webhooks/rest/webhook", {"sender": "ready", "message": "hello"})
        return status == 200 and bool(json.loads(body))

    def conversation(number: int) -> Callable[[http.client.HTTPConnection, int], bool]:
        def one(connection: http.client.HTTPConnection, turn: int) -> bool:
            text = PEER_TALK[turn % len(PEER_TALK)]
            sender = f"{number}-{turn // len(PEER_TALK)}"
            status, body = send(connection, "/webhooks/rest/webhook", {"sender": sender, "message": text})
            return status == 200 and bool(json.loads(body))

        return one

    command = [*RASA, "run", "-i", "127.0.0.1", "-p", str(port)]
    console.print("rasa init: starting …")
    with running(command, folder, answers) as (process, ready_s):
        loads = tuple(load(url, conversation, count, seconds, [process]) for count in (1, 8))
        memory = tree_memory(process)
    return Bot("rasa init", training_s, ready_s, memory, loads)


def bench_ours(folder: Path, seconds: float, console: Console) -> tuple[Bot, dict[str, Load], float]:
    """Breakwater as `breakwater run` starts it, through the front door; the crisis replies; its memory."""
    folder.mkdir(parents=True)
    console.print("breakwater: training …")
    began = time.perf_counter()
    quiet(
        # As breakwater.training does it; the peer's is `rasa train`, as a newcomer runs it.
        [*RASA, "train", "--force", "--skip-validation", "--out", str(folder / "models"), "--data", "data"],
        paths.ROOT,
    )
    training_s = time.perf_counter() - began
    port, rasa_port, actions_port = free_port(), free_port(), free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        "BREAKWATER_PORT": str(port),
        "BREAKWATER_RASA_PORT": str(rasa_port),
        "BREAKWATER_ACTIONS_PORT": str(actions_port),
        "BREAKWATER_VAR": str(folder),
        # One address sends everything here: no limit.
        "BREAKWATER_LIMIT_SESSION": "0",
        "BREAKWATER_LIMIT_ADDRESS": "0",
        "BREAKWATER_LIMIT_OPENING": "0",
    }
    quiet([sys.executable, "-m", "breakwater", "train"], paths.ROOT)

    def answers() -> bool:
        return get(url, "/readyz")[0] == 200

    def conversation(number: int) -> Callable[[http.client.HTTPConnection, int], bool]:
        session = ""

        def one(connection: http.client.HTTPConnection, turn: int) -> bool:
            nonlocal session
            if turn % len(TALK) == 0:
                session = json.loads(send(connection, "/chat/sessions", {})[1])["session"]
            body = {"session": session, "text": TALK[turn % len(TALK)]}
            status, answer = send(connection, "/chat/messages", body)
            return status == 200 and json.loads(answer)["messages"][0]["kind"] != "failsafe"

        return one

    def crisis(number: int) -> Callable[[http.client.HTTPConnection, int], bool]:
        def one(connection: http.client.HTTPConnection, turn: int) -> bool:
            body = {"session": f"unknown-{number}-{turn}", "text": CRISIS}
            status, answer = send(connection, "/chat/messages", body)
            return status == 200 and json.loads(answer)["messages"][0]["kind"] == "crisis"

        return one

    console.print("breakwater: starting …")
    command = [sys.executable, "-m", "breakwater", "run"]
    with running(command, paths.ROOT, answers, environment) as (process, ready_s):
        loads = tuple(load(url, conversation, count, seconds, [process]) for count in (1, 8))
        memory = tree_memory(process)
        rasa = next(child for child in process.children(recursive=True) if is_rasa(child))
        frontdoor = next(child for child in process.children(recursive=True) if is_frontdoor(child))
        crises = {"idle": load(url, crisis, 1, seconds / 2, [process])}
        stop = threading.Event()
        busy = threading.Thread(target=keep_busy, args=(url, conversation, stop), daemon=True)
        busy.start()
        crises["Rasa under load"] = load(url, crisis, 1, seconds / 2, [process])
        stop.set()
        busy.join(30)
        rasa.suspend()
        try:
            crises["Rasa frozen"] = load(url, crisis, 1, seconds / 2, [process])
        finally:
            rasa.resume()
        frontdoor_mib = frontdoor.memory_info().rss / MiB
    return Bot("breakwater", training_s, ready_s, memory, loads), crises, frontdoor_mib


def ratios(ours: Bot, peer: Bot) -> list[Ratio]:
    def row(what: str, mine: float, theirs: float, unit: str, bound: float, above: bool = False) -> Ratio:
        ratio = mine / theirs
        met = ratio >= bound if above else ratio <= bound
        return Ratio(what, mine, theirs, unit, f"{'≥' if above else '≤'} {bound}", ratio, met)

    eight, peer_eight = ours.loads[1], peer.loads[1]
    one, peer_one = ours.loads[0], peer.loads[0]
    return [
        row("throughput, 8 conversations", eight.per_second, peer_eight.per_second, "msg/s", 2.5, True),
        row("p50, 1 conversation", one.p50_ms, peer_one.p50_ms, "ms", 0.5),
        row("memory, all processes", ours.memory_mib, peer.memory_mib, "MiB", 0.85),
        row("time to ready", ours.ready_s, peer.ready_s, "s", 0.8),
        row("training", ours.training_s, peer.training_s, "s", 0.5),
    ]


def print_comparison(
    console: Console, ours: Bot, peer: Bot, rows: list[Ratio], crises: dict[str, Load], frontdoor_mib: float
) -> None:
    table = Table(title="Loads")
    for column in ("bot", "at once", "messages", "msg/s", "p50 ms", "p95 ms", "CPU ms/msg", "errors"):
        table.add_column(column, justify="right")
    for bot in (peer, ours):
        for one in bot.loads:
            table.add_row(bot.name, *load_cells(one))
    for name, one in crises.items():
        table.add_row(f"crisis reply, {name}", *load_cells(one))
    console.print(table)
    table = Table(title="Against rasa init's bot")
    for column in ("what", "breakwater", "rasa init", "ratio", "target", "met"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            row.what,
            f"{row.ours:,.1f} {row.unit}",
            f"{row.peer:,.1f} {row.unit}",
            f"{row.ratio:.2f}",
            row.target,
            "yes" if row.met else "NO",
        )
    for name, one in crises.items():
        met = "yes" if one.p99_ms <= 15 else "NO"
        table.add_row(f"crisis p99, {name}", f"{one.p99_ms:.1f} ms", "", "", "≤ 15 ms", met)
    met = "yes" if frontdoor_mib <= 200 else "NO"
    table.add_row("front door memory", f"{frontdoor_mib:.0f} MiB", "", "", "≤ 200 MiB", met)
    console.print(table)


def load_cells(one: Load) -> tuple[str, ...]:
    return (
        str(one.conversations),
        f"{one.messages:,}",
        f"{one.per_second:.0f}",
        f"{one.p50_ms:.1f}",
        f"{one.p95_ms:.1f}",
        f"{one.cpu_ms:.1f}",
        str(one.errors),
    )


# --- processes and loads --------------------------------------------------------------------------

RASA = [sys.executable, "-m", "rasa"]


def quiet(command: list[str], folder: Path) -> None:
    """Run to the end without output; a failure shows what was printed."""
    done = subprocess.run(command, cwd=folder, env=child_environment({}), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[1:4])} failed:\n{(done.stdout + done.stderr)[-2000:]}")


def child_environment(more: dict[str, str]) -> dict[str, str]:
    return {**os.environ, "RASA_TELEMETRY_ENABLED": "false", "TF_CPP_MIN_LOG_LEVEL": "3", **more}


@contextmanager
def running(
    command: list[str], folder: Path, answers: Callable[[], bool], environment: dict[str, str] | None = None
) -> Iterator[tuple[psutil.Process, float]]:
    """A started process that answers, with the seconds that it took; ended with its children."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=child_environment(environment or {}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    tree = psutil.Process(process.pid)
    try:
        while not attempt(answers):
            if process.poll() is not None:
                raise SystemExit(f"{' '.join(command[1:4])} ended with status {process.returncode}")
            if time.perf_counter() - began > READY_WITHIN:
                raise SystemExit(f"{' '.join(command[1:4])} was not ready within {READY_WITHIN:.0f} s")
            time.sleep(0.1)
        yield tree, time.perf_counter() - began
    finally:
        children = tree.children(recursive=True) if tree.is_running() else []
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
        for child in children:
            if child.is_running():
                child.kill()


def attempt(answers: Callable[[], bool]) -> bool:
    try:
        return answers()
    except (OSError, ValueError, http.client.HTTPException):
        return False


def load(
    url: str,
    conversation: Callable[[int], Callable[[http.client.HTTPConnection, int], bool]],
    conversations: int,
    seconds: float,
    roots: list[psutil.Process],
) -> Load:
    """`conversations` people who each send, wait for the answer and send again, for `seconds`."""
    times: list[float] = []
    errors = 0
    guard = threading.Lock()

    def person(number: int, until: float, keep: bool) -> None:
        nonlocal errors
        one = conversation(number)
        connection = open_connection(url)
        turn = 0
        while time.perf_counter() < until and turn < 20_000:
            start = time.perf_counter()
            good = one(connection, turn)
            taken = (time.perf_counter() - start) * 1000
            turn += 1
            if keep:
                with guard:
                    times.append(taken)
                    errors += not good
        connection.close()

    def run(offset: int, lasting: float, keep: bool) -> float:
        until = time.perf_counter() + lasting
        people = [
            threading.Thread(target=person, args=(offset + number, until, keep))
            for number in range(conversations)
        ]
        start = time.perf_counter()
        for one in people:
            one.start()
        for one in people:
            one.join()
        return time.perf_counter() - start

    run(1000, min(1.5, seconds / 4), keep=False)  # warm up
    before = cpu_seconds(roots)
    lasted = run(0, seconds, keep=True)
    used = cpu_seconds(roots) - before
    return Load(
        conversations=conversations,
        messages=len(times),
        per_second=len(times) / lasted,
        p50_ms=quantile(times, 50),
        p95_ms=quantile(times, 95),
        p99_ms=quantile(times, 99),
        cpu_ms=used * 1000 / max(1, len(times)),
        errors=errors,
    )


def keep_busy(
    url: str,
    conversation: Callable[[int], Callable[[http.client.HTTPConnection, int], bool]],
    stop: threading.Event,
) -> None:
    one = conversation(99_999)
    connection = open_connection(url)
    for turn in range(100_000):
        if stop.is_set():
            break
        one(connection, turn)
    connection.close()


def cpu_seconds(roots: list[psutil.Process]) -> float:
    total = 0.0
    for root in roots:
        for process in [root, *root.children(recursive=True)]:
            try:
                spent = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += spent.user + spent.system
    return total


def tree_memory(root: psutil.Process) -> float:
    """MiB resident in the process and all its children."""
    return float(sum(one.memory_info().rss for one in [root, *root.children(recursive=True)])) / MiB


def is_rasa(process: psutil.Process) -> bool:
    command = process.cmdline()
    return "rasa" in command and "run" in command


def is_frontdoor(process: psutil.Process) -> bool:
    return "breakwater.frontdoor" in process.cmdline()


# --- HTTP, as light as it gets, so that the client does not eat the cores that it measures ---------


def open_connection(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def send(connection: http.client.HTTPConnection, path: str, body: dict[str, Any]) -> tuple[int, bytes]:
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    return response.status, response.read()


def post(url: str, path: str, body: dict[str, Any]) -> tuple[int, bytes]:
    connection = open_connection(url)
    try:
        return send(connection, path, body)
    finally:
        connection.close()


def get(url: str, path: str) -> tuple[int, bytes]:
    connection = open_connection(url)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def quantile(values: list[float], percent: int) -> float:
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(percent / 100 * (len(ordered) - 1)))]
