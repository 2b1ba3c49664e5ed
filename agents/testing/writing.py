"""Writes scenarios down as test functions, the way a person would: tables of calls, sequences, errors, relations."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from agents.testing import names
from agents.testing.choosing import Chosen
from sandbox.runners.exploring import Line, Relation, Scenario
from sandbox.syntax import parse_expression

Style = Literal["pytest", "unittest"]
_SPECIAL = re.compile(r"[.^$*+?{}\[\]\\|()]")


@dataclass(frozen=True, slots=True)
class Written:
    """One test function."""

    name: str
    target: str
    text: str
    """Its source, decorators included, not indented."""
    rows: tuple[int, ...]
    """The scenarios in it, in the order of its rows; one where it has no table."""
    kind: Literal["example", "exception", "property"]
    uses: Mapping[str, str]
    """Names that it uses → `own`, or `module:NAME`."""
    adds: str = ""


@dataclass(slots=True)
class Writer:
    """Writes the tests of one module."""

    style: Style
    parameters: Mapping[str, tuple[str, ...]]
    """Function → names of its positional parameters; the last begins with `*` where it takes any number."""
    relations: Mapping[int, Relation]
    taken: set[str] = field(default_factory=set)

    def tests(self, chosen: Sequence[Chosen]) -> list[Written]:
        """Return tests for the chosen scenarios: those of one function together, relations first."""
        groups: dict[tuple[str, ...], list[Chosen]] = {}
        for one in chosen:
            groups.setdefault(self._shape(one.scenario), []).append(one)
        order = list(dict.fromkeys(one.scenario.target for one in chosen))
        ranked = sorted(groups.values(), key=lambda g: (order.index(g[0].scenario.target), _rank(g[0].scenario)))
        made: list[Written] = []
        for group in ranked:
            scenario = group[0].scenario
            if scenario.id in self.relations:
                made += [self._relation(one, self.relations[one.scenario.id]) for one in group]
            elif scenario.call is not None and len(scenario.lines) == 1 and not scenario.lines[0].view:
                made += self._table(group)
            else:
                made += [self._sequence(one) for one in group]
        return made

    def _shape(self, scenario: Scenario) -> tuple[str, ...]:
        """Return what scenarios share that can be rows of one table."""
        call = scenario.call
        if scenario.origin == "relation":
            return ("relation", str(scenario.id))
        if call is None or len(scenario.lines) != 1 or scenario.lines[0].view:
            return ("sequence", str(scenario.id))
        line = scenario.lines[0]
        kind: str = "value" if line.operation == "eq" else line.operation
        if kind == "is":
            kind = f"is {line.want}" if line.want == "None" else "is"
        want = line.want if line.operation == "raises" else ""
        known = self.parameters.get(call.name, ())
        fixed = sum(not name.startswith("*") for name in known)
        count = "any" if len(known) > fixed and len(call.args) >= fixed else str(len(call.args))
        return ("call", call.name, count, ",".join(key for key, _ in call.named), kind, want)

    # Calls of one function

    def _table(self, group: list[Chosen]) -> list[Written]:
        if len(group) == 1 or self.style == "unittest":
            return [self._single(group)] if len(group) == 1 else [self._loop(group)]
        scenario = group[0].scenario
        call, line = scenario.call, scenario.lines[0]
        assert call is not None  # noqa: S101 - the caller has looked
        heads, text = self._spelled(scenario)
        raising = line.operation == "raises"
        rows = []
        messages = {one.scenario.lines[0].message for one in group}
        for one in group:
            row = self._cells(one.scenario)
            if not raising:
                row.append(one.scenario.lines[0].want)
            rows.append(row)
        if not raising:
            heads = [*heads, "expected"]
        if not heads:
            return [self._single([one]) for one in group]
        name = names.unique(self._table_name(group), self.taken)
        cells = ["(" + ", ".join(row) + ")" if len(row) > 1 else row[0] for row in rows]
        title = '"' + heads[0] + '"' if len(heads) == 1 else "(" + ", ".join(f'"{head}"' for head in heads) + ")"
        body = self._raising(text, line, messages) if raising else [_assertion(line, text, "expected")]
        source = [f"@pytest.mark.parametrize({title}, [", *(f"    {cell}," for cell in cells), "])",
                  f"def {name}({', '.join(heads)}):", *_indented(body)]  # fmt: skip
        return [self._written(name, group, source, "exception" if raising else "example")]

    def _table_name(self, group: list[Chosen]) -> str:
        scenario = group[0].scenario
        line, call = scenario.lines[0], scenario.call
        head = names.snake(scenario.target)
        named = "_and_".join(key for key, _ in call.named) if call is not None else ""
        with_ = f"_with_{named}" if named else ""
        if line.operation == "raises":
            return f"{head}{with_}_raises_{names.snake(line.want.rpartition('.')[2])}"
        wants = {one.scenario.lines[0].want for one in group}
        if len(wants) == 1 and line.operation == "is":
            return f"{head}{with_}_is_{line.want.lower()}"
        return f"{head}{with_}"

    def _spelled(self, scenario: Scenario) -> tuple[list[str], str]:
        """Return the columns of a table and the call that uses them."""
        call = scenario.call
        assert call is not None  # noqa: S101 - the caller has looked
        known = self.parameters.get(call.name, ())
        fixed = [name for name in known if not name.startswith("*")]
        forbidden = set(scenario.names) | {"expected", call.name.partition(".")[0]}
        heads, parts = [], []
        if len(call.args) > len(fixed) or (known and known[-1].startswith("*") and len(call.args) >= len(fixed)):
            heads = list(names.columns([*fixed, (known[-1][1:] if known else "") or "args"], forbidden))
            parts = [*heads[:-1], f"*{heads[-1]}"]
        else:
            heads = list(names.columns(fixed[: len(call.args)], forbidden))
            parts = list(heads)
        keys = list(names.columns([key for key, _ in call.named], forbidden | set(heads)))
        parts += [f"{key}={column}" for (key, _), column in zip(call.named, keys, strict=True)]
        return [*heads, *keys], f"{call.name}({', '.join(parts)})"

    def _cells(self, scenario: Scenario) -> list[str]:
        call = scenario.call
        assert call is not None  # noqa: S101 - the caller has looked
        heads, text = self._spelled(scenario)
        count = len(heads) - len(call.named)
        args = list(call.args)
        if "*" in text.partition("(")[2]:
            rest = args[count - 1 :]
            args = [*args[: count - 1], "(" + ", ".join(rest) + ("," if len(rest) == 1 else "") + ")"]
        return [*args, *(value for _, value in call.named)]

    def _single(self, group: list[Chosen]) -> Written:
        scenario = group[0].scenario
        line, call = scenario.lines[0], scenario.call
        assert call is not None  # noqa: S101 - the caller has looked
        what = names.of_arguments([*call.args, *(value for _, value in call.named)])
        head = names.snake(scenario.target)
        if line.operation == "raises":
            head += f"_raises_{names.snake(line.want.rpartition('.')[2])}"
            what = f"for_{what}" if what else ""
        else:
            what = f"of_{what}" if what else ""
        name = names.unique("_".join(part for part in (head, what) if part), self.taken)
        return self._function(
            name, group, self._lines(scenario), "exception" if line.operation == "raises" else "example"
        )

    def _loop(self, group: list[Chosen]) -> Written:
        """Write a table for unittest: a loop of sub-tests."""
        scenario = group[0].scenario
        line = scenario.lines[0]
        heads, text = self._spelled(scenario)
        raising = line.operation == "raises"
        if not heads:
            return self._function(
                names.unique(self._table_name(group), self.taken), group,
                [text for one in group for text in self._lines(one.scenario)], "example",
            )  # fmt: skip
        columns = heads if raising else [*heads, "expected"]
        rows = [[*self._cells(o.scenario), *([] if raising else [o.scenario.lines[0].want])] for o in group]
        cells = ["(" + ", ".join(row) + ("," if len(row) == 1 else "") + ")" for row in rows]
        messages = {one.scenario.lines[0].message for one in group}
        inner = self._raising(text, line, messages) if raising else [_case_assertion(line, text, "expected")]
        unpacked = ", ".join(columns) + ("," if len(columns) == 1 else "")
        body = ["for " + unpacked + " in [", *(f"    {cell}," for cell in cells), "]:",
                f"    with self.subTest({', '.join(f'{head}={head}' for head in heads)}):",
                *_indented(_indented(inner))]  # fmt: skip
        name = names.unique(self._table_name(group), self.taken)
        return self._function(name, group, body, "exception" if raising else "example")

    # Everything else

    def _sequence(self, one: Chosen) -> Written:
        scenario = one.scenario
        name = names.unique(names.of_sequence(scenario), self.taken)
        raising = any(line.operation == "raises" for line in scenario.lines)
        return self._function(name, [one], self._lines(scenario), "exception" if raising else "example")

    def _relation(self, one: Chosen, relation: Relation) -> Written:
        heads = {"round trip": "survives_round_trip", "idempotence": "is_idempotent", "agreement": "agrees"}
        other = names.snake(relation.right.partition("(")[0]) if relation.kind == "agreement" else ""
        words = [names.snake(relation.target), heads.get(relation.kind, "holds"), *(["with", other] if other else [])]
        name = names.unique("_".join(words), self.taken)
        left, right = relation.text.format("value"), relation.right.format("value")
        if self.style == "unittest":
            body = [f"for value in [{', '.join(relation.inputs)}]:", "    with self.subTest(value=value):",
                    f"        self.assertEqual({left}, {right})"]  # fmt: skip
            return self._function(name, [one], body, "property")
        source = [f'@pytest.mark.parametrize("value", [{", ".join(relation.inputs)}])', f"def {name}(value):",
                  f"    assert {left} == {right}"]  # fmt: skip
        return self._written(name, [one], source, "property")

    def _function(
        self, name: str, group: list[Chosen], body: list[str], kind: Literal["example", "exception", "property"]
    ) -> Written:
        fixtures = "self" if self.style == "unittest" else ", ".join(_fixtures(group[0].scenario))
        return self._written(name, group, [f"def {name}({fixtures}):", *_indented(body)], kind)

    def _written(
        self, name: str, group: list[Chosen], source: list[str], kind: Literal["example", "exception", "property"]
    ) -> Written:
        uses = {key: value for one in group for key, value in one.scenario.names.items()}
        spots = sum(len(one.spots) for one in group)
        mutants = sum(len(one.mutants) for one in group)
        parts = [f"{spots} lines or branches"] * bool(spots) + [f"{mutants} mutants"] * bool(mutants)
        rows = tuple(one.scenario.id for one in group)
        return Written(name, group[0].scenario.target, "\n".join(source), rows, kind, uses, " and ".join(parts))

    def _lines(self, scenario: Scenario) -> list[str]:
        made: list[str] = []
        quiet = self.style == "unittest"
        printing = any(line.operation == "printed" for line in scenario.lines)
        depth = 0
        for line in scenario.lines:
            pad = "    " * depth
            if line.operation == "argv":
                words = "[" + ", ".join(map(repr, line.words)) + "]"
                if quiet:
                    made.append(f'with unittest.mock.patch.object(sys, "argv", {words}):')
                    depth = 1
                else:
                    made.append(f'monkeypatch.setattr(sys, "argv", {words})')
            elif line.operation == "printed":
                text = "output.getvalue()" if quiet else "capsys.readouterr().out"
                line = Line("eq", text, repr(line.text))
                made.append("    " * (depth - 1) * quiet + self._check(line)[0])
            elif line.operation == "do" or (line.alone and not self._telling(scenario, line) and _does(line.alone)):
                made.append(pad + (line.alone or line.text))
            else:
                if printing and quiet:
                    made.append(f"{pad}with contextlib.redirect_stdout(io.StringIO()) as output:")
                    pad += "    "
                made += [pad + text for text in self._check(line)]
        return made

    def _telling(self, scenario: Scenario, line: Line) -> bool:
        """Whether it is worth saying that None comes of a line: only where nothing else is said."""
        return not any(other is not line and other.operation not in {"do", "argv"} for other in scenario.lines)

    def _check(self, line: Line) -> list[str]:
        if line.operation == "raises":
            return self._raising(line.text, line, {line.message})
        if self.style == "unittest":
            return [_case_assertion(line, line.text, line.want)]
        return [_assertion(line, line.text, line.want)]

    def _raising(self, text: str, line: Line, messages: set[str | None]) -> list[str]:
        match = ""
        if len(messages) == 1 and (message := next(iter(messages))):
            match = f"re.escape({message!r})" if _SPECIAL.search(message) else repr(message)
        if self.style == "unittest":
            call = f"self.assertRaisesRegex({line.want}, {match})" if match else f"self.assertRaises({line.want})"
        else:
            call = f"pytest.raises({line.want}, match={match})" if match else f"pytest.raises({line.want})"
        # A bare expression would look like a mistake, to readers and to linters.
        return [f"with {call}:", f"    {'_ = ' if _bare(text) else ''}{text}"]


def _assertion(line: Line, text: str, want: str) -> str:
    if line.operation == "is":
        if want == "True" and re.match(r"(math\.isnan|isinstance)\(", text):
            return f"assert {text}"
        return f"assert {_operand(text)} is {want}"
    if line.operation == "near":
        return f"assert {_operand(text)} == pytest.approx({want})"
    return f"assert {_operand(text)} == {want}"


def _case_assertion(line: Line, text: str, want: str) -> str:
    if line.operation == "is":
        method = {"True": "assertIs", "False": "assertIs", "None": "assertIsNone"}.get(want, "assertIs")
        return f"self.{method}({text})" if want == "None" else f"self.{method}({text}, {want})"
    if line.operation == "near":
        return f"self.assertAlmostEqual({text}, {want})"
    return f"self.assertEqual({text}, {want})"


def _operand(text: str) -> str:
    """Return an expression that can stand beside a comparison."""
    try:
        node = parse_expression(text)
    except (SyntaxError, ValueError, TypeError):
        return f"({text})"
    loose = isinstance(node, ast.Compare | ast.BoolOp | ast.IfExp | ast.Lambda) or (
        isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
    )
    return f"({text})" if loose else text


def _fixtures(scenario: Scenario) -> list[str]:
    found = ["monkeypatch"] * any(line.operation == "argv" for line in scenario.lines)
    return [*found, *["capsys"] * any(line.operation == "printed" for line in scenario.lines)]


def _indented(lines: Iterable[str]) -> list[str]:
    return ["    " + line for line in lines]


def _bare(text: str) -> bool:
    """Whether a line is an expression that is no call."""
    try:
        return not isinstance(parse_expression(text), ast.Call)
    except (SyntaxError, ValueError):
        return False


def _does(text: str) -> bool:
    """Whether a line is there for what it does: a statement, or a call."""
    try:
        return isinstance(parse_expression(text), ast.Call)
    except (SyntaxError, ValueError):
        return True


def _rank(scenario: Scenario) -> int:
    if scenario.origin == "relation":
        return 0
    return 2 if any(line.operation == "raises" for line in scenario.lines) else 1
