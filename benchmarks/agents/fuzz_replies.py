"""Damage good replies at random, and check that the parsers refuse them or do exactly what they say.

    python -m benchmarks.agents.fuzz_replies [--count 100000] [--seed 1]

What was applied is judged by other code than the parsers': plain splitting of the reply, and counting of lines.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import inspect
import json
import random
import re
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from agents.errors import EditError
from agents.models.protocol import Tool, ToolCall
from agents.replies import Changes, applied, read_changes
from agents.replies_tools import checked, tool_calls

SHOP = '''"""A shop."""

import math


RATE = 0.2


class Cart:
    """What a customer has chosen."""

    def __init__(self, items=None):
        self.items = list(items or [])

    def total(self):
        """Return the sum.

        Not rounded.
        """
        result = 0
        for item in self.items:
            result += item.price
        return result

    def count(self):
        result = 0
        for item in self.items:
            result += 1
        return result


def tax(amount, rate=RATE):
    if amount < 0:
        raise ValueError("no tax on " + str(amount))
    text = """first
  second
"""
    return math.floor(amount * rate), text


def net(amount):
    if amount < 0:
        return 0
    return amount - tax(amount)[0]
'''
TEXT = "def one():\r\n    return 1\r\n\r\n\r\ndef two():\r\n    return one() + 1\r\n"
FILES = {
    "src/shop.py": SHOP,
    "src/small.py": TEXT,
    "README.md": "# Shop\n\n```\nIt sells.\n```\n\nAnd buys.\n",
    "src/open.py": "a = 1\nb = 2",
}
FUNCTIONS = ("Cart.total", "Cart.count", "tax", "net")
TOOLS = (
    Tool("read", "Read lines.", {
        "type": "object",
        "properties": {"path": {"type": "string"}, "first": {"type": "integer"}, "whole": {"type": "boolean"}},
        "required": ["path"],
    }),
    Tool("edit", "Edit a file.", {
        "type": "object",
        "properties": {"path": {"type": "string"}, "search": {"type": "string"}, "replace": {"type": "string"}},
        "required": ["path", "search", "replace"],
    }),
)  # fmt: skip
PROSE = ("I found the fault.", "Here is the change:", "", "The loop is wrong because it stops early.", "Done!")
JUNK = "\0\ufeff\u200b\u2028\udc80`~<>=+-@#'\"\\\t\r\n {}[]()é漢🙂"


@dataclass
class Case:
    """A damaged reply and how it is to be read."""

    form: str
    reply: str
    path: str
    function: str | None = None


@dataclass
class Tally:
    """What came of the cases."""

    applied: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    wrong: list[tuple[Case, str]] = field(default_factory=list)


def changed_text(dice: random.Random, text: str) -> str:
    """Return the text with one to three lines changed, added or removed."""
    lines = text.splitlines()
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(lines))
        kind = dice.randrange(4)
        if kind == 0:
            lines[at] = lines[at].replace("0", "1").replace("<", "<=").replace("+", "-")
        elif kind == 1 and lines[at].startswith("    ") and not lines[at].rstrip().endswith((":", '"""', "second")):
            lines.insert(at + 1, re.match(r"\s*", lines[at])[0] + f"value_{dice.randrange(99)} = {dice.randrange(99)}")  # type: ignore[index]
        elif kind == 2:
            lines[at] += f"  # note {dice.randrange(99)}"
        else:
            lines[at] = lines[at].replace("result", "subtotal").replace("amount", "price")
    return "\n".join(lines) + "\n"


def search_reply(dice: random.Random) -> Case:
    path = dice.choice(["src/shop.py", "src/shop.py", "src/small.py", "src/open.py", "README.md"])
    old = FILES[path].replace("\r\n", "\n").splitlines()
    out = [dice.choice(PROSE)]
    for _ in range(dice.randint(1, 2)):
        start = dice.randrange(len(old))
        stop = min(len(old), start + dice.randint(1, 6))
        new = changed_text(dice, "\n".join(old[start:stop]) + "\n").splitlines()
        fenced = dice.random() < 0.5
        out += [path, *(["```python"] if fenced else []), "<<<<<<< SEARCH", *old[start:stop], "=======", *new]
        out += [">>>>>>> REPLACE", *(["```"] if fenced else []), dice.choice(PROSE)]
    return Case("search", "\n".join(out), "src/shop.py")


