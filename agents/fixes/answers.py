"""Reads a model's answer for one function: generously about what stands around it, strictly about what is changed."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from agents.fixes.places import Place
from agents.replies import Changes, ReplyRefused, parsed, read_changes, split_lines
from agents.replies_blocks import Fenced, fenced, is_fence
from agents.replies_code import functions_in

REPLACE_END = ">>>>>>> REPLACE"


def read_answer(text: str, place: Place, texts: Mapping[str, str], *, whole: bool, halted: bool) -> Changes:
    """Return the changes that an answer asks for: the place's function whole, or blocks in its file.

    `halted` says that the model was stopped where its answer ends, so that the last line may be missing.

    Raises:
        ReplyRefused: it holds no change that can be made exactly, or one outside the place's file.

    """
    path = place.unit.path
    if not whole:
        if halted and "<<<<<<< SEARCH" in text and not text.rstrip().endswith(REPLACE_END):
            text = f"{text}\n{REPLACE_END}\n"
        changes = read_changes(text, texts, path=path)
        if changes.paths != (path,):
            raise ReplyRefused("unknown path", f"only {path} may be changed")
        return changes
    if halted and sum(is_fence(line) for line in split_lines(text)) % 2:
        text = f"{text}\n```\n"
    return read_changes(function_alone(text, place.unit.qualname), texts, path=path, function=place.unit.qualname)


def function_alone(text: str, qualname: str) -> str:
    """Return the answer with its one block of code reduced to the function (in its class) and imports.

    Small models write the test again, or an example call, beside the function that they were asked for. What is not
    certain is left as it is, for the strict reader to refuse.
    """
    name = qualname.rpartition(".")[2]
    blocks = [block for block in fenced(text) if any(_defines(line, name) for line in block.lines)]
    if not blocks and _defines(text.lstrip().split("\n", 1)[0], name):
        blocks = [Fenced("", tuple(split_lines(text)), ())]
    if len({block.lines for block in blocks}) != 1:
        return text
    lines = list(blocks[0].lines)
    tree = parsed("".join(f"{line}\n" for line in lines))
    if isinstance(tree, str):
        return text
    kept: list[ast.stmt] = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    holding = [node for node in tree.body if _holds(node, qualname, name)]
    if len(holding) != 1:
        return text
    body = [line for node in [*kept, *_reduced(holding[0], qualname)] for line in _lines(lines, node)]
    return "\n".join(["```python", *body, "```"])


def _defines(line: str, name: str) -> bool:
    return line.strip().removeprefix("async ").startswith(f"def {name}(")


def _holds(node: ast.stmt, qualname: str, name: str) -> bool:
    module = ast.Module(body=[node], type_ignores=[])
    return any(found.qualname in {qualname, name} for found in functions_in(module))


def _reduced(node: ast.stmt, qualname: str) -> list[ast.stmt]:
    """Return the function itself where it stands in a class that was written around it."""
    while isinstance(node, ast.ClassDef):
        name = qualname.rpartition(".")[2]
        inner = [one for one in node.body if _holds(one, qualname, name)]
        if len(inner) != 1:
            return [node]
        node = inner[0]
    return [node]


def _lines(lines: list[str], node: ast.stmt) -> list[str]:
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
    cut = lines[first - 1 : node.end_lineno]
    indent = len(cut[0]) - len(cut[0].lstrip())
    if indent and not all(not line[:indent].strip() for line in cut):
        return cut
    return [line[indent:] if not line[:indent].strip() else line for line in cut]
