"""Repair without a model: localisation by spectrum, edit templates, and the search over them."""
