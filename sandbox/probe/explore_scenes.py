"""A scene: an object, if any, and what is done with it; it can be run, varied, and written down as lines of a test."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple

from .explore_recipes import Builder, arguments, copied, render

OPERATIONS: Dict[str, str] = {
    "__getitem__": "{o}[{0}]", "__setitem__": "{o}[{0}] = {1}", "__delitem__": "del {o}[{0}]",
    "__contains__": "{0} in {o}", "__len__": "len({o})", "__iter__": "list({o})", "__reversed__": "list(reversed({o}))",
    "__bool__": "bool({o})", "__repr__": "repr({o})", "__str__": "str({o})", "__eq__": "{o} == {0}",
    "__ne__": "{o} != {0}", "__lt__": "{o} < {0}", "__le__": "{o} <= {0}", "__gt__": "{o} > {0}",
    "__ge__": "{o} >= {0}", "__add__": "{o} + {0}", "__sub__": "{o} - {0}", "__mul__": "{o} * {0}",
    "__truediv__": "{o} / {0}", "__floordiv__": "{o} // {0}", "__mod__": "{o} % {0}", "__pow__": "{o} ** {0}",
    "__and__": "{o} & {0}", "__or__": "{o} | {0}", "__xor__": "{o} ^ {0}", "__matmul__": "{o} @ {0}",
    "__lshift__": "{o} << {0}", "__rshift__": "{o} >> {0}", "__radd__": "{0} + {o}", "__rsub__": "{0} - {o}",
    "__rmul__": "{0} * {o}", "__rtruediv__": "{0} / {o}", "__rfloordiv__": "{0} // {o}", "__rmod__": "{0} % {o}",
    "__rand__": "{0} & {o}", "__ror__": "{0} | {o}", "__rxor__": "{0} ^ {o}", "__iadd__": "{o} += {0}",
    "__isub__": "{o} -= {0}", "__imul__": "{o} *= {0}", "__ior__": "{o} |= {0}", "__iand__": "{o} &= {0}",
    "__ixor__": "{o} ^= {0}", "__neg__": "-{o}", "__pos__": "+{o}", "__abs__": "abs({o})", "__invert__": "~{o}",
    "__int__": "int({o})", "__float__": "float({o})", "__index__": "operator.index({o})", "__round__": "round({o})",
    "__hash__": "hash({o}) == hash({o})", "__copy__": "copy.copy({o})", "__deepcopy__": "copy.deepcopy({o})",
    "__reduce__": "copy.copy({o})", "__getstate__": "copy.copy({o})",
    "__setstate__": "copy.copy({o})", "__call__": "{o}({all})", "__next__": "next({o})",
    "__format__": "format({o}, {0})", "__length_hint__": "operator.length_hint({o})", "__sizeof__": "",
}  # fmt: skip
STATEMENTS = frozenset(
    {"__setitem__", "__delitem__", "__iadd__", "__isub__", "__imul__", "__ior__", "__iand__", "__ixor__"}
)


class Step:
    """One thing that is done: `name` is a function, `.method`, an operation's dunder, `get:ATTR` or `set:ATTR`."""

    __slots__ = ("args", "name", "named")

    def __init__(self, name: str, args: Tuple[Any, ...] = (), named: Optional[Dict[str, Any]] = None) -> None:
        self.name = name
        self.args = args
        self.named = named or {}

    @property
    def statement(self) -> bool:
        """Whether it has no value."""
        return self.name in STATEMENTS or self.name.startswith("set:")

    def copy(self) -> Step:
        """Return a step that can be changed without changing this one."""
        return Step(self.name, tuple(map(copied, self.args)), {name: copied(v) for name, v in self.named.items()})

    def text(self, subject: str, spelled: Sequence[str], named: Dict[str, str]) -> str:
        """Return source, given that of the object and of the arguments."""
        inside = ", ".join([*spelled, *("%s=%s" % pair for pair in named.items())])
        if self.name.startswith("."):
            return "%s%s(%s)" % (subject, self.name, inside)
        if self.name.startswith("get:"):
            return "%s.%s" % (subject, self.name[4:])
        if self.name.startswith("set:"):
            return "%s.%s = %s" % (subject, self.name[4:], spelled[0])
        template = OPERATIONS.get(self.name)
        if template is None:
            return "%s(%s)" % (self.name, inside)
        return template.format(*spelled, o=subject, all=inside)


class Scene:
    """What a test does."""

    __slots__ = ("argv", "origin", "start", "steps", "subject", "target")

    def __init__(
        self, target: str, steps: Sequence[Step], start: Any = None, subject: str = "", origin: str = "search"
    ) -> None:
        self.target = target
        self.steps = list(steps)
        self.start = start
        """Recipe of the object, None where there is none."""
        self.subject = subject
        """Name of the variable that holds it."""
        self.origin = origin
        self.argv: Optional[List[str]] = None
        """What stands in `sys.argv`, where that matters."""

    def key(self) -> str:
        """Return a text that equal scenes share."""
        parts = [render(self.start) if self.start is not None else "", repr(self.argv) if self.argv else ""]
        parts += ["%s(%s)" % (step.name, arguments(step.args, step.named)) for step in self.steps]
        return "\n".join(parts)

    def copy(self) -> Scene:
        """Return a scene that can be changed without changing this one."""
        steps = [
            Step(s.name, tuple(map(copied, s.args)), {n: copied(v) for n, v in s.named.items()}) for s in self.steps
        ]
        made = Scene(self.target, steps, copied(self.start), self.subject, self.origin)
        made.argv = list(self.argv) if self.argv is not None else None
        return made


def perform(step: Step, builder: Builder, subject: Any, holds: Dict[str, Any]) -> Any:
    """Do one step and return its value; `holds` keeps the object where a step exchanges it, and the arguments."""
    args = [builder.build(arg) for arg in step.args]
    named = {name: builder.build(value) for name, value in step.named.items()}
    holds["args"], holds["named"] = args, named
    name = step.name
    if name.startswith("."):
        return getattr(subject, name[1:])(*args, **named)
    if name.startswith("get:"):
        return getattr(subject, name[4:])
    if name.startswith("set:"):
        setattr(subject, name[4:], args[0])
        return None
    if name not in OPERATIONS:
        return builder.evaluate(name)(*args, **named)
    slots = ["a%d" % number for number in range(len(args))]
    text = step.text("o", slots, {key: "n_" + key for key in named})
    local = dict(zip(slots, args), o=subject, **{"n_" + key: value for key, value in named.items()})
    names = dict(builder.names, **local)
    if step.statement:
        exec(_compiled(text, "exec"), names)
        holds["subject"] = names["o"]
        return None
    return eval(_compiled(text, "eval"), names)  # noqa: S307 - the sandbox is for this


_CODE: Dict[Tuple[str, str], Any] = {}


def _compiled(text: str, mode: str) -> Any:
    code = _CODE.get((text, mode))
    if code is None:
        code = _CODE[text, mode] = compile(text, "<test>", mode)
    return code
