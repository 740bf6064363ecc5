"""The command line: a thin face on the packages, each imported only by the command that needs it.

`breakwater screen` must start in well under a second, so nothing large is imported at the top.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from breakwater.errors import SetupError

if TYPE_CHECKING:
    from breakwater.safety.rulebook import RuleBook

app = typer.Typer(
    name="breakwater",
    help="A scripted supportive-messaging assistant for mental-health clinics.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def run() -> None:
    """Start everything and keep it running; Ctrl-C ends it."""
    from breakwater.supervisor import Supervisor

    raise typer.Exit(Supervisor().run())


@app.command()
def train(
    print_key: Annotated[
        bool, typer.Option("--print-key", help="Only print the fitting model's name.")
    ] = False,
) -> None:
    """Train the assistant if no model fits the present sources."""
    from breakwater import training
    from breakwater.supervisor import Console

    if print_key:
        print(training.model_key())
        return
    console = Console()
    console.say(f"The model: {training.ensure_model(console.progress)}")


@app.command()
def screen() -> None:
    """Screen messages: JSON lines in, one verdict as a JSON line out for each."""
    from breakwater.safety.stream import run_screen

    book = _rulebook()
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    try:
        status = run_screen(sys.stdin.buffer, sys.stdout, book)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our lines has enough of them; Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    raise typer.Exit(status)


@app.command()
def explain(
    text: Annotated[str, typer.Argument(help="What somebody might write.", show_default=False)],
    asked: Annotated[str, typer.Option(help="What was asked last, such as suicide or safe_now.")] = "",
) -> None:
    """Say which rules fire on a text, why, on which words, and what was held back."""
    from breakwater.safety import stream
    from breakwater.safety.verdict import Context

    print(stream.explain(text, _rulebook(), Context(asked=asked or None)))


@app.command()
def chat(
    language: Annotated[str, typer.Option(help="en or es.")] = "en",
    url: Annotated[str, typer.Option(help="Where Breakwater answers; by default on this machine.")] = "",
) -> None:
    """Talk to the running assistant in the terminal; /quit or Ctrl-D ends the talk and deletes it."""
    from breakwater.chat import talk

    if language not in ("en", "es"):
        raise typer.BadParameter("write en or es", param_hint="--language")
    raise typer.Exit(talk(url or _local_url(), language))


@app.command()
def doctor(
    production: Annotated[
        bool, typer.Option("--production", help="Also what must be right before people in need use it.")
    ] = False,
) -> None:
    """Check this installation, and say what to do about what is wrong."""
    from breakwater.doctor import examine

    raise typer.Exit(examine(production=production))


@app.command()
def bench(
    seconds: Annotated[float, typer.Option(help="Seconds for each load.")] = 8.0,
    screen_only: Annotated[bool, typer.Option("--screen-only", help="Only the screen, no bots.")] = False,
    output: Annotated[Path | None, typer.Option(help="A file for the figures, as JSON.")] = None,
) -> None:
    """Measure this machine: the screen, and the whole against the bot that `rasa init` makes."""
    from breakwater import bench as measuring

    raise typer.Exit(measuring.main(seconds=seconds, screen_only=screen_only, output=output))


def main() -> None:
    """The entry point: expected errors are one line on standard error and exit status 1."""
    try:
        app()
    except SetupError as error:
        print(f"breakwater: {error.sentence}", file=sys.stderr)
        for line in error.details:
            print(f"    {line}", file=sys.stderr)
        sys.exit(1)


def _rulebook() -> RuleBook:
    from breakwater.safety.rulebook import RuleBookError, default_rulebook

    try:
        return default_rulebook()
    except RuleBookError as error:
        raise SetupError(str(error)) from None


def _local_url() -> str:
    from breakwater.checks import local_name

    host = os.environ.get("BREAKWATER_HOST") or "127.0.0.1"
    return f"http://{local_name(host)}:{os.environ.get('BREAKWATER_PORT') or '8080'}"
