"""Tests of what writes tests."""
