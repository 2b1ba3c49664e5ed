"""What was raised, as data: type name, message without what differs from run to run, frames inside the repository."""

import os
import re
import sys

MESSAGE_LIMIT = 2000
"""Characters kept of a message: its beginning and its end."""
FIRST_FRAMES, LAST_FRAMES = 15, 35
"""How many frames are kept at the two ends of a traceback."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Dict, List, Optional, Tuple

_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{4,}\b|(?<=[@#] )\d{12,}\b")
_PYTEST_TEMPORARY = re.compile(r"[^\s'\"=(\[]*/pytest-of-[^/\s]+/pytest-\d+")
_TEMPORARY = re.compile(r"(?<![\w.])/(?:var/)?tmp/[\w.-]*(?:tmp|temp)[\w.-]*")
_TOOK = re.compile(r"\b(in|after|took|for) \d+(?:\.\d+)?(?:e-?\d+)? ?(ns|us|µs|ms|s|sec|secs|seconds?)\b")
_ELSEWHERE = re.compile(r"[/\\](?:site-packages|dist-packages|\.tox|\.nox|\.venv|venv|\.eggs)[/\\]")


class Places:
    """Says which files belong to the repository, and how they are called there."""

    def __init__(self, root: str) -> None:
        """Take the absolute path of the work tree."""
        self.root = root.rstrip("/") or "/"
        self._prefixes = {self.root + "/", os.path.realpath(self.root) + "/"}
        self._known: "Dict[str, Optional[str]]" = {}

    def relative(self, filename: str) -> "Optional[str]":
        """Return the path inside the repository, None for files that are not the repository's own."""
        try:
            return self._known[filename]
        except KeyError:
            found = self._known[filename] = self._relative(filename)
            return found

    def _relative(self, filename: str) -> "Optional[str]":
        if filename[:1] == "<" or not filename:
            return None
        if filename[:1] != "/":
            filename = self.root + "/" + filename
        if "/../" in filename or "/./" in filename or "//" in filename:
            filename = _normal(filename)
        for prefix in self._prefixes:
            if filename.startswith(prefix):
                inside = filename[len(prefix) :]
                return None if _ELSEWHERE.search("/" + inside) else inside
        return None


def _normal(path: str) -> str:
    parts: "List[str]" = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def type_name(kind: type) -> str:
    """Return the qualified name of an exception type, without the module for built-in ones."""
    module = str(getattr(kind, "__module__", "") or "")
    name = str(getattr(kind, "__qualname__", "") or getattr(kind, "__name__", "?"))
    return name if module in ("", "builtins") else module + "." + name


def trimmed(message: str, places: Places) -> str:
    """Return the message without addresses, temporary paths and durations, bounded, in valid Unicode."""
    if len(message) > 8 * MESSAGE_LIMIT:
        message = message[: 4 * MESSAGE_LIMIT] + message[-4 * MESSAGE_LIMIT :]
    message = _PYTEST_TEMPORARY.sub("<tmp>", message)
    for prefix in sorted(places._prefixes, key=len, reverse=True):  # noqa: SLF001
        message = message.replace(prefix, "")
    message = _ADDRESS.sub("0x…", message)
    message = _TEMPORARY.sub("<tmp>", message)
    message = _TOOK.sub(r"\1 … \2", message)
    message = message.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\0").strip("\n")
    if len(message) > MESSAGE_LIMIT:
        half = MESSAGE_LIMIT // 2
        message = message[:half] + "\n…\n" + message[-half:]
    return message


def text_of(error: BaseException) -> str:
    """Return `str(error)`, with what a group holds; whatever `__str__` itself raises is named instead."""
    try:
        text = str(error)
    except BaseException as problem:
        text = "<{} in __str__>".format(type_name(type(problem)))
    notes = getattr(error, "__notes__", None)
    if isinstance(notes, list):
        text = "\n".join([text] + [note for note in notes if isinstance(note, str)])
    members = getattr(error, "exceptions", None)
    if isinstance(members, tuple):
        for member in members[:10]:
            if isinstance(member, BaseException):
                text += "\n{}: {}".format(type_name(type(member)), text_of(member))
    return text


