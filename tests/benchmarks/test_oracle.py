"""The oracle catches what the tests let through."""

from dataclasses import replace

import pytest

from benchmarks.corpus_loader import Bug
from benchmarks.oracle import judge

REFERENCE = """\
def clip(values, low):
    if low is None:
        raise ValueError("low")
    return [max(low, value) for value in values]
"""
ORACLE = """\
def make(rng):
    return (ints(rng, -9, 9, 0, 5), rng.choice([None, -3, 0, 3]))
"""
BUG = Bug(
    function="clip", family="f", name="n", kind="k", origin="human", module="clips", reference=REFERENCE,
    broken=REFERENCE, tests="", oracle=ORACLE, edits=1,
)  # fmt: skip


def test_the_reference_agrees_with_itself() -> None:
    judgement = judge(BUG, REFERENCE)
    assert judgement.correct
    assert judgement.inputs >= 200


def test_another_way_of_writing_it_agrees() -> None:
    other = """\
def clip(values, low):
    if low is None:
        raise ValueError("another message")
    out = []
    for value in values:
        out.append(value if value > low else low)
    return out
"""
    assert judge(BUG, other).correct


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("max(low, value)", "max(low, abs(value))"),
        ("raise ValueError", "raise KeyError"),
        ("    return [", "    values.append(0)\n    values.pop(0) if values[1:] else None\n    return ["),
        ("    return [", "    while values:\n        pass\n    return ["),
        ("    return [", "    return None\n    return ["),
        ("    return [", "    import os\n    os._exit(0)\n    return ["),
        ("def clip", "raise RuntimeError\ndef clip"),
        ("max(low, value) for value in values]", "float('nan') for value in values]"),
    ],
    ids=["value", "exception", "argument", "hang", "none", "exit", "import", "nan"],
)
def test_a_wrong_patch_is_caught(old: str, new: str) -> None:
    assert old in REFERENCE
    judgement = judge(BUG, REFERENCE.replace(old, new), seconds=10)
    assert not judgement.correct
    assert judgement.reason


def test_what_a_module_prints_does_not_disturb() -> None:
    loud = REFERENCE.replace("    if low", "    print('{\"correct\": false}')\n    if low")
    assert judge(BUG, loud).correct


def test_a_module_that_never_ends_to_load_is_not_correct() -> None:
    judgement = judge(BUG, "while True: pass\n", seconds=1)
    assert not judgement.correct
    assert "no answer within 1 s" in judgement.reason


def test_generators_coroutines_and_objects_are_compared_by_content() -> None:
    reference = """\
class Box:
    def __init__(self, content):
        self.content = content


def clip(values, low):
    yield Box(sorted(values, key=lambda value: -value))
"""
    bug = replace(BUG, reference=reference)
    assert judge(bug, reference.replace("sorted(values, key=lambda value: -value)", "sorted(values)[::-1]")).correct
    assert not judge(bug, reference.replace("-value)", "value)")).correct
    waiting = "async def clip(values, low):\n    return len(values)\n"
    assert judge(replace(BUG, reference=waiting), waiting).correct
    assert not judge(replace(BUG, reference=waiting), waiting.replace("len(values)", "len(values) + 1")).correct


def test_floating_point_noise_is_not_a_difference_but_types_of_truth_are() -> None:
    thirds = "def clip(values, low):\n    return sum(value / 3 for value in values)\n"
    assert judge(replace(BUG, reference=thirds), thirds.replace("value / 3 for", "value * (1 / 3) for")).correct
    truth = "def clip(values, low):\n    return bool(values)\n"
    assert not judge(replace(BUG, reference=truth), truth.replace("bool(values)", "int(bool(values))")).correct
