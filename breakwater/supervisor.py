"""`breakwater run`: starts the front door, the action server and Rasa, and ends them together.

The front door comes first and never waits for the others: it must answer even when they cannot.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import TextIO

import yaml

from breakwater import paths, training
from breakwater.checks import Setup, answers, check_all, fetch, read_setup
from breakwater.errors import SetupError
from breakwater.keeper import Child, Keeper
from breakwater.processes import Log, end_leftovers, remember

END_PATIENCE = 6.0
# What the assistant has no business to know.
FRONT_DOOR_ONLY = ("BREAKWATER_SMS_TOKENS", "BREAKWATER_METRICS_TOKEN")

# The three processes


def front_door(setup: Setup) -> Child:
    env = training.quiet_environment(
        {
            "BREAKWATER_SECRET": setup.secret,
            "BREAKWATER_ASSISTANT_URL": f"http://127.0.0.1:{setup.rasa_port}",
            "BREAKWATER_HOST": setup.host,
            "BREAKWATER_PORT": str(setup.port),
            "BREAKWATER_VAR": str(setup.var),
        }
    )
    url = f"{setup.url}/healthz"
    return Child(
        "the front door",
        (sys.executable, "-m", "breakwater.frontdoor"),
        lambda: answers(url, 5.0),
        env=env,
        stuck_after=15.0,
        start_patience=30.0,
        own_json=True,
    )


def action_server(setup: Setup) -> Child:
    env = training.quiet_environment({"SANIC_HOST": "127.0.0.1", "LOG_LEVEL": "WARNING"})
    port = str(setup.actions_port)
    return Child(
        "the action server",
        (sys.executable, "-m", "rasa_sdk", "--actions", "actions", "--port", port, "--quiet"),
        lambda: answers(f"http://127.0.0.1:{port}/health"),
        setup.actions_port,
        _without(env, (*FRONT_DOOR_ONLY, "BREAKWATER_SECRET")),
    )


def rasa(setup: Setup, model: Path) -> Child:
    env = training.quiet_environment({"BREAKWATER_SECRET": setup.secret, "LOG_LEVEL": "WARNING"})
    command = [sys.executable, "-m", "rasa", "run", "--quiet", "--interface", "127.0.0.1"]
    command += ["--port", str(setup.rasa_port), "--model", str(model)]
    command += ["--credentials", str(paths.ROOT / "credentials.yml"), "--endpoints", str(_endpoints(setup))]
    return Child(
        "Rasa", tuple(command), _AssistantAnswers(setup), setup.rasa_port, _without(env, FRONT_DOOR_ONLY)
    )


class _AssistantAnswers:
    """Is Rasa of use? The front door's /readyz is the judge, for it asks as people ask.

    When the front door itself does not answer, that is not Rasa's fault: then its own word counts.
    """

    def __init__(self, setup: Setup) -> None:
        self._ready = f"{setup.url}/readyz"
        self._rasa = f"http://127.0.0.1:{setup.rasa_port}/"

    def __call__(self) -> bool:
        found = fetch(self._ready, 12.0)
        if found is None:
            return answers(self._rasa, 5.0)
        return found[0] == 200


def _endpoints(setup: Setup) -> Path:
    """endpoints.yml, or a copy under var/ with the action server's port when that is another."""
    file = paths.ROOT / "endpoints.yml"
    try:
        said = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError) as error:
        raise SetupError(f"{file} cannot be read ({type(error).__name__}); put it back or mend it") from None
    url = f"http://127.0.0.1:{setup.actions_port}/webhook"
    if said.get("action_endpoint", {}).get("url") in (url, url.replace("127.0.0.1", "localhost")):
        return file
    said["action_endpoint"] = {**said.get("action_endpoint", {}), "url": url}
    made = setup.var / "endpoints.yml"
    made.write_text(yaml.safe_dump(said), encoding="utf-8")
    return made


def _without(env: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name not in names}


# Talking to the person who started us


