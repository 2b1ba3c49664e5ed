"""Damage answers and tool calls at random: the readers, the edit tool and the loop refuse them or do what they say.

    python -m benchmarks.agents.fuzz_tools [--count 100000] [--seed 1]

Beside `fuzz_replies`, which does the same for the forms of edits. What was done is judged by other code.
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import sys
import time
import warnings
from collections.abc import Iterator
from itertools import pairwise

from agents.errors import EditError
from agents.fixes.answers import read_answer
from agents.fixes.places import Place
from agents.loop import Bounds, run_loop
from agents.models.protocol import ChatReply, ToolCall, Usage, message
from agents.models.scripted import ScriptedModel
from agents.repair.units import SourceFile
from agents.replies import applied
from agents.tools import Toolbox, ToolLimits
from agents.tools_arguments import MODELS
from benchmarks.agents import fuzz_replies
from benchmarks.agents.fuzz_replies import FILES, Case, Tally, damaged
from sandbox.tree import Entry, Tree

TREE = Tree({path: Entry(text.encode()) for path, text in FILES.items()})
_NAMES = (*MODELS, "fly", "", "edit ")
_VALUES = ("src/shop.py", "src", "", "tax", "README.md", "../x", "a\0b", "src/new.py", "tests/test_a.py", "x" * 700)
_FILE = SourceFile.parse("src/shop.py", TREE)


def answer_case(dice: random.Random) -> Case:
    """A function as a small model answers with it: with talk, tests and calls beside it."""
    case = fuzz_replies.function_reply(dice)
    if dice.random() < 0.5:
        extra = dice.choice(
            ["print(tax(1))\n", "def test_it():\n    assert tax(1)\n", "class Cart:\n    pass\n", "x = (\n"]
        )
        case.reply = case.reply.replace("```\n", f"{extra}```\n", 1) if dice.random() < 0.5 else case.reply + extra
    case.form = "answer"
    return case


def edit_case(dice: random.Random) -> Case:
    """The arguments of a call of the edit tool."""
    path = dice.choice([*FILES, "src/shop.py", "src/shop.py", *_VALUES])
    old = FILES.get(path, fuzz_replies.SHOP).replace("\r\n", "\n").splitlines()
    at = dice.randrange(len(old))
    lines = old[at : at + dice.randint(1, 5)]
    given: dict[str, object] = {
        "path": path,
        "search": "\n".join(lines) if dice.random() < 0.9 else "",
        "replace": fuzz_replies.changed_text(dice, "\n".join(lines) + "\n"),
    }
    if dice.random() < 0.05:
        given["delete_file"] = True
    for key in ("search", "replace"):
        if dice.random() < 0.2:
            given[key] = damaged(dice, str(given[key]))
    return Case("edit", json.dumps(given), path)


def call_case(dice: random.Random) -> Case:
    """Arguments of any tool, right or wrong."""
    name = dice.choice(_NAMES)
    model = MODELS.get(name)
    given: dict[str, object] = {}
    for key in [*(model.model_fields if model else ()), "more"]:
        kind = model.model_fields[key].annotation if model and key != "more" else None
        if kind is str and dice.random() < 0.8:
            given[key] = dice.choice(_VALUES)
        elif kind in {int, bool} and dice.random() < 0.3:
            given[key] = dice.choice([0, 1, 7, -1, 10**9, True, False])
        elif dice.random() < 0.03:
            given[key] = dice.choice([*_VALUES, 0, 1, -1, 10**9, 1.5, True, None, ["a"], {"a": 1}])
    return Case("call", json.dumps([name, json.dumps(given)]), "")


def loop_case(dice: random.Random) -> Case:
    """Some replies of a model to one loop, natively or as text."""
    replies = []
    for _ in range(dice.randint(1, 6)):
        reply = dice.choice([fuzz_replies.tool_reply, fuzz_replies.search_reply, fuzz_replies.diff_reply])(dice).reply
        if dice.random() < 0.4:
            name = dice.choice(["read", "edit", "search", "outline", "references"])
            reply = f"CALL {name}\npath: {dice.choice(_VALUES[:9])}\nquery: x\nEND"
        replies.append(damaged(dice, reply) if dice.random() < 0.6 else reply)
    return Case("loop", json.dumps([dice.choice(["native", "text"]), replies]), "")


def judge_answer(case: Case) -> None:
    assert _FILE is not None
    assert case.function is not None
    unit = next(unit for unit in _FILE.units if unit.qualname == case.function)
    changes = read_answer(case.reply, Place(_FILE, unit), FILES, whole=True, halted=True)
    after = {path: applied(FILES[path], changes, path) for path in changes.paths}
    assert not changes.created
    assert not changes.deleted
    plain = case.reply.replace("\r\n", "\n").replace("\r", "\n")
    try:
        fuzz_replies.check_function(plain, case.function, after)
    except AssertionError as error:
        if "not what the reply says" not in str(error):
            raise
        fuzz_replies.check_function(f"{plain}\n```\n", case.function, after)


def judge_edit(case: Case) -> bool:
    box = Toolbox(TREE)
    try:
        given = json.loads(case.reply)
    except ValueError:
        given = None
    result = box.call(ToolCall("1", "edit", case.reply))
    if not result.ok:
        assert box.tree is TREE, "refused, but done"
        return False
    assert isinstance(given, dict)
    changed = TREE.changed_paths(box.tree)
    assert len(changed) == 1, "not one file"
    (path,) = changed
    written = given["path"].strip()
    assert path == written or path.endswith(f"/{written}") or f"./{path}" == written, "another file"
    if given.get("delete_file"):
        assert path not in box.tree
        return True
    check_text(path, box)
    search, replace = given.get("search", ""), given.get("replace", "")
    if any(mark in line for line in (search + replace).split("\n") for mark in ("<<<<<", "=====", ">>>>>")):
        return True
    reply = f"<<<<<<< SEARCH\n{search}\n=======\n{replace}\n>>>>>>> REPLACE\n".replace("\r\n", "\n").replace("\r", "\n")
    fuzz_replies.check_search(reply, {path: box.tree[path].data.decode()})
    return True


def check_text(path: str, box: Toolbox) -> None:
    """A Python file that was touched parses."""
    if path.endswith(".py"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(box.tree[path].data)


def judge_call(case: Case) -> bool:
    name, given = json.loads(case.reply)
    box = Toolbox(TREE, limits=ToolLimits(characters=1_000))
    result = box.call(ToolCall("1", name, given))
    assert len(result.text) <= 1_700, "a result that is too long"
    assert result.ok or box.tree is TREE, "refused, but done"
    return result.ok


def judge_loop(case: Case) -> None:
    calling, replies = json.loads(case.reply)
    script = iter(replies)

    def answer(_: object) -> ChatReply:
        text = next(script, "Done.")
        if calling == "native" and text.startswith("{"):
            return ChatReply("", "tool_calls", Usage(9, 9), (ToolCall("1", "edit", text),))
        return ChatReply(text, "stop", Usage(9, 9))

    box = Toolbox(TREE)
    start = (message("system", "Edit."), message("user", "Do it."))
    ended = run_loop(ScriptedModel(answer), start, box, Bounds(steps=9), tools=calling)
    assert ended.stopped in {"done", "steps", "malformed", "repetition", "no progress"}, ended.stopped
    roles = [one.role for one in ended.messages]
    assert all(one != two or one == "tool" for one, two in pairwise(roles)), "roles do not alternate"
    for path in TREE.changed_paths(box.tree):
        if path in box.tree:
            check_text(path, box)


CASES = (answer_case, answer_case, edit_case, edit_case, call_case, loop_case)


def cases(count: int, seed: int) -> Iterator[Case]:
    """Yield the damaged cases; the same for the same seed."""
    dice = random.Random(seed)  # noqa: S311
    for _ in range(count):
        case = dice.choice(CASES)(dice)
        if case.form in {"answer", "edit"}:
            for _ in range(dice.choice([0, 0, 1, 1, 2, 3] if case.form == "answer" else [0, 0, 0, 1])):
                case.reply = damaged(dice, case.reply)
        yield case


def judge(case: Case, tally: Tally) -> None:
    """Run one case and note what came of it."""
    done = True
    try:
        match case.form:
            case "answer":
                judge_answer(case)
            case "edit":
                done = judge_edit(case)
            case "call":
                done = judge_call(case)
            case _:
                judge_loop(case)
    except EditError as error:
        tally.refused[f"{case.form}: {getattr(error, 'reason', 'edit')}"] += 1
    except AssertionError as error:
        tally.wrong.append((case, f"misapplied: {error}"))
    except Exception as error:  # noqa: BLE001 - that none comes is what is measured
        tally.wrong.append((case, f"{type(error).__name__}: {error}"))
    else:
        (tally.applied if done else tally.refused)[case.form] += 1


def fuzz(count: int, seed: int) -> Tally:
    """Judge `count` damaged cases."""
    tally = Tally()
    for case in cases(count, seed):
        judge(case, tally)
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    started = time.monotonic()
    tally = fuzz(args.count, args.seed)
    print(f"{args.count:,} cases, seed {args.seed}, {time.monotonic() - started:.0f} s")
    print("done:", dict(sorted(tally.applied.items())))
    print("refused:", dict(sorted(tally.refused.items())))
    for case, what in tally.wrong[:5]:
        print(f"--- {case.form} {case.function or ''}: {what}\n{case.reply}\n")
    print(f"unhandled exceptions or wrong changes: {len(tally.wrong)}")
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
