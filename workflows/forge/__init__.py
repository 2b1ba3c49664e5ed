"""Forges: where issues come from and where pull requests, comments and suggestions go."""