def diff_reply(dice: random.Random) -> Case:
    path = dice.choice(["src/shop.py", "src/shop.py", "src/small.py", "src/open.py", "README.md"])
    old = FILES[path].replace("\r\n", "\n")
    new = changed_text(dice, old)
    lines = difflib.unified_diff(
        old.splitlines(), new.splitlines(), f"a/{path}", f"b/{path}", lineterm="", n=dice.randint(0, 3)
    )
    body = "\n".join(lines)
    if dice.random() < 0.3:
        body = re.sub(r"@@ .* @@", "@@ ... @@", body)
    return Case("diff", f"{dice.choice(PROSE)}\n```diff\n{body}\n```\n{dice.choice(PROSE)}\n", "src/shop.py")


def function_reply(dice: random.Random) -> Case:
    name = dice.choice(FUNCTIONS)
    tree = ast.parse(SHOP)
    last = name.rpartition(".")[2]
    node = next(n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == last)
    lines = SHOP.splitlines()[node.lineno - 1 : node.end_lineno]
    text = changed_text(dice, "\n".join(lines) + "\n")
    if dice.random() < 0.4:
        text = inspect.cleandoc("\n" + text) + "\n"
    if dice.random() < 0.2:
        text = "import math\nimport sys\n\n\n" + inspect.cleandoc("\n" + text) + "\n"
    return Case("function", f"{dice.choice(PROSE)}\n```python\n{text}```\n{dice.choice(PROSE)}", "src/shop.py", name)


def file_reply(dice: random.Random) -> Case:
    path = dice.choice(["src/shop.py", "src/small.py", "src/new.py"])
    text = changed_text(dice, FILES.get(path, "x = 1\n").replace("\r\n", "\n"))
    label = dice.choice([f"{path}\n```python", f"**{path}**\n```py", f"```python {path}", f"### File: `{path}`\n\n```"])
    return Case("file", f"{dice.choice(PROSE)}\n{label}\n{text}```\n{dice.choice(PROSE)}", "src/shop.py")


def tool_reply(dice: random.Random) -> Case:
    old = SHOP.splitlines()
    at = dice.randrange(len(old) - 2)
    search, replace = "\n".join(old[at : at + 2]) + "\n", changed_text(dice, "\n".join(old[at : at + 2]) + "\n")
    edit = {"path": "src/shop.py", "search": search, "replace": replace}
    form = dice.randrange(5)
    if form == 0:
        text = f"CALL read\npath: src/shop.py\nfirst: {dice.randrange(99)}\nEND\n"
    elif form == 1:
        text = f"CALL edit\npath: src/shop.py\nsearch:\n<<<\n{search}>>>\nreplace: <<<\n{replace}>>>\nEND\n"
    elif form == 2:
        text = f"```json\n{json.dumps({'name': 'edit', 'arguments': edit}, indent=2)}\n```\n"
    elif form == 3:
        text = f"<tool_call>\n{json.dumps({'name': 'edit', 'arguments': edit})}\n</tool_call>"
    else:
        return Case("native", json.dumps(edit), "src/shop.py")
    return Case("tool", f"{dice.choice(PROSE)}\n{text}", "src/shop.py")


FORMS: tuple[Callable[[random.Random], Case], ...] = (search_reply, diff_reply, function_reply, file_reply, tool_reply)


def damaged(dice: random.Random, text: str) -> str:
    """Return the text with one random damage."""
    kind = dice.randrange(13)
    at = dice.randrange(len(text) + 1)
    lines = text.split("\n")
    row = dice.randrange(len(lines))
    if kind == 0:
        return text[:at] + text[at + dice.choice([1, 1, 1, 3, 20]) :]
    if kind == 1:
        return text[:at] + "".join(dice.choice(JUNK) for _ in range(dice.randint(1, 3))) + text[at:]
    if kind == 2:
        lines.insert(row, lines[row])
    elif kind == 3:
        del lines[row]
    elif kind == 4 and row + 1 < len(lines):
        lines[row], lines[row + 1] = lines[row + 1], lines[row]
    elif kind == 5:
        return text[:at]
    elif kind == 6:
        shift = dice.choice(["    ", "  ", "\t", " "])
        stop = min(len(lines), row + dice.randint(1, 30))
        lines[row:stop] = [shift + line for line in lines[row:stop]]
    elif kind == 7:
        stop = min(len(lines), row + dice.randint(1, 30))
        lines[row:stop] = [line[dice.choice([1, 2, 4]) :] if line.startswith(" ") else line for line in lines[row:stop]]
    elif kind == 8:
        return text.replace("\n", "\r\n")
    elif kind == 9:
        lines[row] = lines[row].rstrip() + dice.choice(["  ", "\t", " # ... rest of the code", "..."])
    elif kind == 10:
        lines.insert(
            row,
            dice.choice(
                ["```", "=======", "<<<<<<< SEARCH", ">>>>>>> REPLACE", "END", "CALL read", "@@ @@", ">>>", *PROSE]
            ),
        )
    elif kind == 11:
        return text + "\n" + text
    else:
        lines[row] = lines[row].swapcase() if dice.random() < 0.3 else lines[row][::-1]
    return "\n".join(lines)


