"""Measurements of what greendiff promises; see README.md."""
