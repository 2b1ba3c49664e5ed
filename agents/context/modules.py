"""Which file of the tree an import means."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping

_SCRIPT_ENDS = ("", ".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".mts", ".cts", ".d.ts", "/index.ts", "/index.tsx",
                "/index.js", "/index.jsx")  # fmt: skip
_MOST = 8
"""Files that one import may mean; where there are more, it says nothing."""


class Modules:
    """Resolves imports within one tree, without running anything or knowing its import path."""

    def __init__(self, languages: Mapping[str, str]) -> None:
        """Take path → language of every file that was read."""
        self._languages = languages
        self._by_tail: dict[str, list[str]] = {}
        self._folders: dict[str, list[str]] = {}
        for path, language in languages.items():
            if language == "python":
                self._note(path.rpartition(".")[0].removesuffix("/__init__"), path)
            elif language == "java":
                self._note(path.rpartition(".")[0], path)
            elif language == "go":
                self._folders.setdefault(posixpath.dirname(path).rpartition("/")[2], []).append(path)

    def _note(self, stem: str, path: str) -> None:
        self._by_tail.setdefault(stem.rpartition("/")[2], []).append(path)

    def resolve(self, path: str, names: Iterable[str]) -> tuple[str, ...]:
        """Return the files that the imports of the file `path` mean, in order, without itself."""
        language = self._languages.get(path, "")
        found: dict[str, None] = {}
        for name in names:
            if language == "python":
                meant = self._python(path, name)
            elif language in {"javascript", "typescript", "tsx"}:
                meant = self._script(path, name)
            elif language == "java":
                parts = name.removesuffix(".*").split(".")
                meant = self._tails(parts, (".java",)) or self._tails(parts[:-1], (".java",))
            elif language == "go":
                meant = self._go(name)
            elif language == "rust":
                meant = self._rust(path, name)
            else:
                meant = []
            found.update(dict.fromkeys(meant))
        found.pop(path, None)
        return tuple(found)

    def _python(self, path: str, name: str) -> list[str]:
        level = len(name) - len(name.lstrip("."))
        parts = [part for part in name.split(".") if part]
        if level:
            folder = posixpath.dirname(path)
            for _ in range(level - 1):
                folder = posixpath.dirname(folder)
            stem = posixpath.join(folder, *parts)
            return [p for p in (f"{stem}.py", f"{stem}/__init__.py", f"{stem}.pyi") if p in self._languages]
        return self._tails(parts, (".py", "/__init__.py", ".pyi"), near=path)

    def _tails(self, parts: list[str], ends: tuple[str, ...], near: str = "") -> list[str]:
        """Return the files whose paths end with the name, those nearest to the top of the tree."""
        if not parts:
            return []
        tails = tuple("/" + "/".join(parts) + end for end in ends)
        fitting = [p for p in self._by_tail.get(parts[-1], ()) if f"/{p}".endswith(tails)]
        if len(fitting) > 1:
            # Of several, those that share most of the importer's folders: vendored copies and examples have their own.
            best = max(_common(p, near) for p in fitting)
            fitting = [p for p in fitting if _common(p, near) == best]
            least = min(p.count("/") for p in fitting)
            fitting = [p for p in fitting if p.count("/") == least]
        return fitting if len(fitting) <= _MOST else []

    def _script(self, path: str, name: str) -> list[str]:
        if not name.startswith("."):
            return []
        stem = posixpath.normpath(posixpath.join(posixpath.dirname(path), name))
        stems = [stem, stem.rpartition(".")[0]] if stem.endswith((".js", ".mjs", ".jsx")) else [stem]
        return next(([s + end] for s in stems for end in _SCRIPT_ENDS if s + end in self._languages), [])

    def _go(self, name: str) -> list[str]:
        candidates = self._folders.get(name.rpartition("/")[2], [])
        return [p for p in candidates if _ends_with(name, posixpath.dirname(p)) and not p.endswith("_test.go")][:50]

    def _rust(self, path: str, name: str) -> list[str]:
        parts = [part for part in name.split("::") if part]
        folder = posixpath.dirname(path)
        inner = folder if path.endswith(("/mod.rs", "/lib.rs", "/main.rs")) else path.removesuffix(".rs")
        if parts and parts[0] == "crate":
            above = f"{folder}/"
            starts = [above[: n + 1] + "src" for n in range(len(above)) if above.startswith("src/", n + 1)]
            starts = [s for s in (*starts, "src") if s == folder or folder.startswith(f"{s}/")] or [folder]
            parts = parts[1:]
        else:
            while parts and parts[0] in {"super", "self"}:
                inner = posixpath.dirname(inner) if parts[0] == "super" else inner
                parts = parts[1:]
            starts = [inner, folder]
        for start in starts:
            for length in range(len(parts), 0, -1):
                stem = posixpath.join(start, *parts[:length])
                for candidate in (f"{stem}.rs", f"{stem}/mod.rs"):
                    if candidate in self._languages:
                        return [candidate]
        return []


def _common(one: str, other: str) -> int:
    count = 0
    for a, b in zip(one.split("/")[:-1], other.split("/")[:-1], strict=False):
        if a != b:
            break
        count += 1
    return count


def _ends_with(name: str, folder: str) -> bool:
    """Whether a Go import path ends with a folder of the tree, or with its last two parts."""
    return f"/{name}".endswith(f"/{folder}") or folder.endswith("/".join(name.split("/")[-2:]))