def cases(count: int, seed: int) -> Iterator[Case]:
    """Yield the damaged replies; the same for the same seed."""
    dice = random.Random(seed)  # noqa: S311
    for _ in range(count):
        case = dice.choice(FORMS)(dice)
        for _ in range(dice.choice([0, 1, 1, 1, 2, 2, 3, 5])):
            case.reply = damaged(dice, case.reply)
        if dice.random() < 0.02:
            case.reply += damaged(dice, dice.choice(FORMS)(dice).reply)
        yield case


def judge(case: Case, tally: Tally) -> None:
    """Run one case and note what came of it."""
    try:
        if case.form == "native":
            check_calls(case, (checked(ToolCall("1", "edit", case.reply), TOOLS),))
        elif case.form == "tool":
            calls = tool_calls(case.reply, TOOLS)
            check_calls(case, calls)
            if not calls:
                tally.refused["tool: no call"] += 1
                return
        else:
            changes = read_changes(case.reply, FILES, path=case.path, function=case.function)
            check_changes(case, changes)
    except EditError as error:
        tally.refused[f"{case.form}: {getattr(error, 'reason', 'edit')}"] += 1
    except AssertionError as error:
        tally.wrong.append((case, f"misapplied: {error}"))
    except Exception as error:  # noqa: BLE001 - that none comes is what is measured
        tally.wrong.append((case, f"{type(error).__name__}: {error}"))
    else:
        tally.applied[case.form] += 1


def check_calls(case: Case, calls: tuple[ToolCall, ...]) -> None:
    plain = case.reply.replace("\r\n", "\n").replace("\r", "\n")
    for call in calls:
        tool = next(tool for tool in TOOLS if tool.name == call.name)
        values = json.loads(call.arguments)
        assert set(tool.parameters["required"]) <= set(values) <= set(tool.parameters["properties"]), "arguments"
        for key, value in values.items():
            kind = {"string": str, "integer": int, "boolean": bool}[tool.parameters["properties"][key]["type"]]
            assert type(value) is kind, f"{key} is {value!r}"
            if isinstance(value, str):
                written = (value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1])
                said = any(form in plain for form in written) or value in decoded_strings(case.reply) | decoded_strings(
                    plain
                )
                assert said, f"{key} is {value!r}, which the reply does not say"


def decoded_strings(reply: str) -> set[str]:
    found = set()
    for piece in re.findall(r'"(?:[^"\\]|\\.)*"', reply, re.DOTALL):
        try:
            found.add(json.loads(piece, strict=False))
        except ValueError:
            continue
    return found