def frames_of(error: BaseException, places: Places) -> "List[Tuple[str, int, str]]":
    """Return (path, line, function) of the repository's frames, outermost first, followed by those of its causes."""
    found: "List[Tuple[str, int, str]]" = []
    seen: "List[BaseException]" = []
    current: "Optional[BaseException]" = error
    while current is not None and len(seen) < 8 and not any(current is one for one in seen):
        seen.append(current)
        found += [frame for frame in _walk(current.__traceback__, places) if frame not in found]
        if isinstance(current, SyntaxError) and current.filename and current.lineno:
            path = places.relative(str(current.filename))
            if path is not None:
                found.append((path, int(current.lineno), "<module>"))
        members = getattr(current, "exceptions", None)
        if isinstance(members, tuple) and members and isinstance(members[0], BaseException):
            current = members[0]
        else:
            current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return found if len(found) <= FIRST_FRAMES + LAST_FRAMES else found[:FIRST_FRAMES] + found[-LAST_FRAMES:]


def _walk(trace: "Optional[TracebackType]", places: Places) -> "List[Tuple[str, int, str]]":
    first: "List[Tuple[str, int, str]]" = []
    last: "List[Tuple[str, int, str]]" = []
    while trace is not None:
        code = trace.tb_frame.f_code
        path = places.relative(code.co_filename)
        if path is not None and trace.tb_lineno is not None:
            frame = (path, trace.tb_lineno, str(getattr(code, "co_qualname", code.co_name)))
            if len(first) < FIRST_FRAMES:
                first.append(frame)
            else:
                last.append(frame)
                # A recursion without end has thousands; only both ends tell something.
                del last[:-LAST_FRAMES]
        trace = trace.tb_next
    return first + last


def described(error: BaseException, places: Places) -> "Dict[str, Any]":
    """Return `exception`, `message` and `frames` for a message to the host."""
    doctest = _doctest(error, places)
    if doctest is not None:
        return doctest
    return {
        "exception": type_name(type(error)),
        "message": trimmed(text_of(error), places),
        "frames": frames_of(error, places),
    }


def _doctest(error: BaseException, places: Places) -> "Optional[Dict[str, Any]]":
    """Do as `described` for the exceptions of doctest, which keep what matters to themselves."""
    members = getattr(error, "failures", None)
    if type(error).__name__ == "MultipleDoctestFailures" and isinstance(members, list) and members:
        return _doctest(members[0], places)
    kind = type_name(type(error))
    if kind not in ("doctest.DocTestFailure", "doctest.UnexpectedException"):
        return None
    test, example = error.test, error.example  # type: ignore[attr-defined]
    path = places.relative(str(test.filename))
    here = [] if path is None or test.lineno is None else [(path, test.lineno + example.lineno + 1, str(test.name))]
    if kind == "doctest.UnexpectedException":
        inner = error.exc_info[1]  # type: ignore[attr-defined]
        frames = here + [frame for frame in frames_of(inner, places) if frame not in here]
        return {"exception": type_name(type(inner)), "message": trimmed(text_of(inner), places), "frames": frames}
    words = "{}Expected:\n{}Got:\n{}".format(example.source, example.want, error.got)  # type: ignore[attr-defined]
    return {"exception": kind, "message": trimmed(words, places), "frames": here}


def missing_module(error: "Optional[BaseException]", places: Places) -> "Optional[str]":
    """Return the name of the module, none of the repository's, whose absence caused `error`; None for other causes."""
    depth = 0
    while error is not None and depth < 8:
        if isinstance(error, ModuleNotFoundError) and error.name:
            top = str(error.name).partition(".")[0]
            for folder in [places.root, *sys.path]:
                path = os.path.join(folder or places.root, top)
                if places.relative(path) is not None and (os.path.isdir(path) or os.path.isfile(path + ".py")):
                    return None
            return str(error.name)
        error, depth = error.__cause__ or error.__context__, depth + 1
    return None
