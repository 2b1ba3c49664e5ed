"""Every template that the search uses."""

from __future__ import annotations

from agents.repair.templates import (
    calls,
    conditions,
    constants,
    copies,
    guards,
    operators,
    statements,
    variables,
    wrapping,
)
from agents.repair.templates.site import Template

TEMPLATES: tuple[Template, ...] = (
    *operators.TEMPLATES,
    *constants.TEMPLATES,
    *variables.TEMPLATES,
    *conditions.TEMPLATES,
    *guards.TEMPLATES,
    *calls.TEMPLATES,
    *wrapping.TEMPLATES,
    *statements.TEMPLATES,
    *copies.TEMPLATES,
)
