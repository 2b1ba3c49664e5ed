"""Damage good replies to planner, reviewer, answerer and unit-test agent at random, and look at what they make of them.

    python -m benchmarks.agents.fuzz_roles [--count 100000] [--seed 1]

Each reply goes through the whole agent with a scripted model. What comes out is judged by other code than the agents':
every sentence has to stand in the reply, every path and line in the repository, and nothing may be raised.
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import re
import sys
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from agents.answerer import answer
from agents.asking import Asker
from agents.models.scripted import ScriptedModel
from agents.plan_text import PlanTextError, parse_plan, plan_text
from agents.planner import PlanTask, plan
from agents.replies import ReplyRefused
from agents.results import Plan, PlanRefused, Questions, Step
from agents.reviewer import ReviewTask, review
from agents.triage import STANDING
from agents.written_tests import read_test_file
from benchmarks.agents.fuzz_replies import SHOP, damaged
from sandbox.tree import Entry, Tree

REQUEST = "The cart's total should include tax; see src/shop.py."
PATHS = frozenset({"src/shop.py", "src/tax.py", "tests/test_shop.py", "README.md"})
CHANGED = SHOP.replace("result += item.price", "result += item.price * 1.2").replace("return 0", "return 0.0")
BEFORE = Tree({"src/shop.py": Entry(SHOP.encode()), "README.md": Entry(b"# Shop\n")})
AFTER = BEFORE.replaced({"src/shop.py": Entry(CHANGED.encode())})
PLAN = Plan(
    (
        Step("add tax to the total", ("tests/test_shop.py::test_total[a: b]",), ("12 it is",), ("src/shop.py::Cart",)),
        Step("tell of it in the README", (), ("it says so",), ("README.md",)),
    ),
    "feature",
    "The total leaves tax out.",
)
WORDS = (
    "add tax to the total",
    "round at the end",
    "the total of 10 is 12",
    "do not change count()",
    "say so: in README",
)


@dataclass
class Tally:
    """What came of the replies."""

    used: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    wrong: list[tuple[str, str, str]] = field(default_factory=list)


def wrapped(dice: random.Random, data: object) -> str:
    """Return an object as a model might write it."""
    text = json.dumps(data, indent=dice.choice([None, None, 1]), ensure_ascii=dice.random() < 0.5)
    kind = dice.randrange(4)
    if kind == 0:
        return f"Here it is:\n```json\n{text}\n```\nI hope that this helps."
    if kind == 1:
        return f"Sure! {text}"
    return str(data) if kind == 2 and dice.random() < 0.3 else text


def planner_reply(dice: random.Random) -> str:
    steps = [
        {
            "goal": dice.choice(WORDS),
            "places": dice.sample([*sorted(PATHS), "src/new.py", "lib/invented.py::x", "../up.py"], dice.randint(0, 3)),
            "criteria": dice.sample(WORDS, dice.randint(0, 3)),
        }
        for _ in range(dice.choice([0, 1, 1, 2, 3, 9]))
    ]
    data: dict[str, object] = {"kind": dice.choice(["fix", "feature", "question", "nonsense"]),
                               "restated": "The total leaves tax out."}  # fmt: skip
    data |= {"questions": [] if steps else ["Which rate?"], "steps": steps}
    if dice.random() < 0.25:
        lines = [f"kind: {data['kind']}", "restated: The total leaves tax out.", "steps:"]
        for step in steps:
            lines += [f"- goal: {step['goal']}", f"  places: {'; '.join(step['places'])}", "  criteria:"]
            lines += [f"  - {one}" for one in step["criteria"]]
        return "\n".join(lines)
    return wrapped(dice, data)


def reviewer_reply(dice: random.Random) -> str:
    rows = ["result += item.price * 1.2", "+        return 0.0", "-            result += item.price", "return 7", ""]
    return wrapped(
        dice,
        {
            "findings": [
                {
                    "category": dice.choice(["scope", "correctness", "praise"]) if dice.random() < 0.3 else "tests",
                    "severity": dice.choice(["blocking", "warning", "note"]),
                    "path": dice.choice(["src/shop.py", "b/src/shop.py", "shop.py", "", "src/other.py"]),
                    "quote": dice.choice(rows),
                    "sentence": dice.choice(WORDS),
                }
                for _ in range(dice.choice([0, 1, 2, 3, 12]))
            ]
        },
    )


def answerer_reply(dice: random.Random) -> str:
    cited = ("[src/shop.py:20-24]", "shop.py:21", "(src/shop.py#L30-L31)", "[src/invented.py:3]", "src/shop.py:999")
    lines = [f"{dice.choice(WORDS)} {dice.choice(cited)}." for _ in range(dice.randint(1, 5))]
    if dice.random() < 0.15:
        lines.append("See https://evil.example/?q=1 for more.")
    return "\n".join(lines) if dice.random() < 0.9 else dice.choice(["NOT FOUND", "SEARCH: tax rate"])


def tests_reply(dice: random.Random) -> str:
    names = [f"test_{dice.choice(['total', 'tax', 'net'])}_{n}" for n in range(dice.randint(1, 3))]
    body = "from shop import Cart, net, tax\n"
    for name in names:
        check = dice.choice(["assert Cart().total() == 0", "assert net(10) == 8", "assert tax(5)[0] == 1", "net(1)"])
        body += f"\n\ndef {name}():\n    value = {dice.randrange(99)}\n    {check}, value\n"
    said = [
        f"FAILS {name} WITH {dice.choice(['AssertionError', 'KeyError'])} BECAUSE {dice.choice(WORDS)}"
        for name in names
    ]
    return f"Here:\n```python\n{body}```\n" + "\n".join(said) + "\n"


class Shelf:
    """An index of one file."""

    text = SHOP.splitlines()

    def search(self, query: str, limit: int = 10) -> Sequence[Shelf.Hit]:
        return [Shelf.Hit(16, 26), Shelf.Hit(27, 40)][:limit] if query else []

    def symbols(self, name: str, limit: int = 20) -> Sequence[Shelf.Hit]:
        return [Shelf.Hit(28, 34)][:limit] if name == "tax" else []

    def outline(self, tokens: int, focus: Sequence[str] = ()) -> str:
        return " ".join(focus)[:tokens]

    def lines(self, path: str) -> Sequence[str]:
        return self.text if path == "src/shop.py" else []

    @dataclass(frozen=True)
    class Hit:
        first: int
        last: int
        path: str = "src/shop.py"
        symbol: str = ""
        qualified: str = "tax"


def asker(reply: str) -> Asker:
    """Return a model that says the same twice: the second time what is forgivable is forgiven."""
    return Asker(ScriptedModel(lambda _: reply), attempts=2)


def letters(text: str) -> str:
    """Return the letters and digits of a text, so that escapes and white space do not count."""
    return "".join(c for c in text if c.isalnum())


def said(reply: str) -> str:
    """Return all that a reply may mean: as it stands, and with JSON's and Python's escapes undone."""
    undone = re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), reply)
    undone = re.sub(r"\\x([0-9a-fA-F]{2})", lambda found: chr(int(found[1], 16)), undone)
    undone = re.sub(r"\\[nrtbfav0]", "", undone)
    visible = (c for c in undone if unicodedata.category(c)[0] != "C")
    return letters(reply) + " " + letters("".join(visible)) + " " + letters(undone)


def stands(sentence: str, reply: str) -> bool:
    return letters(sentence.rstrip("…")) in said(reply)


def clean(*texts: str) -> bool:
    return all(unicodedata.category(c)[0] != "C" for text in texts for c in text)


def judge_plan(reply: str) -> str:
    made = plan(PlanTask(REQUEST, paths=PATHS), asker(reply))
    if isinstance(made, Questions):
        if made.origin == "rules":
            return "refused"
        assert all(stands(question, reply) for question in made.questions), "a question of its own"
        return "used"
    assert made.steps, "a plan without steps"
    if made.origin == "rules":
        return "refused"
    assert len(made.steps) <= 8
    assert made.kind == "question" or made.steps[-1].criteria[-len(STANDING) :] == STANDING
    for step in made.steps:
        own = [one for one in step.criteria if one not in STANDING]
        assert made.kind == "question" or all(stands(text, reply) for text in (step.goal, *own)), "words of its own"
        shown = (step.goal, *step.criteria, *step.places)
        assert clean(*shown), "control characters"
        for place in step.places:
            path = place.partition("::")[0]
            known = path in PATHS or path.rpartition("/")[0] in {"src", "tests", ""}
            assert known, f"an invented place {place!r}"
            assert ".." not in path.split("/"), f"a place outside: {place!r}"
    assert parse_plan(plan_text(made), made) == made, "it does not survive being written"
    return "used"


def judge_review(reply: str) -> str:
    result = review(ReviewTask(REQUEST, BEFORE, AFTER), asker(reply))
    old, new = SHOP.splitlines(), CHANGED.splitlines()
    changed = {n for n, (a, b) in enumerate(zip(old, new, strict=True), 1) if a != b}
    for one in result.findings:
        assert one.origin == "scripted"
        assert one.path in {"", "src/shop.py"}, f"a path that did not change: {one.path!r}"
        assert one.line == 0 or one.line in changed, f"line {one.line} did not change"
        assert stands(one.sentence, reply), "words of its own"
        assert clean(one.sentence), "control characters"
    return "used" if result.complete else "refused"


def judge_answer(reply: str) -> str:
    result = answer("How does `tax` work?", Shelf(), asker(reply))
    for cited in result.citations:
        assert cited.path == "src/shop.py"
        assert 16 <= cited.first <= cited.last <= 40, f"{cited} was not shown"
    known = {str(cited) for cited in result.citations}
    for place in re.findall(r"\[(src/shop\.py:\d+(?:-\d+)?)\]", result.text):
        assert place in known, f"{place} was not checked"
    assert "evil.example/?q" not in result.text, "a link"
    assert clean(*result.text.split("\n")), "control characters"
    return "used" if result.text else "refused"


def judge_tests(reply: str) -> str:
    try:
        file = read_test_file(reply, REQUEST, "", new=False)
    except ReplyRefused:
        return "refused"
    functions = [node for node in ast.walk(ast.parse(file.text)) if isinstance(node, ast.FunctionDef)]
    names = [node.name for node in functions if node.name.startswith("test")]
    assert [one.test for one in file.stated] == names, "not every test is stated once"
    rows = {line.rstrip() for line in re.split(r"\r\n|\r|\n", reply)}
    assert all(line.rstrip() in rows for line in file.text.split("\n")), "lines of its own"
    assert all(any(isinstance(n, ast.Assert) for n in ast.walk(f)) for f in functions), "a test asserts nothing"
    for one in file.stated:
        assert stands(one.reason, reply)
        assert re.search(rf"{one.test}\W+WITH\W+\S*{one.exception}", reply), "stated otherwise"
    return "used"


def judge_plan_text(text: str) -> str:
    try:
        made = parse_plan(text, PLAN)
    except PlanTextError as error:
        return "refused" if error.line <= text.count("\n") + 1 else "a line that is not there"
    if isinstance(made, PlanRefused):
        return "used"
    assert 0 < len(made.steps) <= text.lower().count("step"), "steps of its own"
    for step in made.steps:
        rows = (step.goal, *step.places, *step.targets, *step.criteria)
        assert all(letters(row) in said(text) for row in rows), "words of its own"
    return "used"


FORMS: dict[str, tuple[Callable[[random.Random], str], Callable[[str], str]]] = {
    "plan": (planner_reply, judge_plan),
    "review": (reviewer_reply, judge_review),
    "answer": (answerer_reply, judge_answer),
    "tests": (tests_reply, judge_tests),
    "plan text": (lambda _: plan_text(PLAN), judge_plan_text),
}


def fuzz(count: int, seed: int) -> Tally:
    """Judge `count` replies, damaged nought to four times."""
    dice = random.Random(seed)  # noqa: S311 - repeatable
    tally = Tally()
    forms = list(FORMS)
    for number in range(count):
        form = forms[number % len(forms)]
        make, judge = FORMS[form]
        reply = make(dice)
        for _ in range(dice.choice([0, 1, 1, 1, 2, 3, 4])):
            reply = damaged(dice, reply)
        try:
            outcome = judge(reply)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            tally.wrong.append((form, reply, f"{type(error).__name__}: {error}"))
            continue
        if outcome not in {"used", "refused"}:
            tally.wrong.append((form, reply, outcome))
        (tally.used if outcome == "used" else tally.refused)[form] += 1
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    started = time.monotonic()
    tally = fuzz(args.count, args.seed)
    print(f"{args.count:,} replies, seed {args.seed}, {time.monotonic() - started:.0f} s")
    print("used:", dict(sorted(tally.used.items())))
    print("refused:", dict(sorted(tally.refused.items())))
    for form, reply, what in tally.wrong[:6]:
        print(f"--- {form}: {what}\n{reply}\n")
    print(f"unhandled exceptions or results that the reply does not give: {len(tally.wrong)}")
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
