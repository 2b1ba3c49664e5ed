"""A credential in memory that cannot be shown, stored or copied by accident."""

from __future__ import annotations

from typing import NoReturn


class Secret:
    """Holds a text that only `reveal` gives away; it is neither printed nor pickled."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Hold `text`."""
        self._text = text

    def reveal(self) -> str:
        """Return the text; for the request or the program that needs it, and for nothing else."""
        return self._text

    def __bool__(self) -> bool:
        """Return whether there is one."""
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        """Return whether both hold the same."""
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        """Return a hash that equal secrets share, in this process only."""
        return hash(("secret", self._text))

    def __repr__(self) -> str:
        """Return that there is something, not what."""
        return "<secret>"

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        """Raise: a credential is never written down."""
        raise TypeError("a credential is not pickled")
