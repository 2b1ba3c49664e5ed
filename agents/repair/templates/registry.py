"""Every template that the search uses."""

from __future__ import annotations

from agents.repair.templates import (
    blocks,
    calls,
    combined,
    conditions,
    constants,
    copies,
    definitions,
    displays,
    elements,
    everywhere,
    exceptions,
    forgotten,
    forms,
    guards,
    insertions,
    loops,
    operators,
    results,
    slices,
    statements,
    strings,
    variables,
    wrapping,
)
from agents.repair.templates.site import Template

_FAMILIES = (
    operators, constants, strings, variables, conditions, guards, calls, wrapping, slices, combined, displays,
    everywhere, statements, results, insertions, copies, definitions, exceptions, elements, forms, blocks,
    loops, forgotten,
)  # fmt: skip

TEMPLATES: tuple[Template, ...] = tuple(template for family in _FAMILIES for template in family.TEMPLATES)
