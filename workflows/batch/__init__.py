"""Many tasks from one file: each once, whatever is killed in between."""
