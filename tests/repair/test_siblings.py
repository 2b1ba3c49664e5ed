"""Repairs that are told by what stands beside them: mirror images, copied blocks, items, recursions, other forms."""

from __future__ import annotations

from itertools import islice

import pytest

from agents.edits import apply_candidate
from agents.repair.checks import meaning_of
from agents.repair.generate import Context, generate
from agents.results import Failure, Suspect
from sandbox.tree import Entry, Tree
from tests.repair.pairs_table import Pair, written
from tests.repair.rank_pairs import rank

PROGRAMS = {
    "mirrored names": """
        def neighbours(edges):
            near = {}
            for one, other in edges:
                near.setdefault(one, set()).add(other)
                near.setdefault(other, set()).add(one)
            return near
        --
                near.setdefault(other, set()).add(one)
        ++
        """,
    "mirrored words": """
        def merge(left, right):
            result, i, j = [], 0, 0
            while i < len(left) and j < len(right):
                if left[i] <= right[j]:
                    result.append(left[i])
                    i += 1
                else:
                    result.append(right[j])
                    j += 1
            result.extend(left[i:])
            result.extend(right[j:])
            return result
        --
            result.extend(right[j:])
        ++
        """,
    "block": """
        def unique(items, last):
            source, seen, found = list(items), set(), []
            if last:
                source.reverse()
            for item in source:
                if item not in seen:
                    seen.add(item)
                    found.append(item)
            if last:
                found.reverse()
            return found
        --
            if last:
                found.reverse()
        ++
        """,
    "else": """
        def tails_of(numbers, find):
            tails = []
            for number in numbers:
                place = len(tails) - find(tails, number)
                if place == len(tails):
                    tails.append(number)
                else:
                    tails[place] = number
            return tails
        --
                else:
                    tails[place] = number
        ++
        """,
    "conditional else": """
        def normal(parts, absolute):
            found = []
            for part in parts:
                if part != "..":
                    found.append(part)
                elif not absolute:
                    found.append("..")
            return found
        --
                elif not absolute:
        ++
                else:
        """,
    "item": """
        def place(items, wanted):
            low, high = 0, len(items)
            while low < high:
                middle = (low + high) // 2
                if items[middle] < wanted:
                    low = middle + 1
                else:
                    high = middle
            if low < len(items) and items[low] == wanted:
                return low
            return -1
        --
            if low < len(items) and items[low] == wanted:
        ++
            if low < len(items):
        """,
    "recursion": """
        def matches(pattern, name):
            if not pattern:
                return not name
            if pattern[0] == "*":
                return matches(pattern[1:], name) or (bool(name) and matches(pattern, name[1:]))
            return bool(name) and pattern[0] == name[0] and matches(pattern[1:], name[1:])
        --
                return matches(pattern[1:], name) or (bool(name) and matches(pattern, name[1:]))
        ++
                return bool(name) and matches(pattern, name[1:])
        """,
    "optional step": """
        def flatten(items, depth=None):
            for item in items:
                if isinstance(item, list) and depth != 0:
                    yield from flatten(item, None if depth is None else depth - 1)
                else:
                    yield item
        --
                    yield from flatten(item, None if depth is None else depth - 1)
        ++
                    yield from flatten(item, depth)
        """,
    "suffix": """
        def parts(local, domain):
            if not local:
                raise ValueError("empty")
            return local, domain.lower()
        --
            return local, domain.lower()
        ++
            return local.lower(), domain
        """,
    "slice inside": """
        def turned(matrix):
            return [list(row) for row in zip(*matrix[::-1])]
        --
            return [list(row) for row in zip(*matrix[::-1])]
        ++
            return [list(row) for row in zip(*matrix)][::-1]
        """,
    "repeated": """
        def digits(text):
            plain = text.replace("-", "").replace(" ", "")
            return [int(c) for c in plain]
        --
            plain = text.replace("-", "").replace(" ", "")
        ++
            plain = text.replace("-", "")
        """,
    "functional": """
        import heapq

        def ordered(items):
            heap, found = list(items), []
            heapq.heapify(heap)
            while heap:
                found.append(heapq.heappop(heap))
            return found
        --
                found.append(heapq.heappop(heap))
        ++
                found.append(heap.pop())
        """,
    "key": """
        def ranked(counts):
            return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        --
            return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        ++
            return sorted(counts.items(), key=lambda pair: pair[0])
        """,
    "usual function": """
        def component(nodes):
            seen = set(nodes)
            return sorted(seen)
        --
            return sorted(seen)
        ++
            return list(seen)[::-1]
        """,
    "number everywhere": """
        def check(digits):
            total = 0
            for index, digit in enumerate(digits):
                value = digit * (1 + index % 2)
                if value > 9:
                    value -= 9
                total += value
            return total
        --
                if value > 9:
                    value -= 9
        ++
                if value > 10:
                    value -= 10
        """,
    "condition in a lambda": """
        def dotted(node):
            if all(map(lambda x: isinstance(x, str) and "." not in x, node)):
                return ".".join(node)
            return list(node)
        --
            if all(map(lambda x: isinstance(x, str) and "." not in x, node)):
        ++
            if all(map(lambda x: isinstance(x, str), node)):
        """,
    "calls exchanged": """
        import os

        def resolve(name, values, default):
            found = values.get(name, os.getenv(name, default))
            return found
        --
            found = values.get(name, os.getenv(name, default))
        ++
            found = os.getenv(name, values.get(name, default))
        """,
    "entry removed": """
        def take(stock, item, count):
            stock[item] -= count
            if not stock[item]:
                del stock[item]
            return stock
        --
            if not stock[item]:
                del stock[item]
        ++
        """,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_is_generated(name: str) -> None:
    number, candidate = rank(written(name, PROGRAMS[name]), 3000)
    assert number is not None
    assert candidate is not None


def test_a_sibling_method_is_told_again_with_the_own_name() -> None:
    fixed = (
        "class Account:\n"
        "    def __init__(self):\n"
        "        self.balance, self.history = 0, []\n\n"
        "    def deposit(self, amount):\n"
        "        self.balance += amount\n"
        "        self.history.append(('deposit', amount))\n\n"
        "    def withdraw(self, amount):\n"
        "        self.balance -= amount\n"
        "        self.history.append(('withdraw', amount))\n"
    )
    line = "        self.history.append(('withdraw', amount))\n"
    assert rank(Pair("retold", fixed, line, ""), 2000)[0] is not None


def test_a_relative_of_an_imported_function_is_imported() -> None:
    right = "from bisect import bisect_left\n\n\ndef place(items, wanted):\n    return bisect_left(items, wanted)\n"
    tree = Tree({"program.py": Entry(right.replace("bisect_left", "bisect_right").encode())})
    suspects = [Suspect("program.py", 5, "place", 1.0)]
    failure = Failure("tests/test_a.py::test_b", "AssertionError", "assert 2 == 1", ())
    made = islice(generate(tree, suspects, context=Context(failures=(failure,))), 300)
    texts = [bytes(apply_candidate(tree, c)["program.py"].data).decode() for c in made]
    assert meaning_of(right) in map(meaning_of, texts)
    assert right in texts


def test_nothing_pointless_is_proposed() -> None:
    text = (
        "def sign_of(number, size=3):\n"
        "    sign = '-' if number < 0 else ''\n"
        "    while size < number and len(sign) < size:\n"
        "        sign = min(sign, str(number)) or sign\n"
        "    sign = min(str(number), str(size))\n"
        "    return sign\n"
    )
    tree = Tree({"program.py": Entry(text.encode())})
    suspects = [Suspect("program.py", line, "sign_of", 1.0) for line in range(2, 7)]
    made = [bytes(apply_candidate(tree, c)["program.py"].data).decode() for c in generate(tree, suspects)]
    assert len(made) > 300
    for pointless in (
        "if number < number else",
        "'' if number < 0 else ''",
        "while size < size and",
        "= sign or sign",
        "min(sign, sign)",
        "min(str(size), str(size))",
    ):
        assert not [text for text in made if pointless in text], pointless
