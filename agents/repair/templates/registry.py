"""Every template that the search uses."""

from __future__ import annotations

from agents.repair.templates import constants, operators, variables
from agents.repair.templates.site import Template

TEMPLATES: tuple[Template, ...] = (
    *operators.TEMPLATES,
    *constants.TEMPLATES,
    *variables.TEMPLATES,
)
