"""Runs in the mutators' environment: writes mutants of one module, by cosmic-ray and mutmut, sampled with a seed."""

from __future__ import annotations

import ast
import json
import os
import random
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def by_cosmic_ray(text: str) -> Iterator[tuple[str, str]]:
    """Yield the operator's name and the mutated text, for each mutant that cosmic-ray makes without arguments."""
    import cosmic_ray.plugins  # type: ignore[import-not-found]
    from cosmic_ray.ast import ast_nodes, get_ast  # type: ignore[import-not-found]
    from cosmic_ray.mutating import mutate_code  # type: ignore[import-not-found]

    tree = get_ast(text)
    for name in cosmic_ray.plugins.operator_names():
        kind = cosmic_ray.plugins.get_operator(name)
        if kind.arguments() or name.endswith("NoOp"):
            continue
        operator = kind()
        places = sum(len(list(operator.mutation_positions(node))) for node in ast_nodes(tree))
        for number in range(places):
            mutated = mutate_code(text, operator, number)
            if mutated is not None:
                yield name.rpartition("/")[2], mutated


def by_mutmut(text: str, path: str) -> Iterator[tuple[str, str]]:
    """Yield the mutated node's kind and the mutated text, for each mutant that mutmut tries: those within functions."""
    from mutmut.mutation.file_mutation import create_mutations  # type: ignore[import-not-found]

    module, mutations, *_ = create_mutations(path, text)
    for one in mutations:
        if one.contained_by_top_level_function is None:
            continue
        yield type(one.original_node).__name__, module.deep_replace(one.original_node, one.mutated_node).code


class Bare(ast.NodeTransformer):
    """Takes out what never matters when code runs: annotations and docstrings."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AnnAssign:
        self.generic_visit(node)
        node.annotation = ast.Constant(None)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self._body(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self._body(node)

    def _body(self, node: Any) -> ast.AST:
        self.generic_visit(node)
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
        return node  # type: ignore[no-any-return]

    visit_Module = visit_ClassDef = _body


def bare(text: str) -> str | None:
    """Return what a module means as text that can be compared; None where it is no Python."""
    try:
        tree = ast.parse(text)
        compile(text, "mutant", "exec")
    except (SyntaxError, ValueError):
        return None
    return ast.dump(Bare().visit(tree))


def place(before: str, after: str) -> tuple[int, int]:
    """Return the line, from 1, and the column of the first difference."""
    for number, (old, new) in enumerate(zip(before.splitlines(), after.splitlines(), strict=False), 1):
        if old != new:
            same = (column for column, (a, b) in enumerate(zip(old, new, strict=False)) if a != b)
            return number, next(same, min(len(old), len(new)))
    return min(len(before.splitlines()), len(after.splitlines())), 0


def spread(mutants: list[Row], count: int, seed: str) -> list[Row]:
    """Return so many, one for each place before there is a second for any; always the same."""
    groups: dict[tuple[int, int], list[Row]] = defaultdict(list)
    for one in mutants:
        groups[one["line"], one["column"]].append(one)
    order = random.Random(seed)  # noqa: S311 - a sample, not a secret
    queues = [groups[key] for key in sorted(groups)]
    for queue in queues:
        order.shuffle(queue)
    taken: list[Row] = []
    while len(taken) < count and queues:
        order.shuffle(queues)
        taken.extend(queue.pop() for queue in queues)
        queues = [queue for queue in queues if queue]
    return taken[:count]


def main() -> None:
    """Read the order, write the mutants."""
    order = json.load(sys.stdin)
    text, seed, count = order["text"], order["seed"], order["count"]
    seen = {bare(text), None}
    pools: dict[str, list[Row]] = {}
    made: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "module.py")
        copy.write_text(text, encoding="utf-8")
        Path(folder, "setup.cfg").write_text("[mutmut]\nsource_paths=.\n")  # without this it guesses, and refuses
        os.chdir(folder)
        for tool, mutants in (("mutmut", by_mutmut(text, str(copy))), ("cosmic-ray", by_cosmic_ray(text))):
            pool = pools.setdefault(tool, [])
            made[tool] = 0
            for operator, mutated in mutants:
                made[tool] += 1
                meaning = bare(mutated)
                if meaning not in seen:
                    seen.add(meaning)
                    line, column = place(text, mutated)
                    pool.append({"tool": tool, "operator": operator, "line": line, "column": column, "text": mutated})
    chosen: list[Row] = []
    for done, tool in enumerate(sorted(pools, key=lambda name: len(pools[name]))):  # the smaller one first
        wanted = (count - len(chosen)) // (len(pools) - done)
        chosen += spread(pools[tool], wanted, f"{seed}:{tool}")
    json.dump(
        {"made": made, "distinct": {tool: len(pool) for tool, pool in pools.items()}, "chosen": chosen}, sys.stdout
    )


if __name__ == "__main__":
    main()
