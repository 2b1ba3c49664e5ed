"""The repository as agents see it: symbols, references, imports, search, outline, history."""
