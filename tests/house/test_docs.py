"""What is not in the docs does not exist: commands, settings, keys, targets. And what no file may hold."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import typer.main

from breakwater import paths
from breakwater.cli import app
from breakwater.clinic import SCHEMA

ROOT = paths.ROOT
DOCS = {file.name: file.read_text(encoding="utf-8") for file in sorted((ROOT / "docs").glob("*.md"))}


def committed() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def commands() -> list[tuple[str, list[str]]]:
    group = typer.main.get_command(app)
    assert hasattr(group, "commands")
    return [
        (
            name,
            [option for parameter in command.params for option in parameter.opts if option.startswith("--")],
        )
        for name, command in group.commands.items()
    ]


def test_every_command_and_its_options_are_in_running() -> None:
    found = commands()
    assert {name for name, _ in found} >= {"run", "train", "screen", "explain", "chat", "doctor", "bench"}
    for name, options in found:
        row = next((line for line in DOCS["running.md"].splitlines() if f"`breakwater {name}" in line), "")
        assert row, f"breakwater {name} is not in docs/running.md"
        for option in options:
            assert option in row, f"breakwater {name} {option} is not in docs/running.md"


def settings() -> set[str]:
    found: set[str] = set()
    for folder in ("breakwater", "scripts", "actions"):
        for file in (ROOT / folder).rglob("*"):
            if file.is_file() and file.suffix in (".py", ""):
                found |= set(re.findall(r"BREAKWATER_[A-Z_]*[A-Z]", file.read_text(encoding="utf-8")))
    return found


def test_every_setting_is_in_running_and_no_other() -> None:
    found = settings()
    assert len(found) > 15
    told = set(re.findall(r"BREAKWATER_[A-Z_]*[A-Z]", DOCS["running.md"]))
    assert found - told == set(), "not in docs/running.md"
    assert told - found == set(), "only in docs/running.md"


def test_every_key_of_the_clinic_file_is_in_clinic() -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    groups = [schema, schema["properties"]["privacy"], schema["properties"]["lines"]["items"]]
    for group in groups:
        for key in group["properties"]:
            assert f"| `{key}` |" in DOCS["clinic.md"], f"{key} is not in docs/clinic.md"
    assert "`sms.number`" in DOCS["clinic.md"]


def test_every_key_of_the_schema_says_what_is_expected() -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    groups = [
        schema,
        schema["properties"]["privacy"],
        schema["properties"]["lines"]["items"],
        schema["definitions"],
    ]
    for group in groups:
        for key, value in group.get("properties", group).items():
            assert value.get("description") or "$ref" in value, key


def targets() -> list[str]:
    return re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)


def test_every_make_target_is_in_developing_and_in_help() -> None:
    helped = subprocess.run(
        ["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    found = targets()
    assert len(found) > 8
    for target in found:
        assert f"`make {target}`" in DOCS["developing.md"], target
        assert re.search(rf"make {target} ", helped), target


def test_no_doc_names_a_target_or_a_file_that_is_not_there() -> None:
    names = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
    pages = {**DOCS, **{name: (ROOT / name).read_text(encoding="utf-8") for name in names}}
    for page, text in pages.items():
        for target in re.findall(r"`make ([a-z-]+)`", text):
            assert target in targets(), f"{page}: make {target}"
        folder = ROOT if page in names else ROOT / "docs"
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
            assert (folder / link).exists(), f"{page}: {link}"
        for name in re.findall(
            r"`((?:breakwater|safety|tests|docs|scripts|data|actions|widget)/[\w./-]+)`", text
        ):
            assert (ROOT / name).exists(), f"{page}: {name}"


FORBIDDEN = re.compile(
    r"pypi\.[o]rg|files\.python[h]osted|deb\.[d]ebian|registry\.[n]pmjs|/wor[k]/|/roo[t]/|shared/eva[l]"
)


def test_no_file_names_a_registry_or_somebodys_folders() -> None:
    looked = 0
    for file in committed():
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        looked += 1
        found = FORBIDDEN.search(text)
        assert not found, f"{file.relative_to(ROOT)} holds {found.group()}"
    assert looked > 50


def test_the_lock_has_hashes_for_everything_and_no_address() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in lock and "--index" not in lock and "--find-links" not in lock and " @ " not in lock
    packages = re.split(r"\n(?=[A-Za-z0-9])", lock.strip())
    assert len(packages) > 150 and any(package.startswith("rasa==3.6.21") for package in packages)
    for package in packages:
        assert re.match(r"[A-Za-z0-9._\[\],-]+==\S+", package) and "--hash=sha256:" in package


def test_the_licence_is_whole() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text and "Version 2.0, January 2004" in text and len(text) > 11_000


@pytest.mark.parametrize("name", ["README.md", "SECURITY.md"])
def test_who_is_in_danger_finds_the_lines_first(name: str) -> None:
    top = " ".join((ROOT / name).read_text(encoding="utf-8").split())[:1800]
    assert all(number in top for number in ("988", "741741", "911"))
