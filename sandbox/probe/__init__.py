"""The standard-library-only programs that run inside a sandbox (Python 3.8 and later)."""
