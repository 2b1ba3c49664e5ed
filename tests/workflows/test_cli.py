"""What the command line says about itself, and what it costs to ask."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workflows.conftest import Ran
from workflows import cli
from workflows.commands import doctor

Run = Callable[..., Ran]
HEAVY = (
    "langgraph",
    "pydantic",
    "docker",
    "git",
    "rich",
    "platformdirs",
    "sqlite3",
    "asyncio",
    "subprocess",
    "typing_extensions",
)


def test_help_documents_commands_and_exit_codes(greendiff: Run) -> None:
    ran = greendiff("--help")
    assert ran.code == 0
    for word in (*cli.MODULES, "exit codes:", "no diff could be verified", "interrupted", "70"):
        assert word in ran.out
    fix = greendiff("fix", "--help")
    for word in ("--test", "--budget", "--apply", "git apply", "step-finished"):
        assert word in fix.out


def test_asking_for_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom workflows.cli import main\n"
        "try:\n    main(['fix', '--help'])\nexcept SystemExit: pass\n"
        f"print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    # -S: what the interpreter's own start-up files import is not ours.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines()[-1] == "HEAVY []", done.stderr


def test_version(greendiff: Run) -> None:
    ran = greendiff("--version")
    assert ran.code == 0
    assert ran.out.startswith("greendiff ")
    assert ran.out.split()[1][0].isdigit()


def test_the_packages_are_ours(project: Path) -> None:
    import agents
    import sandbox
    import workflows

    for package in (agents, sandbox, workflows):
        assert package.__file__ is not None
        assert Path(package.__file__).parent.parent == project
    assert cli.shadowed() == []


def test_another_package_of_the_same_name_is_said(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "__init__.py").write_text("")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from workflows.cli import main; sys.exit(main())"
    for arguments in (["fix"], ["doctor"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=tmp_path.parent, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 3, done.stderr
        assert "the package 'agents' that Python finds" in done.stderr
        assert "install greendiff on its own" in done.stderr


def test_doctor(quick: Run, tmp_path: Path) -> None:
    ran = quick("doctor")
    for line in ("greendiff ", "git ", "agents, sandbox and workflows are greendiff's own", "state: ", "cache: ",
                 "local: can be used, only with --sandbox local"):  # fmt: skip
        assert line in ran.out, ran.out
    nothing = quick("doctor", PATH=str(tmp_path), DOCKER_HOST="unix:///nonexistent.sock")
    assert nothing.code == 3
    assert "git: not found; install the package `git`" in nothing.out
    assert "docker: cannot be used" in nothing.out
    assert "bubblewrap: cannot be used" in nothing.out


def test_doctor_on_odd_folders(quick: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ran = quick("doctor", GREENDIFF_STATE_DIR=str(tmp_path / "file" / "state"))
    assert "cannot be written" in ran.out


def test_sizes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 3000)
    assert doctor.size_of(tmp_path) == 3000
    assert doctor.size_of(tmp_path / "none") == 0
    assert [doctor.readable(n) for n in (5, 3000, 5 << 20, 3 << 30)] == ["5 bytes", "3 KiB", "5 MiB", "3.0 GiB"]


def test_a_reader_of_help_that_goes_away_is_no_error(environment: dict[str, str]) -> None:
    command = f"{sys.executable} -m workflows.cli --help | true"
    for _ in range(3):
        done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True)
        assert done.stderr == ""


@pytest.mark.parametrize("arguments", [["--nonsense"], ["fix", "a", "b"]])
def test_what_does_not_belong_there(arguments: list[str], greendiff: Run) -> None:
    ran = greendiff(*arguments)
    assert ran.code == 2
    assert "there is no" in ran.err


@pytest.mark.parametrize("how", ["module", "PYTHONPATH"])
def test_a_repository_on_the_import_path_is_not_imported_here(how: str, tmp_path: Path, project: Path) -> None:
    for name in ("packaging", "pydantic", "rich", "docker"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('code of the repository ran on the host')\n")
    environment = {**os.environ, "PYTHONPATH": str(project)}
    if how == "PYTHONPATH":
        environment["PYTHONPATH"] = os.pathsep.join((".", str(tmp_path), str(project)))
    argv = [sys.executable, "-m", "workflows.cli", "fix", "--sandbox", "local"]
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 3
    assert "is not in a Git repository" in done.stderr, done.stderr
