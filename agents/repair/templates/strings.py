"""Wrong strings: literals, patterns, and the pieces of formats."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from agents.repair.templates.idioms import opposites
from agents.repair.templates.site import Proposal, Site, Template
from agents.repair.units import FUNCTIONS


def strings(site: Site) -> Iterator[Proposal]:
    """Replace string literals by others that the module or the failing test uses, and by small variations."""
    for node in site.expressions:
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        parent = site.parent(node)
        if isinstance(parent, (ast.Expr, ast.JoinedStr)) or len(node.value) > 300:
            continue
        quote = Quote.of(site.text(node))
        if quote is None:
            continue
        for name, score in site.variables(node, "str", limit=5):
            yield site.swap(node, name, "variable.for_constant", score)
        for text, rule, score in _other_strings(site, node.value):
            if text != node.value:
                yield site.swap(node, quote.write(text), rule, score)


def _other_strings(site: Site, value: str) -> Iterator[tuple[str, str, float]]:
    seen: set[str] = set()
    for text in _aligned(site.hints.strings, value):
        seen.add(text)
        yield text, "string.expected", 0.5
    for text in site.hints.strings:
        likeness = _likeness(text, value)
        if text not in seen and likeness > 0.5:
            seen.add(text)
            yield text, "string.expected", 2.0 * (likeness - 1.0)
    for text, score in (
        ("", -0.5),
        (" ", -0.6),
        (value + " ", -1.2),
        (" " + value, -1.4),
        (value.strip(), -0.8),
        (value.lower(), -0.6),
        (value.upper(), -0.8),
        (value.capitalize(), -1.0),
        (value[:-1], -0.9),
        (value[1:], -1.0),
        (value + "\n", -1.5),
        (value.rstrip("\n"), -0.8),
        (value[::-1], -1.0),
        *(((value.lower() + value.upper(), -0.6), (value.swapcase(), -0.8)) if 0 < len(value) <= 2 else ()),
        *(
            (separator, -0.8 - 0.1 * i)
            for i, separator in enumerate(_SEPARATORS)
            if len(value) <= 2 and not value.isalnum()
        ),
        *((other, -0.2) for other in opposites(value)),
    ):
        if text not in seen:
            seen.add(text)
            yield text, "string.varied", score
    for index, (text, score) in enumerate(_patterns(value)):
        yield text, "string.pattern", score - 0.05 * index
    ranked = sorted(site.module.strings, key=lambda t: (-_likeness(t, value), -site.module.strings[t]))
    for index, text in enumerate(ranked[:14]):
        if text not in seen and len(text) <= 40:
            yield text, "string.other", -0.15 * index + (_likeness(text, value) - 0.5)


def _aligned(said: tuple[str, ...], value: str) -> Iterator[str]:
    """Give what stands in one string of the messages where the literal stands in another, all around being equal."""
    if not value.strip():
        return
    found: dict[str, None] = {}
    for one in said[:12]:
        at = one.find(value)
        if at < 0:
            continue
        head, tail = one[:at], one[at + len(value) :]
        for other in said[:12]:
            if other != one and other.startswith(head) and other.endswith(tail) and len(other) >= len(head) + len(tail):
                found[other[len(head) : len(other) - len(tail)]] = None
    yield from list(found)[:6]


_SEPARATORS = (",", ", ", ".", "-", "_", "/", ":", ";", "\n", "\t", "|", "=", "+", "*", "#")


_PATTERN_EDITS: tuple[tuple[str, str, float], ...] = (
    ("]", "]+", 0), ("]", "]*", -0.3), (")", ")?", -0.6), (")", ")*", -0.8), ("+", "*", 0),
    ("*", "+", 0), ("+?", "+", -0.5), ("*?", "*", -0.5), (".*", ".*?", 0), (".+", ".+?", 0),
    ("$", "", -0.5), ("^", "", -0.5), (r"\w", r"\S", -0.7), (r"\d", r"\w", -0.7), (r"\d", r"\d+", 0),
    (r"\w", r"\w+", 0),
    (r"\s", r"\s*", 0), (r"\s", r"\s+", 0), ("a-z", "a-zA-Z", 0), ("a-zA-Z", "a-zA-Z0-9", 0), ("A-Z", "A-Za-z", 0),
    ("0-9", "0-9.", -0.7), (".", r"\.", 0), ("?", "", -0.5), (r"\b", "", -1), ("(", "(?:", -1), ("|", "", -1.5),
)  # fmt: skip


def _patterns(value: str) -> Iterator[tuple[str, float]]:
    """Small changes of what looks like a regular expression, a format or a date pattern."""
    if re.search(r"\\[wdsbS.]|\[[^\]]+\]|\.[*+]|\(\?|^\^|\$$", value):
        for old, new, score in _PATTERN_EDITS:
            for found in list(re.finditer(re.escape(old), value))[:3]:
                yield value[: found.start()] + new + value[found.end() :], score
        if not value.startswith("^"):
            yield "^" + value, -0.5
        if not value.endswith("$"):
            yield value + "$", -0.3
        yield value + "?", -1.0
    if "%" in value:
        for old, new in (
            ("%d", "%s"),
            ("%s", "%r"),
            ("%s", "%d"),
            ("%r", "%s"),
            ("%m", "%M"),
            ("%M", "%m"),
            ("%y", "%Y"),
            ("%H", "%I"),
            ("%I", "%H"),
            ("%Y", "%y"),
        ):
            if old in value:
                yield value.replace(old, new, 1), -0.2


def _likeness(one: str, other: str) -> float:
    """Share of characters (in any order) and affixes that two strings have in common, 0 to 1; cheap."""
    if not one or not other:
        return 0.0
    longest = max(len(one), len(other))
    prefix = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    rest = min(len(one), len(other)) - prefix
    suffix = next((i for i in range(rest) if one[-1 - i] != other[-1 - i]), rest)
    return (prefix + suffix) / longest


class Quote:
    """How a string literal is written: prefix and quotes."""

    def __init__(self, prefix: str, mark: str) -> None:
        """Keep both."""
        self.prefix, self.mark = prefix, mark

    @classmethod
    def of(cls, literal: str) -> Quote | None:
        """Read them off a literal; None for implicit concatenations and what is not a plain string."""
        found = re.fullmatch(r"([rRuU]?)('''|\"\"\"|'|\")(.*)\2", literal, re.DOTALL)
        if found is None:
            return None
        mark, body = found.group(2), found.group(3)
        return cls(found.group(1), mark) if not re.search(rf"(?<!\\){mark}", body) else None

    def write(self, value: str) -> str:
        """Write a value in the same manner where that is possible."""
        mark = self.mark
        if "r" in self.prefix.lower() and mark not in value and not value.endswith("\\") and "\n" not in value:
            return f"{self.prefix}{mark}{value}{mark}"
        if self.mark in {"'", '"'}:
            body = (
                value.replace("\\", "\\\\")
                .replace(mark, "\\" + mark)
                .replace("\n", "\\n")
                .replace("\r", "\\r")
                .replace("\t", "\\t")
            )
            if body.isprintable():
                return f"{mark}{body}{mark}"
        return repr(value)


def formats(site: Site) -> Iterator[Proposal]:
    """Change the pieces of an f-string: conversion, format, the name that is shown."""
    for node in ast.walk(site.statement) if not isinstance(site.statement, (*FUNCTIONS, ast.ClassDef)) else ():
        if not isinstance(node, ast.JoinedStr) or node not in site.parents:
            continue
        try:
            start, end = site.file.span(node)
        except (IndexError, UnicodeDecodeError):
            continue
        text = site.file.text[start:end]
        for piece in re.finditer(r"(?<!\{)\{([^{}!:]+)(![rsa])?(:[^{}]*)?\}(?!\})", text):
            yield from _format_piece(site, start, piece)


def _format_piece(site: Site, start: int, piece: re.Match[str]) -> Iterator[Proposal]:
    expression, conversion, spec = piece.group(1), piece.group(2) or "", piece.group(3) or ""
    low, high = start + piece.start(), start + piece.end()
    if conversion:
        yield Proposal(((low, high, f"{{{expression}{spec}}}"),), "format.conversion")
    else:
        for index, kind in enumerate(("!r", "!s")):
            yield Proposal(((low, high, f"{{{expression}{kind}{spec}}}"),), "format.conversion", -0.8 * index)
    specs = (":.2f", ":.1f", ":,", ":02d", ":>10", ":<10", ":d", ":.0%", ":x", ":.3f", ":02", ":03d", ":04d", ":.1%")
    near = [s for s in _near_specs(spec) if s != spec]
    for index, other in enumerate(dict.fromkeys((*near, "", *specs))):
        if other != spec:
            yield Proposal(
                ((low, high, f"{{{expression}{conversion}{other}}}"),),
                "format.spec",
                (0.0 if spec else -0.5) - 0.15 * index,
            )
    if expression.isidentifier():
        for name, score in site.variables(None, limit=5):
            if name != expression:
                yield Proposal(((low, high, f"{{{name}{conversion}{spec}}}"),), "variable.read", score - 0.3)


def _near_specs(spec: str) -> Iterator[str]:
    for found in re.finditer(r"\d+", spec):
        value = int(found.group())
        for other in (value + 1, max(0, value - 1)):
            yield spec[: found.start()] + f"{other:0{len(found.group())}d}" + spec[found.end() :]
    for old, new in (
        ("<", ">"),
        (">", "<"),
        ("^", "<"),
        ("<", "^"),
        (">", "^"),
        ("f", "g"),
        ("x", "X"),
        ("d", "02d"),
        ("0", ""),
    ):
        if old in spec:
            yield spec.replace(old, new, 1)


TEMPLATES = (
    Template(
        "strings",
        ("string.expected", "string.varied", "string.pattern", "string.other", "variable.for_constant"),
        strings,
    ),
    Template("formats", ("format.conversion", "format.spec", "variable.read"), formats),
)
