"""scripts/bootstrap against machines made of stand-ins: what it picks, and its one line when it cannot.

The real ways were run by hand on real machines: docs/running.md says which.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from breakwater import paths

TOOLS = """
awk basename cat chmod cksum cp cut date df dirname env grep id kill ln mkdir mv printf pwd rm sed sh
sha256sum shasum sleep sort tail tr true uname
"""

UV = """#!/bin/sh
[ "$1" = --version ] && { echo "uv 9.9.9"; exit 0; }
echo "uv $*" >>"$CALLS"
case "$1 $2" in
"python find") [ -n "${UV_HAS:-}" ] && { echo "$UV_HAS"; exit 0; }; exit 1 ;;
"python install") exit 1 ;;
"venv --python") mkdir -p .venv/bin; ln -s "$3" .venv/bin/python ;;
"pip install") [ -n "${UV_FAILS:-}" ] && { echo "no network for you"; exit 1; } ;;
esac
exit 0
"""
# What a pyenv shim does where the version asked for has no such program.
SHIM = """#!/bin/sh
echo "pyenv: $(basename "$0"): command not found" >&2
exit 127
"""
# Python 3.10 that only knows what bootstrap asks it.
PYTHON = """#!/bin/sh
case "$*" in
*"(3, 10)"*) exit 0 ;;
*"print(sys.executable)"*) echo "$0"; exit 0 ;;
*"import breakwater"*) exit 0 ;;
*"import ensurepip"*) exit 1 ;;
*"-m pip --version"*) exit 1 ;;
*"-m venv"*) echo "python venv" >>"$CALLS"; mkdir -p .venv/bin; cp "$0" .venv/bin/python; exit 0 ;;
*"-m pip install"*) echo "pip $*" >>"$CALLS"; exit 0 ;;
esac
exit 1
"""
OLD = PYTHON.replace('*"(3, 10)"*) exit 0 ;;', '*"(3, 10)"*) exit 1 ;;').replace(
    "-m pip --version", "-m nothing"
)


class Machine:
    """A clone in a folder, and a PATH with only what is put on it."""

    def __init__(self, tmp_path: Path) -> None:
        self.root = tmp_path / "clone with a space"
        (self.root / "scripts").mkdir(parents=True)
        for name in ("requirements.lock", "pyproject.toml"):
            shutil.copy(paths.ROOT / name, self.root / name)
        # The places that it knows by heart are not of this machine.
        script = (paths.ROOT / "scripts/bootstrap").read_text()
        for place in ("/usr/local/", "/opt/homebrew/", "/Library/"):
            assert place in script
            script = script.replace(place, f"{tmp_path}{place}")
        (self.root / "scripts/bootstrap").write_text(script)
        self.bin = tmp_path / "bin"
        self.bin.mkdir()
        for tool in TOOLS.split():
            found = shutil.which(tool, path="/usr/bin:/bin:/usr/sbin:/sbin")
            if found:
                (self.bin / tool).symlink_to(found)
        self.first = tmp_path / "first"
        self.first.mkdir()
        self.home = tmp_path / "home"
        self.home.mkdir()
        self.calls_file = tmp_path / "calls"

    def has(self, name: str, script: str, folder: Path | None = None) -> Path:
        file = (folder or self.bin) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(script)
        file.chmod(0o755)
        return file

    def environment(self, **env: str) -> dict[str, str]:
        return {
            "PATH": f"{self.first}:{self.bin}",
            "HOME": str(self.home),
            "CALLS": str(self.calls_file),
            "PYENV_ROOT": str(self.home / ".pyenv"),
            **env,
        }

    def install(self, **env: str) -> subprocess.CompletedProcess[str]:
        shell = os.environ.get("BREAKWATER_TEST_SHELL", "/bin/sh")
        return subprocess.run(
            [shell, "scripts/bootstrap"],
            cwd=self.root,
            env=self.environment(**env),
            capture_output=True,
            text=True,
            timeout=60,
        )

    def calls(self) -> list[str]:
        """What was done; merely asking uv for a Python does nothing."""
        calls = self.calls_file.read_text().splitlines() if self.calls_file.exists() else []
        return [call for call in calls if call != "uv python find 3.10"]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_uv_and_a_python_are_found_behind_shims_that_fail(machine: Machine) -> None:
    machine.has("uv", SHIM, machine.first)
    machine.has("python3.10", SHIM, machine.first)
    machine.has("uv", UV)
    python = machine.has("python3.10", PYTHON, machine.home / ".pyenv/versions/3.10.13/bin")
    done = machine.install()
    assert done.returncode == 0, done.stderr
    assert machine.calls() == [
        f"uv venv --python {python} .venv",
        "uv pip install --python .venv/bin/python --require-hashes -r requirements.lock",
        "uv pip install --python .venv/bin/python --no-deps --no-build-isolation --editable .",
    ]
    assert "pyenv:" not in done.stdout + done.stderr


def test_the_second_time_does_nothing(machine: Machine) -> None:
    machine.has("uv", UV)
    machine.has("python3.10", PYTHON)
    assert machine.install().returncode == 0
    count = len(machine.calls())
    again = machine.install()
    assert again.returncode == 0 and again.stdout == "" and len(machine.calls()) == count


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml"])
def test_a_changed_lock_is_installed(machine: Machine, name: str) -> None:
    machine.has("uv", UV)
    machine.has("python3.10", PYTHON)
    machine.install()
    count = len(machine.calls())
    with (machine.root / name).open("a") as out:
        out.write("\n# changed\n")
    machine.install()
    # The environment is kept, and brought up to date.
    assert len(machine.calls()) == count + 2 and "uv venv" not in "".join(machine.calls()[count:])


def test_an_installation_that_failed_is_not_taken_for_done(machine: Machine) -> None:
    machine.has("uv", UV)
    machine.has("python3.10", PYTHON)
    failed = machine.install(UV_FAILS="1")
    assert failed.returncode == 1
    assert (
        failed.stderr.strip()
        .splitlines()[-1]
        .startswith("breakwater: the packages could not be installed; is there a network?")
    )
    assert "no network for you" in failed.stderr
    count = len(machine.calls())
    assert machine.install().returncode == 0
    assert len(machine.calls()) == count + 2


def test_going_back_after_a_failed_update_installs_again(machine: Machine) -> None:
    machine.has("uv", UV)
    machine.has("python3.10", PYTHON)
    machine.install()
    lock = machine.root / "requirements.lock"
    before = lock.read_text()
    lock.write_text(before + "\n# changed\n")
    assert machine.install(UV_FAILS="1").returncode == 1
    lock.write_text(before)
    count = len(machine.calls())
    assert machine.install().returncode == 0 and len(machine.calls()) == count + 2


def test_a_killed_installation_is_taken_up_again(machine: Machine) -> None:
    slow = UV.replace('"pip install")', '"pip install") sleep 30 ;;\n"never")')
    machine.has("uv", slow)
    machine.has("python3.10", PYTHON)
    process = subprocess.Popen(
        ["/bin/sh", "scripts/bootstrap"],
        cwd=machine.root,
        env=machine.environment(),
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    until = time.monotonic() + 20
    while not any("pip install" in call for call in machine.calls()) and time.monotonic() < until:
        time.sleep(0.05)
    os.killpg(process.pid, 9)
    process.wait()
    machine.has("uv", UV)
    assert machine.install().returncode == 0
    assert len([call for call in machine.calls() if "--editable" in call]) == 1


def test_an_environment_that_does_not_run_is_made_anew(machine: Machine) -> None:
    machine.has("uv", UV)
    machine.has("python3.10", PYTHON)
    machine.has("python", SHIM, machine.root / ".venv/bin")
    done = machine.install()
    assert done.returncode == 0 and "making it anew" in done.stdout


def test_uvs_own_knowledge_of_pythons_is_used(machine: Machine) -> None:
    python = machine.has("hidden-python", PYTHON, machine.home / "somewhere")
    machine.has("uv", UV)
    done = machine.install(UV_HAS=str(python))
    assert done.returncode == 0
    assert f"uv venv --python {python} .venv" in machine.calls()


def test_without_uv_it_goes_on_with_venv_and_pip(machine: Machine) -> None:
    machine.has("python3.10", PYTHON.replace('*"-m pip --version"*) exit 1', '*"-m pip --version"*) exit 0'))
    done = machine.install(BREAKWATER_UV="none")
    assert done.returncode == 0, done.stderr
    assert machine.calls()[0] == "python venv"
    assert "pip -m pip install --quiet --require-hashes -r requirements.lock" in machine.calls()


def test_without_python_it_says_so_in_one_line(machine: Machine) -> None:
    machine.has("uv", UV)
    machine.has("python3", OLD)
    done = machine.install()
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("breakwater: needs Python 3.10") and "pyenv install 3.10" in last
    assert not (machine.root / ".venv").exists()


def test_with_nothing_at_all_it_says_so_in_one_line(machine: Machine) -> None:
    done = machine.install()
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("breakwater: needs Python 3.10")


def test_a_lock_left_by_a_killed_run_is_no_obstacle(machine: Machine) -> None:
    machine.has("uv", UV)
    machine.has("python3.10", PYTHON)
    lock = machine.root / "var/bootstrap.lock"
    lock.mkdir(parents=True)
    (lock / "pid").write_text("999999")
    assert machine.install().returncode == 0
    assert not lock.exists()


def test_a_moved_project_is_installed_again(machine: Machine) -> None:
    machine.has("uv", UV)
    machine.has("python3.10", PYTHON)
    machine.install()
    count = len(machine.calls())
    machine.root = machine.root.rename(machine.root.with_name("moved"))
    assert machine.install().returncode == 0
    assert len(machine.calls()) > count


def test_the_script_is_plain_posix() -> None:
    for name in ("bootstrap", "stage", "install-test-needs", "lock"):
        file = paths.ROOT / "scripts" / name
        assert file.read_text().startswith("#!/bin/sh\n") and os.access(file, os.X_OK)
        assert subprocess.run(["/bin/sh", "-n", str(file)], check=False).returncode == 0


def test_ci_calls_make_test_and_nothing_else() -> None:
    file = paths.ROOT / ".ci" / "run"
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    assert os.access(file, os.X_OK)
    assert lines == ["set -euo pipefail", 'cd "$(dirname "$0")/.."', "exec make test"]


def test_this_installation_came_from_the_lock() -> None:
    assert sys.version_info[:2] == (3, 10)


# scripts/install-test-needs

WORKS = "#!/bin/sh\necho Chromium 150\n"
APT = """#!/bin/sh
echo "apt-get $*" >>"$CALLS"
case "$*" in
*"install"*" chromium") cp "$CHROMIUM" "$(dirname "$0")/chromium" ;;
esac
"""


def needs(machine: Machine, **env: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(paths.ROOT / "scripts" / "install-test-needs", machine.root / "scripts")
    return subprocess.run(
        ["/bin/sh", "scripts/install-test-needs"],
        cwd=machine.root,
        env=machine.environment(**env),
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_browser_that_is_there_is_taken(machine: Machine) -> None:
    machine.has("chromium-browser", WORKS)
    done = needs(machine)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_browser_that_is_only_a_hint_is_installed(machine: Machine) -> None:
    """Ubuntu's chromium-browser may be a script that asks for a snap."""
    machine.has("chromium-browser", "#!/bin/sh\nexit 1\n")
    machine.has("apt-get", APT)
    (machine.bin / "id").unlink()
    machine.has("id", "#!/bin/sh\necho 0\n")
    done = needs(machine, CHROMIUM=str(machine.has("works", WORKS, machine.home)))
    assert done.returncode == 0, done.stderr
    assert machine.calls()[0].startswith("apt-get update") and "chromium" in machine.calls()[1]


def test_who_may_not_install_is_told_what_to_do(machine: Machine) -> None:
    machine.has("apt-get", APT)
    (machine.bin / "id").unlink()
    machine.has("id", "#!/bin/sh\necho 1000\n")
    machine.has("sudo", "#!/bin/sh\nexit 1\n")
    done = needs(machine)
    assert done.returncode == 1 and machine.calls() == []
    assert done.stderr.startswith("breakwater: the browser tests need Chromium: run `sudo apt-get update")
    assert len(done.stderr.strip().splitlines()) == 1


def test_where_nothing_can_install_it_says_so(machine: Machine) -> None:
    done = needs(machine)
    assert done.returncode == 1 and "BREAKWATER_CHROMIUM" in done.stderr
