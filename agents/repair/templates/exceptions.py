"""Exceptions of the wrong type, raised or caught."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from agents.repair.templates.site import Proposal, Site, Template

_EXCEPTIONS = (
    "ValueError", "TypeError", "KeyError", "IndexError", "AttributeError", "ZeroDivisionError", "OSError",
    "StopIteration", "LookupError", "RuntimeError", "FileNotFoundError", "NotImplementedError", "Exception",
    "UnicodeDecodeError", "ArithmeticError", "OverflowError", "ImportError", "NameError", "AssertionError",
    "PermissionError",
)  # fmt: skip
_NEAR = {
    "KeyError": ("IndexError", "LookupError", "AttributeError"),
    "IndexError": ("KeyError", "LookupError"),
    "ValueError": ("TypeError", "KeyError", "ZeroDivisionError"),
    "TypeError": ("ValueError", "AttributeError"),
    "AttributeError": ("TypeError", "KeyError"),
    "ZeroDivisionError": ("ValueError", "ArithmeticError"),
    "OSError": ("FileNotFoundError", "PermissionError"),
    "RuntimeError": ("ValueError", "NotImplementedError"),
    "UnicodeDecodeError": ("UnicodeEncodeError", "UnicodeError"),
    "UnicodeEncodeError": ("UnicodeDecodeError", "UnicodeError"),
    "StopIteration": ("GeneratorExit", "RuntimeError"),
    "FileNotFoundError": ("OSError", "KeyError"),
}


def _alternatives(site: Site, name: str) -> list[str]:
    raised = {f.rpartition(".")[2] for f in site.hints.raised}
    own = [c for c in site.module.classes if c.endswith(("Error", "Exception", "Warning"))]
    imported = [n for n in site.module.imports if n.endswith(("Error", "Exception"))]
    ranked = [*sorted(site.hints.awaited), *sorted(raised), *_NEAR.get(name, ()), *own, *imported, *_EXCEPTIONS]
    known = {*_EXCEPTIONS, *own, *imported, *site.available}
    return [n for n in dict.fromkeys(ranked) if n != name and n in known][:12]


def raised(site: Site) -> Iterator[Proposal]:
    """Raise another exception."""
    node = site.statement
    if not isinstance(node, ast.Raise) or node.exc is None:
        return
    target = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    if isinstance(target, ast.Name):
        for index, name in enumerate(_alternatives(site, target.id)):
            yield site.swap(
                target, name, "exception.raised", -0.2 * index + (1.0 if name in site.hints.awaited else 0.0)
            )


def caught(site: Site) -> Iterator[Proposal]:
    """Catch another exception, one more, or a wider one; re-raise; leave a handler out."""
    node = site.statement
    if not isinstance(node, ast.Try):
        return
    for handler in node.handlers:
        if handler.type is None:
            continue
        names = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        texts = [site.file.segment(n) for n in names]
        start, end = site.file.span(handler.type)
        for position, one in enumerate(texts):
            for index, other in enumerate(_alternatives(site, one)):
                hinted = 1.0 if other in {f.rpartition(".")[2] for f in site.hints.raised} else 0.0
                if other in texts:
                    continue
                swapped = [*texts[:position], other, *texts[position + 1 :]]
                written = swapped[0] if len(swapped) == 1 else f"({', '.join(swapped)})"
                yield Proposal(((start, end, written),), "exception.caught", hinted - 0.2 * index)
                if position == len(texts) - 1:
                    wider = f"({', '.join((*texts, other))})"
                    yield Proposal(((start, end, wider),), "exception.widened", hinted - 0.2 * index)
        if len(texts) > 1:
            for position in range(len(texts)):
                rest = texts[:position] + texts[position + 1 :]
                written = rest[0] if len(rest) == 1 else f"({', '.join(rest)})"
                yield Proposal(((start, end, written),), "exception.narrowed")


TEMPLATES = (
    Template("raised", ("exception.raised",), raised),
    Template("caught", ("exception.caught", "exception.widened", "exception.narrowed"), caught),
)
