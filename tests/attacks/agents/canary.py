"""Secrets that nobody may see, in the places where secrets lie, and a search for them in every form."""

from __future__ import annotations

import base64
import contextlib
import gzip
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

_MARK = "cAnArY/"
"""Holds letters of both cases and one that addresses escape, so that no two forms are alike."""

PLACES = (
    "variable", "unnamed", "key", "netrc", "credentials", "config", "ssh", "remote", "dotenv", "history",
)  # fmt: skip
"""Where one is planted: two variables of greendiff (one whose name says that it is secret), the model's key, files in
HOME, the address of the remote, a file that Git ignores, a message that was taken out of the history again."""


def canary(place: str) -> str:
    """Return the secret of one place, unlike any other text."""
    number = PLACES.index(place)
    return f"{_MARK}{place}+{0x5EC2E7 + 7919 * number:x}{number:02d}Zq"


def forms(secret: str) -> Iterator[tuple[str, bytes]]:
    """Give the ways in which somebody could carry a secret away, each with its name."""
    data = secret.encode()
    yield "as it is", data
    yield "backwards", data[::-1]
    yield "in hexadecimal", data.hex().encode()
    yield "in hexadecimal", data.hex().upper().encode()
    yield "URL-encoded", quote(secret, safe="").encode()
    yield "as escapes", "".join(f"\\x{byte:02x}" for byte in data).encode()
    yield "as numbers", ", ".join(map(str, data)).encode()
    yield "with spaces", " ".join(secret).encode()
    for shift in range(3):
        # Inside other base-64 data it can begin at each of three places; what the neighbours change is left out.
        whole = base64.b64encode(b"\0" * shift + data).rstrip(b"=")
        inner = whole[(0, 2, 3)[shift] : len(whole) - 1]
        yield "in base 64", inner
        yield "in base 64", inner.replace(b"+", b"-").replace(b"/", b"_")
        yield "in base 64, backwards", inner[::-1]
    yield "in base 32", base64.b32encode(data).rstrip(b"=")[:-1]


_FORMS = tuple((place, form, data) for place in PLACES for form, data in forms(canary(place)))


def found_in(data: bytes, places: Iterable[str] = PLACES) -> list[str]:
    """Return which secrets are in some bytes, and in what form; compressed data is searched as well."""
    wanted = frozenset(places)
    texts = [data]
    if data[:2] == b"\x1f\x8b":
        texts.append(gzip.decompress(data))
    elif data[:1] == b"\x78":
        with contextlib.suppress(zlib.error):
            texts.append(zlib.decompress(data))
    return [f"{place} {form}" for text in texts for place, form, secret in _FORMS if place in wanted and secret in text]


def found_under(folder: Path) -> list[str]:
    """Return the files below a folder that hold a secret, in their names or contents, and which."""
    found = []
    for path in sorted(folder.rglob("*")):
        held = found_in(bytes(path.relative_to(folder)))
        if path.is_file() and not path.is_symlink():
            held += found_in(path.read_bytes())
        found += [f"{path}: {one}" for one in held]
    return found