def check_changes(case: Case, changes: Changes) -> None:
    """Judge what was applied by other means than the parsers'."""
    assert changes.paths, "nothing changed"
    after: dict[str, str] = {new.path: new.text for new in changes.created}
    for path in {edit.path for edit in changes.edits}:
        assert path in FILES, f"{path} is made up"
        after[path] = applied(FILES[path], changes, path)
    for path, text in after.items():
        assert ".." not in path.split("/"), path
        assert not path.startswith("/"), path
        if path.endswith(".py"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ast.parse(text)
    reply = case.reply.replace("\r\n", "\n").replace("\r", "\n")
    if re.search(r"^\s{0,3}<{5,9} ?SEARCH", reply, re.MULTILINE):
        check_search(reply, after)
    elif re.search(r"^@@", reply, re.MULTILINE):
        check_diff(reply, after, changes)
    elif case.function is not None:
        check_function(reply, case.function, after)
    else:
        check_files(reply, after)


def stripped(text: str) -> list[str]:
    return [line.strip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]


def check_search(reply: str, after: dict[str, str]) -> None:
    parts = re.findall(
        r"^\s{0,3}<{5,9} ?SEARCH\b[^\n]*\n(.*?)^\s{0,3}={7}[ \t]*\n(.*?)^\s{0,3}>{5,9} ?REPLACE",
        reply,
        re.DOTALL | re.MULTILINE,
    )
    now = {path: stripped(FILES.get(path, "")) for path in {*FILES, *after}}
    for search, replace in parts:
        wanted, new = stripped(search)[:-1], stripped(replace)[:-1]
        while wanted and not wanted[0]:
            wanted.pop(0)
            if new and not new[0]:
                new.pop(0)
        while wanted and not wanted[-1]:
            wanted.pop()
            if new and not new[-1]:
                new.pop()
        options = [
            (path, [*lines[:at], *new, *lines[at + len(wanted) :]])
            for path, lines in now.items()
            for at in range(len(lines) - len(wanted) + 1)
            if wanted and lines[at : at + len(wanted)] == wanted
        ]
        if not wanted:
            options = [(path, [*new, ""]) for path in after if not any(now[path])]
        # Among places that look alike without indentation, the parsers have to choose by it.
        fitting = [
            o
            for o in options
            if len(parts) > 1 or squeezed(o[1]) == squeezed(stripped(after.get(o[0], FILES.get(o[0], ""))))
        ]
        assert fitting, "no place in the file gives this result"
        if len(parts) > 1 and len(options) > 1:
            return
        now[fitting[0][0]] = fitting[0][1]
    for path, text in after.items():
        assert squeezed(now[path]) == squeezed(stripped(text)), f"{path} is not what the blocks say"


def squeezed(lines: list[str]) -> list[str]:
    return [line for line in lines if line]


def check_diff(reply: str, after: dict[str, str], changes: Changes) -> None:
    plus: Counter[str] = Counter()
    minus: Counter[str] = Counter()
    inside = False
    for line in reply.split("\n"):
        if line.startswith("@@"):
            inside = True
        elif re.match(r"^(```|~~~|diff --git|--- \S*src/|\+\+\+ \S*src/)", line.strip()):
            inside = inside and not line.startswith(("`", "~", "d"))
        elif inside and line.startswith("+"):
            plus[line[1:]] += 1
        elif inside and line.startswith("-"):
            minus[line[1:]] += 1
    gone: Counter[str] = Counter()
    come: Counter[str] = Counter()
    for path in changes.deleted:
        gone.update(lines_of(FILES[path]))
    for path, text in after.items():
        gone.update(lines_of(FILES.get(path, "")))
        come.update(lines_of(text))
    assert come - gone == plus - minus, "other lines came than the diff says"
    assert gone - come == minus - plus, "other lines went than the diff says"


def lines_of(text: str) -> list[str]:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines[:-1] if lines and not lines[-1] else lines


def dumped(node: ast.AST) -> str:
    for inner in ast.walk(node):
        if isinstance(inner, ast.FunctionDef) and ast.get_docstring(inner, clean=False):
            constant = inner.body[0].value  # type: ignore[attr-defined]
            constant.value = [line.strip(" \t") for line in constant.value.split("\n")]
    return ast.dump(node)


def by_name(text: str) -> dict[str, str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(text)
    found: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            found.update({f"{node.name}.{m.name}": dumped(m) for m in node.body if isinstance(m, ast.FunctionDef)})
        elif isinstance(node, ast.FunctionDef):
            found[node.name] = dumped(node)
    return found


def check_function(reply: str, function: str, after: dict[str, str]) -> None:
    assert list(after) == ["src/shop.py"], "another file"
    old, new = by_name(SHOP), by_name(after["src/shop.py"])
    assert list(old) == list(new), "functions came, went or moved"
    assert all(old[name] == new[name] for name in old if name != function), "another function changed"
    blocks = re.findall(
        r"^\s{0,3}(?:`{3,}|~{3,})[^\n`]*\n(.*?)^\s{0,3}(?:`{3,}|~{3,})[^\S\n]*$", reply, re.DOTALL | re.MULTILINE
    ) or [reply]
    last = function.rpartition(".")[2]
    for block in blocks:
        first = next((line for line in block.split("\n") if line.strip()), "")
        text = f"if 1:\n{block}" if first[:1] in {" ", "\t"} else block
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(text)
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name == last and dumped(node) == new[function]:
                return
    raise AssertionError("the function is not what the reply says")


def check_files(reply: str, after: dict[str, str]) -> None:
    for path, text in after.items():
        plain = text.replace("\r\n", "\n").replace("\r", "\n")
        assert plain.strip("\n") in reply, f"{path} is not what the reply says"
        assert path in reply or path == "src/shop.py", f"the reply does not name {path}"


def fuzz(count: int, seed: int) -> Tally:
    """Judge `count` damaged replies."""
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
    print(f"{args.count:,} replies, seed {args.seed}, {time.monotonic() - started:.0f} s")
    print("applied:", dict(sorted(tally.applied.items())))
    print("refused:", dict(sorted(tally.refused.items())))
    for case, what in tally.wrong[:5]:
        print(f"--- {case.form}: {what}\n{case.reply}\n")
    print(f"unhandled exceptions or misapplied edits: {len(tally.wrong)}")
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
