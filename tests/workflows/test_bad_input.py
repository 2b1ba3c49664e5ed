"""Everything that can be wrong: one clear sentence, the right exit code, nothing lost and nothing left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workflows.conftest import BUGGY, Ran, git, write_files

Make = Callable[..., Path]
Run = Callable[..., Ran]


def refused(ran: Ran, code: int, *words: str) -> None:
    """Check a refusal: its code, its words, and that nothing else was printed."""
    assert ran.code == code, ran.err
    assert ran.out == ""
    assert "Traceback" not in ran.err
    for word in words:
        assert word in ran.err, ran.err


def one_test(body: str, **files: str) -> dict[str, str | bytes]:
    return {"lib.py": "def double(x):\n    return x + x\n", "test_lib.py": f"from lib import double\n{body}", **files}


def test_no_repository(quick: Run, tmp_path: Path) -> None:
    refused(quick("fix", tmp_path), 3, "is not in a Git repository", "git init")


def test_no_such_folder(quick: Run, tmp_path: Path) -> None:
    refused(quick("fix", tmp_path / "none" / "deeper"), 3, "does not exist")


def test_a_bare_repository(quick: Run, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--bare", "bare.git")
    refused(quick("fix", tmp_path / "bare.git"), 3, "is a bare repository", "clone it first")


def test_no_commit_yet(quick: Run, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "empty")
    refused(quick("fix", tmp_path / "empty"), 3, "has no commit yet", "git commit")


def test_no_tests(quick: Run, repository: Make) -> None:
    refused(quick("fix", repository({"lib.py": "x = 1\n"})), 3, "there are no tests here")


def test_tests_that_cannot_be_collected(quick: Run, repository: Make) -> None:
    folder = repository({"test_a.py": "import nothing_of_this_name\n\ndef test_a(): pass\n"})
    refused(quick("fix", folder), 3, "o test can be collected: test_a.py", "nothing_of_this_name")


def test_no_failing_test(quick: Run, repository: Make) -> None:
    folder = repository(one_test("def test_double(): assert double(2) == 4\n"))
    refused(quick("fix", folder), 1, "no test fails: 1 test ran", "--issue FILE")


def test_a_test_that_passes_is_named(quick: Run, repository: Make) -> None:
    folder = repository()
    refused(quick("fix", folder, "--test", "tests/test_prices.py::test_total"), 1, "passes already", "test_total")


def test_a_test_that_does_not_exist(quick: Run, repository: Make) -> None:
    folder = repository()
    ran = quick("fix", folder, "--test", "tests/test_prices.py::test_discuont")
    refused(
        ran, 2, "there is no test 'tests/test_prices.py::test_discuont'", "near it are tests/test_prices.py::test_di"
    )
    refused(quick("fix", folder, "--test", "zzz"), 2, "node ids look like")


FLAKY = """\
import pathlib

def test_flaky():
    # Passes in whichever run comes first, even where two run at the same time.
    pathlib.Path({path!r}).touch(exist_ok=False)

def test_steady():
    assert double(2) == 4
