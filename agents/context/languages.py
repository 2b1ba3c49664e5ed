"""Which language a file is in, and the grammar that reads it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agents.context.grammars import Grammar

_SEARCHED = (
    "md", "rst", "txt", "adoc", "toml", "ini", "cfg", "yaml", "yml", "json", "html", "htm", "css", "scss", "sh",
    "bash", "sql", "c", "h", "cc", "cpp", "hpp", "cs", "rb", "php", "kt", "swift", "scala", "lua", "pl", "ex",
    "exs", "erl", "hs", "clj", "proto", "graphql", "tf", "gradle", "cmake", "xml",
)  # fmt: skip
_SUFFIXES = {
    "py": "python", "pyi": "python", "pyw": "python",
    "js": "javascript", "jsx": "javascript", "mjs": "javascript", "cjs": "javascript",
    "ts": "typescript", "mts": "typescript", "cts": "typescript", "tsx": "tsx",
    "go": "go", "java": "java", "rs": "rust",
    **dict.fromkeys(_SEARCHED, "text"),
}  # fmt: skip
_NAMES = {"Makefile": "text", "Dockerfile": "text", "README": "text", "CHANGES": "text", "CHANGELOG": "text",
          "NEWS": "text", "Jenkinsfile": "text"}  # fmt: skip


def language_of(path: str) -> str:
    """Return the language by the file's name: one with symbols, `text` (searched only), or "" (left out)."""
    name = path.rpartition("/")[2]
    return _SUFFIXES.get(name.rpartition(".")[2].lower(), "") if "." in name else _NAMES.get(name, "")


@lru_cache
def grammar_of(language: str) -> Grammar:
    """Return the grammar of a language other than Python and `text`.

    Raises:
        KeyError: there is none.

    """
    from agents.context.grammars import GRAMMARS

    return GRAMMARS[language]()
