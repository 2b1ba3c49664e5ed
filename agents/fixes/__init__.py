"""Repairs asked of a model: which functions to ask about, how little to say, and what to do with the answers."""
