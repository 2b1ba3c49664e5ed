"""Small faults put into code on purpose, to see whether the tests notice them."""
