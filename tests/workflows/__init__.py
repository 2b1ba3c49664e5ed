"""Tests of the graph, the command and what they keep."""
