"""Errors of the agents package.

AgentError
└── EditError       an edit that cannot be applied exactly where it says
"""

from __future__ import annotations


class AgentError(Exception):
    """Root of all errors raised by this package; the message is one sentence fit for a person."""


class EditError(AgentError):
    """An edit is outside the file, overlaps another, or does not match what it says it replaces."""
