"""Small programs and the ways in which they were broken: (text of the right program, text of the broken one)."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent


@dataclass(frozen=True, slots=True)
class Pair:
    """One bug: `wrong` stands in the buggy program where `right` stands in the fixed one."""

    name: str
    fixed: str
    right: str
    wrong: str

    @property
    def buggy(self) -> str:
        """The broken program."""
        assert self.fixed.count(self.right) >= 1, (self.name, self.right)
        return self.fixed.replace(self.right, self.wrong, 1)


def written(name: str, text: str) -> Pair:
    """Read a pair from a table: eight spaces of margin, `--` before what is right, `++` before what is wrong."""
    program, _, change = text.partition("        --\n")
    right, _, wrong = change.partition("        ++\n")
    parts = program.splitlines()[1:], right.splitlines(), wrong.splitlines()[:-1]
    return Pair(name, *("".join(f"{line[8:]}\n" for line in part) for part in parts))


PAIRS: list[Pair] = []


def program(name: str, text: str, *bugs: tuple[str, str]) -> None:
    """Register a right program with its broken variants, each as (right text, wrong text)."""
    fixed = dedent(text).lstrip("\n")
    for number, (right, wrong) in enumerate(bugs, 1):
        PAIRS.append(Pair(f"{name}-{number}", fixed, right, wrong))


program(
    "insertion_point",
    """
    def insertion_point(values, wanted):
        low, high = 0, len(values)
        while low < high:
            middle = (low + high) // 2
            if values[middle] < wanted:
                low = middle + 1
            else:
                high = middle
        return low
    """,
    ("low < high:", "low <= high:"),
    ("values[middle] < wanted", "values[middle] <= wanted"),
    ("low = middle + 1", "low = middle"),
    ("high = middle\n", "high = middle - 1\n"),
    ("(low + high) // 2", "(low + high) / 2"),
    ("(low + high) // 2", "low + high // 2"),
    ("return low", "return high - 1"),
    ("0, len(values)", "1, len(values)"),
    ("len(values)\n", "len(values) - 1\n"),
)
program(
    "greatest_divisor",
    """
    def greatest_divisor(a, b):
        if b == 0:
            return abs(a)
        return greatest_divisor(b, a % b)
    """,
    ("greatest_divisor(b, a % b)", "greatest_divisor(a % b, b)"),
    ("a % b", "b % a"),
    ("return abs(a)", "return a"),
    ("b == 0", "a == 0"),
    ("    return greatest_divisor(b, a % b)", "    greatest_divisor(b, a % b)"),
)
program(
    "merge_sorted",
    """
    def merge_sorted(left, right):
        merged = []
        i = j = 0
        while i < len(left) and j < len(right):
            if left[i] <= right[j]:
                merged.append(left[i])
                i += 1
            else:
                merged.append(right[j])
                j += 1
        merged.extend(left[i:])
        merged.extend(right[j:])
        return merged
    """,
    ("left[i] <= right[j]", "left[i] < right[j]"),
    ("merged.append(right[j])", "merged.append(right[i])"),
    ("            j += 1\n", "            i += 1\n"),
    ("len(left) and j", "len(left) or j"),
    ("merged.extend(left[i:])", "merged.append(left[i:])"),
    ("    merged.extend(right[j:])\n", ""),
    ("right[j:])", "right[:j])"),
    ("            j += 1\n    merged", "    merged"),
    ("merged.extend(left[i:])", "merged.extend(left)"),
)
program(
    "flatten_nested",
    """
    def flatten_nested(items):
        for item in items:
            if isinstance(item, (list, tuple)):
                yield from flatten_nested(item)
            else:
                yield item
    """,
    ("yield from flatten_nested(item)", "yield flatten_nested(item)"),
    ("(list, tuple)", "list"),
    ("yield item\n", "yield items\n"),
    ("yield item\n", "return item\n"),
    ("from flatten_nested(item)", "from flatten_nested(items)"),
)
program(
    "word_counts",
    """
    def word_counts(text, minimum=1):
        counts = {}
        for word in text.lower().split():
            word = word.strip(".,;!?")
            if not word:
                continue
            counts[word] = counts.get(word, 0) + 1
        return {w: c for w, c in counts.items() if c >= minimum}
    """,
    ("counts.get(word, 0)", "counts[word]"),
    ("counts.get(word, 0) + 1", "counts.get(word, 1) + 1"),
    ("text.lower()", "text"),
    ("            continue\n", "            break\n"),
    ("word = word.strip", "word.strip"),
    ("if not word:", "if word:"),
    ("c >= minimum", "c > minimum"),
    ("        if not word:\n            continue\n", ""),
    ("minimum=1", "minimum=0"),
    ("counts.get(word, 0)", "counts.get(text, 0)"),
    (" + 1", ""),
)
program(
    "reachable",
    """
    from collections import deque


    def reachable(start, goal):
        queue = deque([start])
        seen = {start}
        while queue:
            node = queue.popleft()
            if node is goal:
                return True
            for following in node.neighbours:
                if following not in seen:
                    seen.add(following)
                    queue.append(following)
        return False
    """,
    ("while queue:", "while True:"),
    ("                seen.add(following)\n", ""),
    ("if following not in seen", "if following in seen"),
    ("queue.popleft()", "queue.pop()"),
    ("return False", "return True"),
    ("node.neighbours", "start.neighbours"),
    ("queue.append(following)", "queue.append(node)"),
    ("seen.add(following)", "seen.add(node)"),
    ("node is goal", "start is goal"),
    ("    return False", "    return None"),
    ("            if following not in seen:\n                seen", "            if following:\n                seen"),
)
program(
    "depth_search",
    """
    def depth_search(start, goal):
        visited = set()

        def search(node):
            if node in visited:
                return False
            if node is goal:
                return True
            visited.add(node)
            return any(search(following) for following in node.neighbours)

        return search(start)
    """,
    ("        visited.add(node)\n", ""),
    ("any(search", "all(search"),
    ("search(following) for", "search(node) for"),
    ("return search(start)", "return search(goal)"),
    ("        if node in visited:\n            return False\n", ""),
)
program(
    "has_cycle",
    """
    def has_cycle(node):
        slow = fast = node
        while True:
            if fast is None or fast.next is None:
                return False
            slow = slow.next
            fast = fast.next.next
            if slow is fast:
                return True
    """,
    ("fast is None or fast.next is None", "fast.next is None"),
    ("fast.next.next", "fast.next"),
    ("slow is fast", "slow is not fast"),
    ("slow = slow.next", "slow = fast.next"),
    ("is None or", "is None and"),
)
program(
    "reverse_list",
    """
    def reverse_list(node):
        previous = None
        while node:
            following = node.next
            node.next = previous
            previous = node
            node = following
        return previous
    """,
    ("        previous = node\n", ""),
    ("return previous", "return node"),
    ("node.next = previous", "node.next = following"),
    (
        "        node.next = previous\n        previous = node\n",
        "        previous = node\n        node.next = previous\n",
    ),
    ("previous = None", "previous = node"),
)
program(
    "all_subsets",
    """
    def all_subsets(items):
        if not items:
            return [[]]
        first, *rest = items
        without = all_subsets(rest)
        return without + [[first] + subset for subset in without]
    """,
    ("return without + [[first]", "return [[first]"),
    ("return [[]]", "return []"),
    ("all_subsets(rest)", "all_subsets(items)"),
    ("[[first] + subset", "[subset + subset"),
)
program(
    "balanced",
    """
    def balanced(text):
        depth = 0
        for character in text:
            if character == "(":
                depth += 1
            elif character == ")":
                depth -= 1
                if depth < 0:
                    return False
        return depth == 0
    """,
    ("return depth == 0", "return True"),
    ("depth < 0", "depth <= 0"),
    ("depth -= 1", "depth += 1"),
    ("            if depth < 0:\n                return False\n", ""),
    ("depth == 0", "depth"),
    ("elif character", "if character"),
    ("depth = 0", "depth = 1"),
    ("depth == 0", "depth >= 0"),
)
program(
    "change_ways",
    """
    def change_ways(coins, total):
        if total == 0:
            return 1
        if total < 0 or not coins:
            return 0
        first, *rest = coins
        return change_ways(coins, total - first) + change_ways(rest, total)
    """,
    ("total < 0 or not coins", "total < 0"),
    ("change_ways(rest, total)", "change_ways(coins, total)"),
    ("total - first", "total"),
    ("return 1", "return 0"),
    ("total == 0", "total <= 1"),
    ("    if total == 0:\n        return 1\n", ""),
    (" + change_ways(rest, total)", ""),
)
program(
    "best_run",
    """
    def best_run(values):
        best = here = 0
        for value in values:
            here = max(0, here + value)
            best = max(best, here)
        return best
    """,
    ("max(0, here + value)", "here + value"),
    ("max(best, here)", "max(best, value)"),
    ("best = max(best, here)", "best = min(best, here)"),
    ("        best = max(best, here)\n    return", "    best = max(best, here)\n    return"),
    ("max(0, here + value)", "max(0, value)"),
    ("return best", "return here"),
)
program(
    "sort_by_merging",
    """
    def sort_by_merging(values):
        if len(values) <= 1:
            return values
        middle = len(values) // 2
        left = sort_by_merging(values[:middle])
        right = sort_by_merging(values[middle:])
        merged = []
        while left and right:
            merged.append(left.pop(0) if left[0] <= right[0] else right.pop(0))
        return merged + left + right
    """,
    ("len(values) <= 1", "len(values) == 0"),
    ("values[middle:]", "values[middle + 1:]"),
    ("sort_by_merging(values[:middle])", "values[:middle]"),
    ("return merged + left + right", "return merged + right"),
    ("while left and right", "while left or right"),
    (
        "merged.append(left.pop(0) if left[0] <= right[0] else right.pop(0))",
        "merged.append(right.pop(0) if left[0] <= right[0] else left.pop(0))",
    ),
    ("left.pop(0)", "left.pop()"),
)
program(
    "quick",
    """
    def quick(values):
        if not values:
            return []
        pivot = values[0]
        lesser = quick([v for v in values[1:] if v < pivot])
        greater = quick([v for v in values[1:] if v >= pivot])
        return lesser + [pivot] + greater
    """,
    ("v >= pivot", "v > pivot"),
    ("if v < pivot", "if v < values"),
    ("values[1:] if v <", "values if v <"),
    ("lesser + [pivot] + greater", "lesser + greater"),
    ("lesser + [pivot] + greater", "greater + [pivot] + lesser"),
    ("    if not values:\n        return []\n", ""),
    ("values[1:] if v >=", "values[2:] if v >="),
)
program(
    "triangle",
    """
    def triangle(rows):
        result = [[1]]
        for number in range(1, rows):
            above = result[-1]
            row = [1]
            for i in range(1, number):
                row.append(above[i - 1] + above[i])
            row.append(1)
            result.append(row)
        return result[:rows]
    """,
    ("range(1, number)", "range(number)"),
    ("range(1, number)", "range(1, number - 1)"),
    ("        row.append(1)\n", ""),
    ("above[i - 1] + above[i]", "above[i] + above[i]"),
    ("above[i - 1] + above[i]", "above[i - 1] * above[i]"),
    ("result[-1]", "result[0]"),
    ("result.append(row)", "result.extend(row)"),
    ("return result[:rows]", "return result"),
)
program(
    "primes_below",
    """
    def primes_below(limit):
        primes = []
        for number in range(2, limit):
            if all(number % prime != 0 for prime in primes):
                primes.append(number)
        return primes
    """,
    ("all(number", "any(number"),
    ("range(2, limit)", "range(1, limit)"),
    ("range(2, limit)", "range(2, limit + 1)"),
    ("number % prime != 0", "number // prime != 0"),
    ("primes.append(number)", "primes.append(limit)"),
    ("for prime in primes", "for prime in range(number)"),
)
program(
    "square_root",
    """
    def square_root(x, epsilon):
        guess = x / 2
        while abs(x - guess ** 2) > epsilon:
            guess = 0.5 * (guess + x / guess)
        return guess
    """,
    ("x - guess ** 2", "x - guess"),
    ("> epsilon", "< epsilon"),
    ("0.5 * (guess + x / guess)", "0.5 * guess + x / guess"),
    ("abs(x - guess ** 2)", "x - guess ** 2"),
    ("x / guess)", "guess / x)"),
    ("guess = x / 2", "guess = x // 2"),
)
program(
    "in_base",
    """
    import string


    def in_base(number, base):
        alphabet = string.digits + string.ascii_uppercase
        result = ""
        while number > 0:
            digit = number % base
            number = number // base
            result = alphabet[digit] + result
        return result
    """,
    ("alphabet[digit] + result", "result + alphabet[digit]"),
    ("string.ascii_uppercase", "string.ascii_lowercase"),
    ("number // base", "number % base"),
    ("number > 0", "number > base"),
    ("alphabet[digit]", "alphabet[number]"),
)
program(
    "wrapped_lines",
    """
    def wrapped_lines(text, width):
        lines = []
        while len(text) > width:
            end = text.rfind(" ", 0, width)
            if end == -1:
                end = width
            line, text = text[:end], text[end:]
            lines.append(line)
        lines.append(text)
        return lines
    """,
    ("    lines.append(text)\n", ""),
    ("text[:end], text[end:]", "text[end:], text[:end]"),
    ("text.rfind(", "text.find("),
    ("end == -1", "end == 0"),
    ("len(text) > width", "len(text) >= width"),
    ("lines.append(line)", "lines.append(text)"),
    ("        if end == -1:\n            end = width\n", ""),
)
program(
    "postfix",
    """
    def postfix(tokens):
        operators = {"+": lambda a, b: a + b, "-": lambda a, b: a - b}
        stack = []
        for token in tokens:
            if isinstance(token, float):
                stack.append(token)
            else:
                b = stack.pop()
                a = stack.pop()
                stack.append(operators[token](a, b))
        return stack.pop()
    """,
    ("operators[token](a, b)", "operators[token](b, a)"),
    ("return stack.pop()", "return stack"),
    ("stack.append(token)", "stack.append(float)"),
    ("isinstance(token, float)", "isinstance(token, str)"),
    ("lambda a, b: a - b", "lambda a, b: a + b"),
)
program(
    "group_by",
    """
    def group_by(items, key=None):
        groups = {}
        for item in items:
            name = key(item) if key is not None else item
            groups.setdefault(name, []).append(item)
        return groups
    """,
    ("if key is not None else item", "if key is None else item"),
    (".append(item)", ".append(name)"),
    ("groups.setdefault(name, [])", "groups.get(name, [])"),
    ("key(item) if key is not None else item", "key(item)"),
    ("setdefault(name, [])", "setdefault(item, [])"),
)
program(
    "add_entry",
    """
    def add_entry(entry, log=None):
        if log is None:
            log = []
        log.append(entry)
        return log
    """,
    ("log=None):\n    if log is None:\n        log = []\n", "log=[]):\n"),
    ("    if log is None:\n        log = []\n", ""),
    ("return log", "return entry"),
    ("    return log\n", ""),
    ("log is None", "log is not None"),
)
program(
    "account",
    """
    class Account:
        def __init__(self, owner, balance=0):
            self.owner = owner
            self.balance = balance
            self.history = []

        def deposit(self, amount):
            if amount <= 0:
                raise ValueError("amount must be positive")
            self.balance += amount
            self.history.append(("deposit", amount))
            return self.balance

        def withdraw(self, amount):
            if amount > self.balance:
                raise ValueError("not enough")
            self.balance -= amount
            self.history.append(("withdraw", amount))
            return self.balance

        def transfer(self, other, amount):
            self.withdraw(amount)
            other.deposit(amount)
    """,
    ("self.balance -= amount", "self.balance += amount"),
    ("amount <= 0", "amount < 0"),
    ("self.balance = balance", "self.balance = 0"),
    ('        self.history.append(("withdraw", amount))\n', ""),
    ("other.deposit(amount)", "self.deposit(amount)"),
    ('("withdraw", amount))', '("deposit", amount))'),
    ("self.balance -= amount", "self.balance = amount"),
    ("amount > self.balance", "amount > self.history"),
    ('        if amount <= 0:\n            raise ValueError("amount must be positive")\n', ""),
    ("other.deposit(amount)", "other.withdraw(amount)"),
    ("self.balance = balance", "self.balance = owner"),
    ("        return self.balance\n\n    def withdraw", "\n    def withdraw"),
)
program(
    "cache",
    """
    class Cache:
        def __init__(self, size):
            self.size = size
            self.items = {}

        def get(self, key, default=None):
            if key not in self.items:
                return default
            value = self.items.pop(key)
            self.items[key] = value
            return value

        def put(self, key, value):
            self.items.pop(key, None)
            if len(self.items) >= self.size:
                oldest = next(iter(self.items))
                del self.items[oldest]
            self.items[key] = value

        def clear(self):
            self.items = {}
    """,
    ("len(self.items) >= self.size", "len(self.items) > self.size"),
    ("self.items.pop(key, None)", "self.items.pop(key)"),
    ("        self.items[key] = value\n        return value", "        return value"),
    ("del self.items[oldest]", "del self.items[key]"),
    ("return default", "return None"),
    ("    self.size = size", "    self.size = size + 1"),
    ("self.items.pop(key)\n", "self.items.get(key)\n"),
    ("        self.items.pop(key, None)\n", ""),
)
program(
    "title_case",
    """
    SMALL = {"of", "the", "and"}


    def title_case(text):
        words = text.split(" ")
        result = []
        for position, word in enumerate(words):
            if word.lower() in SMALL and position > 0:
                result.append(word.lower())
            else:
                result.append(word.capitalize())
        return " ".join(result)
    """,
    ("word.lower() in SMALL and position > 0", "word.lower() in SMALL"),
    ("word.lower() in SMALL", "word in SMALL"),
    ("word.capitalize()", "word.upper()"),
    ('" ".join(result)', '"".join(result)'),
    ("join(result)", "join(words)"),
    ("enumerate(words)", "enumerate(words, 1)"),
    ("SMALL and", "SMALL or"),
    ("position > 0", "position >= 0"),
)
program(
    "clamp_all",
    """
    def clamp_all(values, low, high):
        if low > high:
            raise ValueError("empty range")
        return [min(max(value, low), high) for value in values]
    """,
    ("min(max(value, low), high)", "max(min(value, low), high)"),
    ("min(max(value, low), high)", "min(max(value, high), low)"),
    ('    if low > high:\n        raise ValueError("empty range")\n', ""),
    ("low > high", "low >= high"),
    ("min(max(value, low), high)", "max(value, low)"),
)
program(
    "moving_average",
    """
    def moving_average(values, width):
        if width <= 0:
            raise ValueError("width must be positive")
        averages = []
        for i in range(len(values) - width + 1):
            window = values[i:i + width]
            averages.append(sum(window) / width)
        return averages
    """,
    ("len(values) - width + 1", "len(values) - width"),
    ("len(values) - width + 1", "len(values)"),
    ("values[i:i + width]", "values[i:width]"),
    ("sum(window) / width", "sum(window) // width"),
    ("sum(window) / width", "sum(values) / width"),
    (
        "        averages.append(sum(window) / width)\n    return averages",
        "        averages.append(sum(window) / width)\n        return averages",
    ),
    ("raise ValueError", "raise TypeError"),
)
program(
    "read_settings",
    """
    def read_settings(lines):
        settings = {}
        for line in lines:
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            name, _, value = line.partition("=")
            settings[name.strip()] = value.strip()
        return settings
    """,
    ('not line or line.startswith("#")', 'line.startswith("#")'),
    ("value.strip()", "value"),
    ('line.startswith("#")', 'line.endswith("#")'),
    ("settings[name.strip()] = value.strip()", "settings[value.strip()] = name.strip()"),
    ('partition("=")', 'rpartition("=")'),
    ("        line = line.strip()\n", ""),
    ("continue", "return settings"),
)
program(
    "find_matches",
    """
    import re

    PATTERN = re.compile(r"([a-z]+)-(\\d+)")


    def find_matches(text):
        found = []
        for match in PATTERN.finditer(text):
            name, number = match.groups()
            found.append((name, int(number)))
        return sorted(found, key=lambda x: x[1])
    """,
    ("int(number)", "number"),
    ("x: x[1]", "x: x[0]"),
    ("(name, int(number))", "(int(number), name)"),
    ("[a-z]+", "[a-z]"),
    ("(\\d+)", "(\\d*)"),
    (", key=lambda x: x[1])", ")"),
    ("return sorted(found", "return sorted(text"),
)
program(
    "fetch_all",
    """
    async def fetch_one(client, name):
        response = await client.get(name)
        return response.body


    async def fetch_all(client, names):
        results = {}
        for name in names:
            results[name] = await fetch_one(client, name)
        return results
    """,
    ("await fetch_one(client, name)", "fetch_one(client, name)"),
    ("await client.get(name)", "client.get(name)"),
    ("results[name] = await", "results[names] = await"),
    ("fetch_one(client, name)\n", "fetch_one(name, client)\n"),
)
program(
    "safe_divide",
    """
    def safe_divide(numerator, denominator, default=0):
        try:
            return numerator / denominator
        except ZeroDivisionError:
            return default
    """,
    ("except ZeroDivisionError", "except ValueError"),
    ("return default", "return None"),
    ("numerator / denominator", "denominator / numerator"),
    ("return default", "return numerator"),
    ("numerator / denominator", "numerator // denominator"),
)
program(
    "first_unique",
    """
    def first_unique(text):
        counts = {}
        for character in text:
            counts[character] = counts.get(character, 0) + 1
        for index, character in enumerate(text):
            if counts[character] == 1:
                return index
        return -1
    """,
    ("    return -1\n", ""),
    ("counts[character] == 1", "counts[character] > 1"),
    ("return index", "return character"),
    ("return -1", "return 0"),
    ("enumerate(text)", "enumerate(counts)"),
    (
        "            return index\n    return -1",
        "            return index\n        return -1",
    ),
)
program(
    "transpose",
    """
    def transpose(rows):
        if not rows:
            return []
        return [[row[i] for row in rows] for i in range(len(rows[0]))]
    """,
    ("range(len(rows[0]))", "range(len(rows))"),
    ("row[i] for row", "row[0] for row"),
    ("    if not rows:\n        return []\n", ""),
    ("return []", "return None"),
    (
        "return [[row[i] for row in rows] for i in range(len(rows[0]))]",
        "return [[row[i] for i in range(len(rows[0]))] for row in rows]",
    ),
)
program(
    "edit_distance",
    """
    def edit_distance(source, target):
        if not source or not target:
            return len(source) or len(target)
        if source[0] == target[0]:
            return edit_distance(source[1:], target[1:])
        return min(
            edit_distance(source, target[1:]),
            edit_distance(source[1:], target[1:]),
            edit_distance(source[1:], target),
        ) + 1
    """,
    ("return edit_distance(source[1:], target[1:])", "return edit_distance(source[1:], target[1:]) + 1"),
    ("not source or not target", "not source and not target"),
    (") + 1\n", ")\n"),
    ("return min(", "return max("),
    ("source[0] == target[0]", "source[0] == target[1]"),
    ("edit_distance(source[1:], target),", "edit_distance(source, target),"),
    ("len(source) or len(target)", "len(source) and len(target)"),
    ("len(source) or len(target)", "len(source)"),
)
program(
    "longest_rising",
    """
    def longest_rising(values):
        ends = {}
        longest = 0
        for i, value in enumerate(values):
            lengths = [j for j in range(1, longest + 1) if values[ends[j]] < value]
            length = max(lengths) if lengths else 0
            if length == longest or value < values[ends[length + 1]]:
                ends[length + 1] = i
                longest = max(longest, length + 1)
        return longest
    """,
    ("max(longest, length + 1)", "length + 1"),
    ("range(1, longest + 1)", "range(1, longest)"),
    ("ends[length + 1] = i", "ends[length] = i"),
    ("length == longest or", "length == longest and"),
    ("max(lengths) if lengths else 0", "max(lengths)"),
    ("values[ends[j]] < value", "ends[j] < value"),
)
program(
    "topological",
    """
    def topological(nodes):
        ordered = [node for node in nodes if not node.incoming]
        for node in ordered:
            for following in node.outgoing:
                if set(ordered).issuperset(following.incoming) and following not in ordered:
                    ordered.append(following)
        return ordered
    """,
    ("issuperset(following.incoming)", "issuperset(following.outgoing)"),
    ("issuperset", "issubset"),
    (" and following not in ordered", ""),
    ("if not node.incoming", "if node.incoming"),
    ("in node.outgoing", "in node.incoming"),
    ("ordered.append(following)", "ordered.append(node)"),
)
program(
    "shortest_lengths",
    """
    def shortest_lengths(count, lengths):
        best = dict(lengths)
        for k in range(count):
            for i in range(count):
                for j in range(count):
                    best[i, j] = min(best[i, j], best[i, k] + best[k, j])
        return best
    """,
    ("best[k, j]", "best[j, k]"),
    ("best[i, j] = min(best[i, j],", "best[i, j] = min(best[j, i],"),
    ("best[i, k] + best[k, j]", "best[i, k] * best[k, j]"),
    ("dict(lengths)", "lengths"),
    ("best[i, j] = min", "best[j, i] = min"),
)
program(
    "hanoi_moves",
    """
    def hanoi_moves(height, start=1, end=3):
        steps = []
        if height > 0:
            helper = ({1, 2, 3} - {start} - {end}).pop()
            steps.extend(hanoi_moves(height - 1, start, helper))
            steps.append((start, end))
            steps.extend(hanoi_moves(height - 1, helper, end))
        return steps
    """,
    ("steps.append((start, end))", "steps.append((start, helper))"),
    ("hanoi_moves(height - 1, start, helper)", "hanoi_moves(height, start, helper)"),
    ("hanoi_moves(height - 1, helper, end)", "hanoi_moves(height - 1, end, helper)"),
    ("height > 0", "height >= 0"),
    ("        steps.append((start, end))\n", ""),
    ("end=3", "end=2"),
    ("- {end}", "- {start}"),
)
program(
    "count_ones",
    """
    def count_ones(n):
        count = 0
        while n:
            n &= n - 1
            count += 1
        return count
    """,
    ("n &= n - 1", "n ^= n - 1"),
    ("n &= n - 1", "n &= n"),
    ("        count += 1\n", ""),
    ("count += 1", "count = 1"),
    ("while n:", "if n:"),
)
program(
    "rotate",
    """
    def rotate(values, steps):
        if not values:
            return values
        steps %= len(values)
        return values[-steps:] + values[:-steps]
    """,
    ("values[-steps:] + values[:-steps]", "values[steps:] + values[:-steps]"),
    ("values[-steps:] + values[:-steps]", "values[:-steps] + values[-steps:]"),
    ("    if not values:\n        return values\n", ""),
    ("steps %= len(values)", "steps = len(values)"),
    ("    steps %= len(values)\n", ""),
    ("return values\n", "return None\n"),
)
program(
    "palindrome",
    """
    def palindrome(text):
        letters = [c.lower() for c in text if c.isalnum()]
        return letters == letters[::-1]
    """,
    ("letters[::-1]", "letters"),
    ("c.isalnum()", "c.isalpha()"),
    ("c.lower() for", "c for"),
    (" if c.isalnum()", ""),
    ("== letters[::-1]", "== text[::-1]"),
    ("letters[::-1]", "letters[:-1]"),
)
program(
    "parse_range",
    """
    def parse_range(text, size):
        first, _, last = text.partition("-")
        start = int(first) if first else 0
        stop = int(last) + 1 if last else size
        if start >= stop or stop > size:
            raise ValueError(f"bad range {text!r}")
        return range(start, stop)
    """,
    ("int(last) + 1", "int(last)"),
    ("int(first) if first else 0", "int(first)"),
    ("start >= stop or", "start > stop or"),
    ("or stop > size", ""),
    ("{text!r}", "{text}"),
    ("range(start, stop)", "range(stop)"),
    ("{text!r}", "{size!r}"),
    ("if last else size", "if last else start"),
)
program(
    "histogram",
    """
    def histogram(values, bins, low, high):
        counts = [0] * bins
        width = (high - low) / bins
        for value in values:
            if value < low or value > high:
                continue
            index = min(int((value - low) / width), bins - 1)
            counts[index] += 1
        return counts
    """,
    ("min(int((value - low) / width), bins - 1)", "int((value - low) / width)"),
    ("(high - low) / bins", "high - low / bins"),
    ("value < low or value > high", "value < low and value > high"),
    ("(high - low)", "(low - high)"),
    ("bins - 1", "bins"),
    ("counts[index] += 1", "counts[index] = 1"),
    ("[0] * bins", "[1] * bins"),
    ("or value > high", "or value > low"),
    ("        if value < low or value > high:\n            continue\n", ""),
)
program(
    "paginate",
    """
    def paginate(items, page, size=10):
        pages = (len(items) + size - 1) // size
        if page < 1 or page > pages:
            return []
        start = (page - 1) * size
        return items[start:start + size]
    """,
    ("(len(items) + size - 1) // size", "len(items) // size"),
    ("(page - 1) * size", "page * size"),
    ("start:start + size", "start:size"),
    ("page < 1", "page < 0"),
    ("page > pages", "page >= pages"),
    ("(page - 1) * size", "(page - 1) * page"),
    ("size=10", "size=1"),
)
program(
    "format_name",
    """
    def format_name(first, last, middle=""):
        parts = [first, middle, last]
        return " ".join(part.strip().title() for part in parts if part)
    """,
    (" if part", ""),
    ("part.strip().title()", "part.title()"),
    ("[first, middle, last]", "[first, last, middle]"),
    ("[first, middle, last]", "[first, last]"),
    (".title()", ".upper()"),
)
program(
    "deep_update",
    """
    def deep_update(base, changes):
        result = dict(base)
        for key, value in changes.items():
            if isinstance(value, dict) and isinstance(result.get(key), dict):
                result[key] = deep_update(result[key], value)
            else:
                result[key] = value
        return result
    """,
    ("result = dict(base)", "result = base"),
    ("deep_update(result[key], value)", "deep_update(value, result[key])"),
    (" and isinstance(result.get(key), dict)", ""),
    ("result.get(key)", "result[key]"),
    ("changes.items()", "base.items()"),
    ("        else:\n            result[key] = value\n", ""),
    ("return result", "return base"),
)
program(
    "normalise",
    """
    def normalise(values):
        total = sum(values)
        if total == 0:
            return [0.0 for _ in values]
        return [value / total for value in values]
    """,
    ("value / total", "value // total"),
    ("total = sum(values)", "total = max(values)"),
    ("total = sum(values)", "total = len(values)"),
    ("total == 0", "total != 0"),
    ("value / total", "total / value"),
    ("[0.0 for", "[1.0 for"),
)
program(
    "chunks",
    """
    def chunks(items, size):
        chunk = []
        for item in items:
            chunk.append(item)
            if len(chunk) == size:
                yield chunk
                chunk = []
        if chunk:
            yield chunk
    """,
    ("    if chunk:\n        yield chunk\n", ""),
    ("            chunk = []\n", ""),
    ("len(chunk) == size", "len(chunk) > size"),
    ("    if chunk:\n        yield chunk\n", "    yield chunk\n"),
    ("yield chunk\n            chunk", "yield item\n            chunk"),
    ("len(chunk) == size", "len(item) == size"),
)
program(
    "matrix_product",
    """
    def matrix_product(a, b):
        if len(a[0]) != len(b):
            raise ValueError("sizes differ")
        result = [[0] * len(b[0]) for _ in range(len(a))]
        for i in range(len(a)):
            for j in range(len(b[0])):
                for k in range(len(b)):
                    result[i][j] += a[i][k] * b[k][j]
        return result
    """,
    ("a[i][k] * b[k][j]", "a[i][k] * b[j][k]"),
    ("result[i][j] += a", "result[i][j] = a"),
    ("len(a[0]) != len(b)", "len(a) != len(b)"),
    ("a[i][k] * b[k][j]", "a[i][k] + b[k][j]"),
    ("range(len(b[0]))", "range(len(b))"),
    ("[[0] * len(b[0]) for _ in range(len(a))]", "[[0] * len(b[0])] * len(a)"),
)
