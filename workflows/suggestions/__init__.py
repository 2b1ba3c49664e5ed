"""Suggestions on a pull request: what was proved, as blocks that can be committed on the lines that they change."""
