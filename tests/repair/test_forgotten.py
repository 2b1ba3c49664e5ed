"""Repairs of what is easily forgotten, and of loops that end too early, nest wrongly or keep the last for the best."""

from __future__ import annotations

import pytest

from agents.repair.generate import Context, generate
from agents.results import Failure, Suspect
from sandbox.tree import Entry, Tree
from tests.repair.pairs_table import written
from tests.repair.rank_pairs import rank

PROGRAMS = {
    "decision": """
        def reaches(graph, start, goal):
            if start == goal:
                return True
            for node in graph.get(start, ()):
                if reaches(graph, node, goal):
                    return True
            return False
        --
                if reaches(graph, node, goal):
                    return True
        ++
                return reaches(graph, node, goal)
        """,
    "nesting": """
        def columns(rows, width):
            found = []
            for index in range(width):
                for row in rows:
                    found.append(row[index])
            return found
        --
            for index in range(width):
                for row in rows:
        ++
            for row in rows:
                for index in range(width):
        """,
    "best": """
        def cheapest(offers):
            best = {}
            for shop, price in offers:
                if shop not in best or price < best[shop]:
                    best[shop] = price
            return best
        --
                if shop not in best or price < best[shop]:
                    best[shop] = price
        ++
                best[shop] = price
        """,
    "best so far": """
        def shortest(words):
            found = None
            for word in words:
                size = len(word)
                if found is None or size < found:
                    found = size
            return found
        --
                if found is None or size < found:
                    found = size
        ++
                found = size
        """,
    "last group": """
        def runs(items):
            groups, group = [], []
            for item in items:
                if group and group[-1] != item:
                    groups.append(group)
                    group = []
                group.append(item)
            if group:
                groups.append(group)
            return groups
        --
            if group:
                groups.append(group)
        ++
        """,
    "absent": """
        def rank(scores, name):
            places = {n: i for i, n in enumerate(scores)}
            found = places.get(name)
            return -1 if found is None else found
        --
            return -1 if found is None else found
        ++
            return found
        """,
    "link": """
        def reversed_chain(node):
            before = None
            while node is not None:
                after = node.successor
                node.successor = before
                before = node
                node = after
            return before
        --
                node.successor = before
        ++
        """,
    "field": """
        class Waiting:
            def __init__(self):
                self.line = []

            def serve(self):
                if not self.line:
                    return None
                return self.line.pop(0)
        --
                if not self.line:
                    return None
        ++
        """,
    "middle": """
        def around(grid, row, column):
            total = 0
            for down in (-1, 0, 1):
                for right in (-1, 0, 1):
                    if down == 0 and right == 0:
                        continue
                    total += grid.get((row + down, column + right), 0)
            return total
        --
                    if down == 0 and right == 0:
                        continue
        ++
        """,
    "both": """
        def greatest(a, b):
            a, b = abs(a), abs(b)
            while b:
                a, b = b, a % b
            return a
        --
            a, b = abs(a), abs(b)
        ++
        """,
    "alone": """
        def sections(lines):
            found, name = {}, ""
            for line in lines:
                if line.startswith("["):
                    name = line[1:-1]
                    found.setdefault(name, [])
                else:
                    found.setdefault(name, []).append(line)
            return found
        --
                    found.setdefault(name, [])
        ++
        """,
    "star": """
        import asyncio

        async def every(functions):
            return await asyncio.gather(*(f() for f in functions))
        --
            return await asyncio.gather(*(f() for f in functions))
        ++
            return await asyncio.gather((f() for f in functions))
        """,
    "constants": """
        def alive(around, now):
            return around == 3 or (now and around == 2)
        --
            return around == 3 or (now and around == 2)
        ++
            return around == 2 or (now and around == 3)
        """,
    "front": """
        def with_header(rows, header):
            table = [list(row) for row in rows]
            table.insert(0, list(header))
            return table
        --
            table.insert(0, list(header))
        ++
            table.append(list(header))
        """,
    "method everywhere": """
        def clean(text):
            start, end = 0, len(text) - 1
            while start < end and not text[start].isalnum():
                start += 1
            while start < end and not text[end].isalnum():
                end -= 1
            return text[start : end + 1]
        --
            while start < end and not text[start].isalnum():
                start += 1
            while start < end and not text[end].isalnum():
        ++
            while start < end and not text[start].isalpha():
                start += 1
            while start < end and not text[end].isalpha():
        """,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_is_generated(name: str) -> None:
    number, candidate = rank(written(name, PROGRAMS[name]), 3000)
    assert number is not None
    assert candidate is not None


def test_what_is_left_open_is_raised_behind_the_loop_only_where_a_test_waits_for_it() -> None:
    text = """def fields(text):
    found, quoted = [""], False
    for char in text:
        if char == '"':
            quoted = not quoted
        else:
            found[-1] += char
    found.append("")
    return found
"""
    suspects = [Suspect("csv.py", line, "fields", 1.0 / line) for line in range(2, 10)]
    tree = Tree({"csv.py": Entry(text.encode())})
    failure = Failure("test_csv.py::test_open", "Failed", "DID NOT RAISE <class 'ValueError'>", ())
    wanted = "insert `if quoted:; raise ValueError()`"

    def shown(context: Context) -> list[str]:
        return [c.description for c in generate(tree, suspects, context=context)]

    assert any(wanted in one for one in shown(Context(failures=(failure,), issue="")))
    assert not any(wanted in one for one in shown(Context(failures=(), issue="")))