class Console:
    """Lines on standard output; progress rewrites its line on a terminal, else speaks every ten seconds."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out if out is not None else sys.stdout
        self._lock = threading.Lock()
        self._progress = ""
        self._spoke = 0.0

    def say(self, text: str) -> None:
        with self._lock:
            self._clear()
            self._write(text + "\n")

    def progress(self, text: str) -> None:
        with self._lock:
            if self._out.isatty():
                self._clear()
                self._write(text)
                self._progress = text
                return
            label, now = text.partition("…")[0], time.monotonic()
            if label != self._progress or now - self._spoke >= 10:
                self._write(text + "\n")
                self._progress, self._spoke = label, now

    def _clear(self) -> None:
        if self._progress and self._out.isatty():
            self._write("\r" + " " * len(self._progress) + "\r")
            self._progress = ""

    def _write(self, text: str) -> None:
        # Nobody listening any more is no reason to stop answering people.
        with contextlib.suppress(OSError, ValueError):
            self._out.write(text)
            self._out.flush()


class Stopped(BaseException):
    """A signal asked us to end."""


class Supervisor:
    """`breakwater run`: from the checks to the last child's end."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        self.keepers: list[Keeper] = []
        self._signals = 0
        self._ending = False
        self._noted: Path | None = None

    def run(self) -> int:
        """Runs until a signal comes: 0. SetupError for what a person must put right first."""
        self._catch_signals()
        try:
            self._run()
        except Stopped:
            self.console.say("Stopping …")
        finally:
            self._end_all()
        return 0

    def _run(self) -> None:
        setup = read_setup()
        leftovers = setup.var / "processes.json"
        if ended := end_leftovers(leftovers):
            self.console.say(f"Ended {ended} process(es) that an earlier run had left behind.")
        check_all(setup)
        self._noted = leftovers
        door = self._keep(front_door(setup), setup)
        self._wait_for_door(door, setup)
        model = training.ensure_model(self.console.progress)
        self._keep(action_server(setup), setup)
        assistant = self._keep(rasa(setup, model), setup)
        self._wait_for_assistant(assistant, setup)
        self.console.say(f"Breakwater is ready: {setup.url}")
        self._watch()

    def _keep(self, child: Child, setup: Setup) -> Keeper:
        log = Log(setup.var / "logs" / (child.name.replace("the ", "").replace(" ", "-").lower() + ".log"))
        keeper = Keeper(child, log, self._report)
        self.keepers.append(keeper)
        keeper.start()
        return keeper

    def _report(self, sentence: str) -> None:
        self.console.say(f"{time.strftime('%H:%M:%S')} {sentence}")
        for keeper in self.keepers:
            if keeper.last_words and sentence.startswith(keeper.child.name):
                for line in keeper.last_words:
                    self.console.say(f"    {line[:300]}")

    def _wait_for_door(self, door: Keeper, setup: Setup) -> None:
        began = time.monotonic()
        while not door.ready.wait(0.1):
            self.console.progress(f"starting the front door … {time.monotonic() - began:.0f} s")
            if door.failed_starts >= 3:
                raise SetupError(
                    "the front door does not start; its own words are above and in var/logs/front-door.log"
                )
        self._note_processes()
        self.console.say(f"The front door answers at {setup.url} and gives the crisis lines already.")

    def _wait_for_assistant(self, assistant: Keeper, setup: Setup) -> None:
        began = time.monotonic()
        told = 0
        while not (assistant.ready.wait(0.5) and answers(f"{setup.url}/readyz", 12.0)):
            self.console.progress(f"starting the assistant … {time.monotonic() - began:.0f} s")
            self._note_processes()
            if assistant.failed_starts > told and assistant.failed_starts in (3, 10):
                told = assistant.failed_starts
                self.console.say(
                    "The assistant does not start. The front door goes on answering with the crisis "
                    "lines, and the assistant is tried again and again; `breakwater doctor` says what may "
                    "be wrong."
                )

    def _watch(self) -> None:
        while True:
            self._note_processes()
            time.sleep(2)

    def _note_processes(self) -> None:
        pids = {keeper.child.name: keeper.pid for keeper in self.keepers if keeper.pid is not None}
        if self._noted is None:
            return
        # Only a help for the next start: that it cannot be written is not worth stopping for.
        with contextlib.suppress(OSError):
            remember(self._noted, {"supervisor": os.getpid(), **pids})

    def _end_all(self) -> None:
        self._ending = True
        for keeper in self.keepers:
            keeper.end()
        until = time.monotonic() + END_PATIENCE
        for keeper in self.keepers:
            while not keeper.wait(0.1):
                if time.monotonic() > until or self._signals > 1:
                    keeper.kill()
        if self._noted is not None:
            with contextlib.suppress(OSError):
                self._noted.unlink(missing_ok=True)

    def _catch_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue  # started with nohup: a closed terminal is no reason to end
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        if not self._ending:
            raise Stopped