"""


def test_a_failing_test_that_is_flaky(quick: Run, repository: Make, tmp_path: Path) -> None:
    folder = repository(one_test(FLAKY.format(path=str(tmp_path / "first"))))
    refused(quick("fix", folder), 1, "no test fails steadily: test_lib.py::test_flaky fails only sometimes")
    ran = quick("fix", folder, "--test", "test_lib.py::test_flaky")
    refused(ran, 1, "test_lib.py::test_flaky fails only sometimes")


def test_a_test_that_hangs_is_ended_and_is_a_failing_test(quick: Run, repository: Make) -> None:
    body = "def test_hang():\n    while True: pass\n\ndef test_double(): assert double(2) == 4\n"
    ran = quick("fix", repository(one_test(body)), "--budget", "9")
    assert ran.code in {1, 4}, ran.err
    assert "1 failing test to repair: test_lib.py::test_hang" in ran.err
    assert "Traceback" not in ran.err


def test_tests_that_are_too_many_for_the_time(quick: Run, repository: Make) -> None:
    body = "import time, pytest\n@pytest.mark.parametrize('n', range(100))\ndef test_slow(n): time.sleep(1)\n"
    ran = quick("fix", repository(one_test(body)), "--budget", "8")
    refused(ran, 3, "the tests did not come to an end", "give more time with --budget")


def test_tests_that_end_the_process(quick: Run, repository: Make) -> None:
    body = "import os\nos._exit(7)\ndef test_double(): assert double(2) == 4\n"
    ran = quick("fix", repository(one_test(body)))
    assert ran.code == 3, ran.err
    assert "Traceback" not in ran.err


def test_output_without_end_and_without_sense(quick: Run, repository: Make) -> None:
    body = (
        "import os\n"
        "def test_loud():\n"
        "    for _ in range(3000): os.write(1, bytes(range(256)) * 64)\n"
        "    assert double(2) == 5\n"
    )
    ran = quick("fix", repository(one_test(body)), "--budget", "10")
    assert ran.code in {1, 4}, ran.err
    assert "test_lib.py::test_loud" in ran.err
    assert len(ran.err) < 10_000


def test_an_environment_that_cannot_be_installed(quick: Run, repository: Make) -> None:
    project = '[project]\nname = "p"\nversion = "1"\ndependencies = ["no-such-distribution-zzz==1.0"]\n'
    files = one_test("def test_double(): assert double(2) == 5\n", **{"pyproject.toml": project})
    ran = quick("fix", repository(files), PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_RETRIES="0")
    assert ran.code == 3, ran.err
    assert "Traceback (most recent call last)" not in ran.err


def test_no_sandbox(quick: Run, repository: Make) -> None:
    ran = quick("fix", repository(), "--sandbox", "docker", DOCKER_HOST="unix:///nonexistent.sock")
    assert ran.code == 3, ran.err
    assert "docker" in ran.err.lower()
    assert "Traceback" not in ran.err


def test_a_state_folder_that_cannot_be_written(quick: Run, repository: Make, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ran = quick("fix", repository(), GREENDIFF_STATE_DIR=str(tmp_path / "file" / "inside"))
    refused(ran, 3, "cannot be written", "GREENDIFF_STATE_DIR")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small file system")
def test_a_full_disk_loses_nothing(quick: Run, repository: Make, tmp_path: Path) -> None:
    state = tmp_path / "small"
    state.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", state], capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        ran = quick("fix", repository(), GREENDIFF_STATE_DIR=str(state))
        refused(ran, 3, "disk", "is full")
        subprocess.run(["mount", "-o", "remount,size=64m", state], check=True)
        again = quick("resume", "last", GREENDIFF_STATE_DIR=str(state))
        assert again.code == 0, again.err
        assert "+    return result - discount" in again.out
    finally:
        subprocess.run(["umount", state], check=True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fxi"], "there is no command 'fxi'; did you mean 'fix'?"),
        (["fix", "--buget", "3"], "there is no option '--buget'; did you mean '--budget'?"),
        (["fix", "--sandbox", "dokcer"], "there is no value for --sandbox 'dokcer'; did you mean 'docker'?"),
        (["fix", "--budget", "0"], "is not a number of seconds greater than 0"),
        (["fix", "--budget", "soon"], "is not a number of seconds greater than 0"),
        (["fix", "--apply", "--json"], "not allowed with"),
        (["fix", "--issue", "/nonexistent/file"], "--issue /nonexistent/file cannot be read"),
        (["fix", "--config", "/nonexistent/file"], "--config /nonexistent/file cannot be read"),
        (["fix", "--output", "/nonexistent/file"], "there is no folder /nonexistent"),
        (["fix", "--output", "/"], "is a folder"),
        (["fix", "--bundle", "/tmp"], "is there already"),
        (["show", "zzz"], "there is no run 'zzz'"),
        (["resume", "zzz"], "there is no run 'zzz'"),
        (["apply", "zzz"], "there is no run 'zzz'"),
        (["verify", "/nonexistent"], "there is no bundle at /nonexistent"),
        ([], "usage: greendiff"),
    ],
)
def test_a_wrong_command_line(arguments: list[str], words: str, quick: Run, repository: Make) -> None:
    refused(quick(*arguments, cwd=repository()), 2, words)


def test_a_wrong_setting(quick: Run, repository: Make) -> None:
    folder = repository({**BUGGY, "greendiff.toml": "bugdet = 3\n"})
    refused(quick("fix", folder), 2, "greendiff.toml: there is no setting 'bugdet'; did you mean 'budget'?")
    refused(quick("fix", folder, GREENDIFF_BUGDET="3"), 2, "did you mean 'GREENDIFF_BUDGET'")


def test_odd_repositories_are_repaired(quick: Run, repository: Make, tmp_path: Path) -> None:
    """A detached head, no identity, CRLF, a byte order mark, names that are not UTF-8, links, uncommitted changes."""
    source = str(BUGGY["shop/prices.py"])
    folder = repository()
    (folder / "shop/prices.py").write_bytes(b"\xef\xbb\xbf" + _dedented(source).replace("\n", "\r\n").encode())
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.txt")).write_bytes(b"latin")
    (folder / "link").symlink_to("shop/prices.py")
    (folder / "dangling").symlink_to("/nowhere")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "odd")
    git(folder, "checkout", "-q", "--detach")
    (folder / "notes.txt").write_text("not committed")
    home = tmp_path / "home"
    home.mkdir()
    ran = quick("fix", folder, HOME=str(home), GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_NOSYSTEM="1")
    assert ran.code == 0, ran.err
    assert "uncommitted changes are part of what is fixed: notes.txt" in ran.err
    assert "-    return result + discount\r\n+    return result - discount\r\n" in ran.out
    done = subprocess.run(["git", "apply"], cwd=folder, input=os.fsencode(ran.out), capture_output=True)
    assert done.returncode == 0, done.stderr
    data = (folder / "shop/prices.py").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    assert data.count(b"\r\n") == data.count(b"\n")


def _dedented(text: str) -> str:
    import textwrap

    return textwrap.dedent(text)


def test_shallow_clones_worktrees_subfolders_and_submodules(quick: Run, repository: Make, tmp_path: Path) -> None:
    origin = repository()
    other = repository({"lib.py": ""}, name="other")
    git(origin, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other), "vendored")
    git(origin, "commit", "-qm", "submodule")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{origin}", "shallow")
    git(origin, "worktree", "add", "-q", "--detach", str(tmp_path / "tree"))
    for folder in (tmp_path / "shallow" / "tests", tmp_path / "tree"):
        ran = quick("fix", ".", cwd=folder)
        assert ran.code == 0, ran.err
        assert "+    return result - discount" in ran.out
        assert "submodules are left out: vendored" in ran.err


def test_a_source_layout_with_tests_in_a_subfolder_of_the_repository(quick: Run, repository: Make) -> None:
    files: dict[str, str | bytes] = {
        "src/shop/__init__.py": "",
        "src/shop/prices.py": BUGGY["shop/prices.py"],
        "tests/test_prices.py": BUGGY["tests/test_prices.py"],
        "pyproject.toml": '[project]\nname = "shop"\nversion = "1.0"\n',
    }
    ran = quick("fix", repository(files))
    assert ran.code == 0, ran.err
    assert "src/shop/prices.py" in ran.out


def test_the_repository_may_lie_anywhere(quick: Run, repository: Make, tmp_path: Path) -> None:
    folder = repository(name="with space/and ümlaut")
    ran = quick("fix", folder / "tests")
    assert ran.code == 0, ran.err
    write_files(folder, {"shop/prices.py": "x"})
    shutil.rmtree(folder)
    refused(quick("apply", "last"), 3, "is gone")
