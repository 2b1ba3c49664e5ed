"""Test runners behind one report type."""
