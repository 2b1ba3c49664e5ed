"""Writes tests for code as it is: what to test, what was observed, which tests earn their place, what is suspicious."""
