"""Weekly opening hours."""

from .clock import ClockError, format_minutes, parse_minutes
from .report import table
from .schedule import Schedule

__all__ = ["ClockError", "Schedule", "format_minutes", "parse_minutes", "table"]
