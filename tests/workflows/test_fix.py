"""The main job end to end, through the real command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workflows.conftest import BUGGY, Ran, git, write_files
from workflows import command_line
from workflows.runs import cache_folder

Make = Callable[..., Path]
Run = Callable[..., Ran]

FIXED = "+    return result - discount"


def status(folder: Path) -> str:
    return git(folder, "status", "--porcelain")


def test_the_diff_alone_goes_through_a_pipe_to_git(repository: Make, environment: dict[str, str]) -> None:
    folder = repository()
    greendiff = f"{sys.executable} -m workflows.cli"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {greendiff} fix | git apply"], cwd=folder, env=environment,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "2 failing tests to repair" in done.stderr
    assert "verified in a fresh local sandbox" in done.stderr
    assert status(folder) == " M shop/prices.py\n"
    tests = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=folder, env=environment
    )
    assert tests.returncode == 0


def test_the_working_tree_is_not_touched_and_runs_can_be_looked_at_and_applied(quick: Run, repository: Make) -> None:
    folder = repository()
    ran = quick("fix", "--test", "tests/test_prices.py::test_discount", cwd=folder)
    assert ran.code == 0, ran.err
    assert ran.out.startswith("diff --git a/shop/prices.py b/shop/prices.py\n")
    assert FIXED in ran.out
    assert status(folder) == ""
    listing = quick("runs").out.splitlines()
    assert listing[0].split() == ["RUN", "STATUS", "EXIT", "SECONDS", "REPOSITORY"]
    assert listing[1].split()[1:3] == ["verified", "0"]
    assert listing[1].endswith(str(folder))
    as_json = quick("runs", "--json").events
    assert as_json[0]["status"] == "verified"
    shown = quick("show", as_json[0]["id"])
    assert shown.code == 0
    for part in ("- status: verified (exit code 0)", "test_discount", "| verify | 1 |", "nothing-broken"):
        assert part in shown.out, shown.out
    applied = quick("apply", "last")
    assert (applied.code, applied.err) == (0, "shop/prices.py: changed\n")
    assert status(folder) == " M shop/prices.py\n"
    again = quick("apply", "last")
    assert (again.code, again.err) == (0, "shop/prices.py: the change is there already\n")
    write_files(folder, {"shop/prices.py": "mine = 1\n"})
    refused = quick("apply", "last")
    assert refused.code == 1
    assert "shop/prices.py has changed since the repair was made, so nothing was changed" in refused.err
    assert (folder / "shop/prices.py").read_text() == "mine = 1\n"


def test_events_as_json(quick: Run, repository: Make) -> None:
    ran = quick("fix", repository(), "--json")
    assert ran.code == 0, ran.err
    assert ran.err == ""
    names = [event["event"] for event in ran.events]
    documented = set(command_line.JSON_HELP.replace("\n", " ").split())
    assert set(names) <= documented, set(names) - documented
    assert names[0] == "run-started"
    assert names.count("result") == 1
    elapsed = [event["elapsed"] for event in ran.events]
    assert elapsed == sorted(elapsed)
    last = ran.events[-1]
    assert (last["event"], last["code"], last["status"], last["files"]) == ("result", 0, "verified", ["shop/prices.py"])
    assert FIXED in last["diff"]
    assert Path(last["bundle"], "patch.diff").read_text() == last["diff"]
    steps = [event["step"] for event in ran.events if event["event"] == "step-finished"]
    assert steps == ["intake", "plan", "localise", "propose", "verify", "select", "review", "deliver"]


def test_a_refusal_as_json(quick: Run, tmp_path: Path) -> None:
    ran = quick("fix", tmp_path, "--json")
    assert (ran.code, ran.err) == (3, "")
    assert ran.events[-1]["code"] == 3
    assert "git init" in ran.events[-1]["message"]


def test_apply_changes_the_working_tree_on_top_of_what_is_not_committed(quick: Run, repository: Make) -> None:
    folder = repository()
    source = folder / "shop/prices.py"
    source.write_text(source.read_text() + "\n\nLIMIT = 3\n")
    source.chmod(0o640)
    ran = quick("fix", folder, "--apply")
    assert ran.code == 0, ran.err
    assert ran.out == ""
    assert "uncommitted changes are part of what is fixed: shop/prices.py" in ran.err
    assert "return result - discount" in source.read_text()
    assert source.read_text().endswith("LIMIT = 3\n")
    assert source.stat().st_mode & 0o777 == 0o640


def test_apply_refuses_where_a_file_changed_meanwhile(quick: Run, repository: Make) -> None:
    # The test suite itself changes the file on the disk: what a person does in an editor at that moment.
    folder = repository()
    test = folder / "tests/test_prices.py"
    target = folder / "shop/prices.py"
    test.write_text(test.read_text() + f"\nopen({str(target)!r}, 'a').write('# edited\\n')\n")
    ran = quick("fix", folder, "--apply")
    assert ran.code == 1, ran.err
    assert "shop/prices.py has changed since the repair was made" in ran.err
    assert "return result + discount" in target.read_text()


def test_output_and_bundle(quick: Run, repository: Make, tmp_path: Path) -> None:
    folder = repository()
    bundle = tmp_path / "evidence.tar.gz"
    ran = quick("fix", folder, "--output", "fix.diff", "--bundle", str(bundle), cwd=tmp_path)
    assert ran.code == 0, ran.err
    assert ran.out == ""
    assert FIXED in (tmp_path / "fix.diff").read_text()
    git(tmp_path, "clone", "-q", str(folder), "elsewhere")
    held = quick("verify", bundle, "--repository", tmp_path / "elsewhere")
    assert held.code == 0, held.err
    assert "holds: replayed in a fresh local sandbox" in held.out
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    subprocess.run(["tar", "-xzf", bundle, "-C", unpacked], check=True)
    patch = next(unpacked.rglob("patch.diff"))
    patch.write_bytes(patch.read_bytes().replace(b"result - discount", b"result  - discount"))
    changed = quick("verify", patch.parent, "--repository", tmp_path / "elsewhere")
    assert changed.code == 1
    assert "differs: patch.diff" in changed.err
    nowhere = quick("verify", bundle, cwd=tmp_path)
    assert nowhere.code == 3
    assert quick("verify", bundle, GREENDIFF_SANDBOX="vm").code == 2


def test_a_bundle_never_leads_to_the_local_sandbox_by_itself(
    quick: Run, repository: Make, tmp_path: Path, environment: dict[str, str]
) -> None:
    bundle = tmp_path / "evidence"
    assert quick("fix", repository(), "--bundle", bundle).code == 0
    del environment["GREENDIFF_SANDBOX"]
    ran = quick("verify", bundle, PATH=os.defpath, DOCKER_HOST="unix:///nonexistent.sock")
    assert "fresh local sandbox" not in ran.out


def test_nothing_that_was_tried_passes(quick: Run, repository: Make) -> None:
    tests = "from shop.prices import total\n\ndef test_magic(): assert total([1]) == 'the answer is 42'\n"
    ran = quick("fix", repository({**BUGGY, "tests/test_prices.py": tests}), "--budget", "12")
    assert ran.code in {1, 4}, ran.err
    assert ran.out == ""
    assert "The fault is most likely near shop/prices.py" in ran.err
    shown = quick("show", "last")
    assert "## No diff" in shown.out
    assert "| shop/prices.py:" in shown.out
    applied = quick("apply", "last")
    assert applied.code == 1
    assert "has no verified diff" in applied.err


def test_an_issue_names_the_test(quick: Run, repository: Make, tmp_path: Path) -> None:
    more = "\n\ndef test_other():\n    assert cheapest([2]) == 'two'\n"
    folder = repository(
        {**BUGGY, "tests/test_prices.py": str(BUGGY["tests/test_prices.py"]) + more.replace("\n", "\n        ")}
    )
    issue = tmp_path / "issue.md"
    issue.write_text("Discounts are added.\nSee tests/test_prices.py::test_discount and test_discount_of_one.\n")
    ran = quick("fix", folder, "--issue", issue)
    assert ran.code == 0, ran.err
    assert FIXED in ran.out


def test_a_reader_that_goes_away_is_no_error(repository: Make, environment: dict[str, str]) -> None:
    command = f"{sys.executable} -m workflows.cli fix --json | head -1"
    done = subprocess.run(["bash", "-c", command], cwd=repository(), env=environment, capture_output=True, text=True)
    assert done.stderr == ""
    assert '"event": "run-started"' in done.stdout


def test_nothing_to_see_yet(quick: Run) -> None:
    ran = quick("runs")
    assert (ran.code, ran.out) == (0, "")
    assert "no runs yet" in ran.err


@pytest.mark.docker
def test_on_docker(quick: Run, repository: Make) -> None:
    ran = quick("fix", repository(), "--sandbox", "docker", "--budget", "300", GREENDIFF_CACHE_DIR=str(cache_folder()))
    assert ran.code == 0, ran.err
    assert FIXED in ran.out
    assert "verified in a fresh docker sandbox" in ran.err


@pytest.mark.bubblewrap
def test_on_bubblewrap(quick: Run, repository: Make) -> None:
    ran = quick(
        "fix", repository(), "--sandbox", "bubblewrap", "--budget", "300", GREENDIFF_CACHE_DIR=str(cache_folder())
    )
    assert ran.code == 0, ran.err
    assert FIXED in ran.out
    assert "verified in a fresh bubblewrap sandbox" in ran.err


THREE_BUGS: dict[str, str | bytes] = {
    "shop/__init__.py": "",
    "shop/prices.py": """\
        def total(prices, discount=0):
            result = 0
            for price in prices:
                result += price
            return result + discount


        def with_tax(price, percent):
            return price + price * percent // 10
        """,
    "shop/stock.py": """\
        def missing(wanted, stock):
            return [name for name in wanted if name in stock]


        def shelves(count, size):
            return count % size
        """,
    "test_prices.py": """\
        from shop.prices import total, with_tax


        def test_total():
            assert total([100, 250]) == 350


        def test_discount():
            assert total([100, 250], 50) == 300


        def test_discount_of_one():
            assert total([100], 10) == 90
        """,
    "test_stock.py": """\
        from shop.stock import missing, shelves


        def test_missing():
            assert missing(["a", "b", "c"], ["b"]) == ["a", "c"]


        def test_nothing_missing():
            assert missing(["a"], ["a"]) == []


        def test_shelves():
            assert shelves(10, 5) == 2
            assert shelves(13, 5) == 2
            assert shelves(3, 5) == 0
        """,
}


def test_independent_bugs_are_repaired_in_turn(quick: Run, repository: Make) -> None:
    ran = quick("fix", repository(THREE_BUGS), "--budget", "40")
    assert ran.code == 0, ran.err
    assert "seem to have 3 causes" in ran.err
    assert FIXED in ran.out
    assert "if name not in stock" in ran.out
    assert "return count // size" in ran.out
    assert "; then " in quick("show", "last").out


def test_one_of_several_bugs_is_repaired_alone_where_only_its_test_is_asked_for(quick: Run, repository: Make) -> None:
    ran = quick(
        "fix", repository(THREE_BUGS), "--test", "test_stock.py::test_missing", "test_stock.py::test_nothing_missing"
    )
    assert ran.code == 0, ran.err
    assert "if name not in stock" in ran.out
    assert FIXED not in ran.out


def test_a_repair_tells_how_many_mutants_of_its_lines_the_tests_notice(
    quick: Run, repository: Callable[..., Path], tmp_path: Path
) -> None:
    folder, bundle = repository(), tmp_path / "bundle"
    ran = quick("fix", folder, "--bundle", bundle, "--min-mutation", "0.5")
    assert ran.code == 0, ran.err
    said = json.loads((bundle / "manifest.json").read_text())["mutation"]
    assert said["judged"] > 0
    assert said["caught"] == said["judged"]
    assert said["demanded"] == 0.5
    assert f"the tests notice {said['caught']} of {said['judged']} mutants of the changed lines" in ran.err
    assert "Mutants of the changed lines: the tests notice" in (bundle / "summary.md").read_text()


def test_a_repair_whose_lines_are_hardly_tested_is_refused_on_demand(
    quick: Run, repository: Callable[..., Path]
) -> None:
    code = str(BUGGY["shop/prices.py"]).replace("+ discount", "+ discount if discount > 0 else result")
    weak = {**BUGGY, "shop/prices.py": code}
    ran = quick("fix", repository(weak), "--min-mutation", "1")
    assert ran.code == 1, ran.err
    assert "--min-mutation demands 100%" in ran.err
    assert "not noticed: shop/prices.py:9" in ran.err
    assert ran.out == ""
