"""Kinds of small repairs, one module for each family."""
