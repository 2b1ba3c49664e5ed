"""Source text without strings and comments, its identifiers, and identifiers split into words."""

from __future__ import annotations

import re

_PYTHON = re.compile(
    r"""(?P<keep>\b[fF][rR]?(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'))"""
    r"""|\"{3}(?:[^"\\]|\\.|"(?!""))*(?:\"{3}|\Z)|'{3}(?:[^'\\]|\\.|'(?!''))*(?:'{3}|\Z)"""
    r"""|"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?|\#[^\n]*""",
    re.DOTALL,
)
_BRACES = re.compile(
    r"""/\*.*?(?:\*/|\Z)|//[^\n]*|"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)'|`(?P<keep>(?:[^`\\]|\\.)*)`?""", re.DOTALL
)
_QUOTED_BRACES = re.compile(_BRACES.pattern.replace(r"'(?:[^'\\\n]|\\.)'", r"'(?:[^'\\\n]|\\.)*'?"), re.DOTALL)
_FIELD = re.compile(r"\{([^{}\n]*)\}")
_IDENTIFIER = re.compile(r"[^\W\d]\w*")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[A-Za-z])(?=[0-9])|_+")
_CAMEL = re.compile(r"([a-z0-9])([A-Z])|([A-Z])([A-Z][a-z])")
_WORD = re.compile(r"[^\W_]+")
SINGLE_QUOTED = frozenset({"javascript", "typescript", "tsx"})
"""Languages, besides Python, in which `'` begins a string of any length."""


def _blank(found: re.Match[str]) -> str:
    """Return what takes a string's or comment's place: its line breaks, and the fields of an interpolated one."""
    text = found[0]
    breaks = "\n" * text.count("\n")
    kept = found["keep"]
    if kept is None:
        return breaks or " "
    if "\n" in text:
        return breaks
    return " " + " ".join(_FIELD.findall(kept)) + " "


def code_of(text: str, language: str) -> str:
    """Return the text with strings and comments blanked out; the lines keep their numbers."""
    if language == "python":
        return _PYTHON.sub(_blank, text)
    return (_QUOTED_BRACES if language in SINGLE_QUOTED else _BRACES).sub(_blank, text)


def uses(code: str, reserved: frozenset[str]) -> dict[str, list[int]]:
    """Return identifier → the lines that hold it, for text without strings and comments."""
    found: dict[str, list[int]] = {}
    for number, line in enumerate(code.split("\n"), 1):
        for name in dict.fromkeys(_IDENTIFIER.findall(line)):
            known = found.get(name)
            if known is None:
                if name not in reserved:
                    found[name] = [number]
            else:
                known.append(number)
    return found


def searchable(text: str) -> str:
    """Return the text with the humps of its identifiers apart; the search's tokenizer splits the rest."""
    return _CAMEL.sub(r"\1\3 \2\4", text)


def words(text: str) -> list[str]:
    """Return the words of a text in order, identifiers split, in lower case, single letters left out."""
    return [word.lower() for word in _WORD.findall(searchable(text)) if len(word) > 1]


def name_words(name: str) -> list[str]:
    """Return the words of one identifier, in lower case: `parseHTTPHeader_v2` is parse, http, header, v, 2."""
    return [word.lower() for word in _HUMP.split(name) if word]


def identifiers(text: str) -> list[str]:
    """Return the identifiers of any text, in order."""
    return _IDENTIFIER.findall(text)
