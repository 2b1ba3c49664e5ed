"""The fourth proof: faults in the changed lines, and how many the tests notice."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from agents.mutation.changed import changed_lines
from sandbox.patches import diff
from sandbox.tree import Entry, Tree
from tests.gate.cases import SOUND, passing
from tests.gate.cases import case as evidence_case
from tests.gate.court import Court
from tests.gate.shop import BASES, tree
from tests.gate.test_evidence import STORY
from workflows.archives import write_files
from workflows.bundle import bundle_files, read_bundle
from workflows.gate.mutating import faults, told, try_faults
from workflows.manifest import parse_manifest
from workflows.steps.deliver import too_few_noticed
from workflows.steps.verify import VerifiedPatch
from workflows.verdicts import Mutation


def text_tree(**files: str) -> Tree:
    return Tree({path.replace("__", "/") + ".py": Entry(text.encode()) for path, text in files.items()})


def test_changed_lines_are_those_that_differ_and_both_sides_of_a_gap() -> None:
    before = text_tree(m="a = 1\nb = 2\nc = 3\nd = 4\n", tests__test_m="x = 1\n", gone="y = 1\n")
    after = text_tree(m="a = 1\nb = 5\nc = 3\n", tests__test_m="x = 2\n", new="z = 1\nz = 2\n")
    assert changed_lines(before, after) == {"m.py": {2, 3}, "new.py": {1, 2}}
    assert changed_lines(before, before) == {}
    cut = text_tree(m="a = 1\nd = 4\n", tests__test_m="x = 1\n", gone="y = 1\n")
    assert changed_lines(before, cut) == {"m.py": {1, 2}}


def test_the_share_of_a_sound_repair_is_found(local_court: Court) -> None:
    case = local_court.case("plain", SOUND)
    found = try_faults(case, local_court.sandbox, print)
    assert found.why == ""
    assert found.tried == found.made > 0
    assert found.share is not None
    assert 0 < found.caught <= found.judged
    assert len(found.missed) == min(5, found.judged - found.caught)
    assert found.seconds < 20
    again = try_faults(case, local_court.sandbox, print)
    assert dataclasses.replace(again, seconds=0.0) == dataclasses.replace(found, seconds=0.0)


def test_without_faults_or_time_it_is_said_why(local_court: Court) -> None:
    case = local_court.case("plain", SOUND)
    base = tree(BASES["plain"])
    patch = diff(base, base.replaced({"README.md": Entry(b"Nothing but words.\n")}))
    found = try_faults(dataclasses.replace(case, base=base, patch=patch), local_court.sandbox, print)
    assert (found.made, found.why) == (0, "no fault can be put into the changed lines")
    command = dataclasses.replace(case, harness=dataclasses.replace(case.harness, kind="command", command=("true",)))
    found = try_faults(command, local_court.sandbox, print)
    assert (found.tried, found.why) == (0, "the tests are run by a command")
    assert told(3, (), 1.0).why == "there was no time to try one"


def test_words_for_a_person_are_no_faults() -> None:
    before = text_tree(m="def f(x):\n    return x\n")
    after = text_tree(m="def f(x):\n    if x:\n        raise ValueError('no such thing')\n    return x\n")
    operators = {mutant.operator for mutant in faults(before, after)}
    assert "raise.exchanged" in operators
    assert "constant.message" not in operators


@pytest.mark.parametrize(
    ("mutation", "demanded", "words"),
    [
        (Mutation(10, 10, 4, 10, ("m.py:3: `a` → `b` (survived)",)), 0.5, "notice only 4 of 10 mutants"),
        (Mutation(10, 10, 5, 10), 0.5, None),
        (Mutation(10, 10, 0, 10), None, None),
        (Mutation(0, 0, 0, 0, why="no fault can be put into the changed lines"), 0.9, None),
        (Mutation(10, 0, 0, 0, why="there was no time to try one"), 0.9, "no mutant could be judged"),
    ],
)
def test_a_demand_is_refused_with_its_reason(mutation: Mutation, demanded: float | None, words: str | None) -> None:
    reason = too_few_noticed(mutation, demanded)
    assert (reason is None) == (words is None)
    assert words is None or (reason is not None and words in reason)


def test_the_summary_and_the_manifest_tell_what_was_tried() -> None:
    of = evidence_case()
    story = dataclasses.replace(STORY, mutation=Mutation(9, 8, 5, 7, ("m.py:3: `a` → `b` (survived)",)), demanded=0.5)
    files = bundle_files(VerifiedPatch.from_report(passing(of), of), of, story)
    summary = files["summary.md"].decode()
    assert "the tests notice 5 of 7 (71.4 %, at least 50% was demanded); 8 of 9 were tried." in summary
    assert "- not noticed: `m.py:3: 'a' → 'b' (survived)`" in summary
    said = parse_manifest(files["manifest.json"]).mutation
    assert said is not None
    assert (said.made, said.tried, said.judged, said.caught, said.demanded) == (9, 8, 7, 5, 0.5)


def test_a_bundle_whose_numbers_do_not_fit_is_told_apart(tmp_path: Path) -> None:
    of = evidence_case()
    for mutation, words in (
        (Mutation(9, 8, 8, 7), "do not fit each other"),
        (Mutation(9, 8, 3, 7), "fewer mutants were noticed than were demanded"),
    ):
        story = dataclasses.replace(STORY, mutation=mutation, demanded=0.5)
        files = bundle_files(VerifiedPatch.from_report(passing(of), of), of, story)
        problems = read_bundle(write_files(tmp_path / f"{mutation.caught}.zip", files)).problems
        assert any(words in problem for problem in problems)
