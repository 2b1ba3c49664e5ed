"""The fork server: one process that has pytest and third-party packages loaded, and forks for each run."""

import functools
import gc
import importlib
import importlib.util
import os
import signal
import sys
import warnings

from . import frames, service, supervise

SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER: what a run leaves behind becomes this process' child, and can be ended."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Set

    Message = Dict[str, Any]


def serve(plan: "Message", out: int) -> int:
    """Answer one plan after the other until standard input ends.

    Only packages from outside the repository are loaded here. What the first run loaded of them is loaded before the
    next, unless the repository prepared its process for them (set variables), or loading them gives warnings, which
    the repository may have turned into errors. Nothing is loaded where the repository is a package that pytest uses.
    """
    _become_reaper()
    nonce = plan.get("nonce", "")
    own = service.own_names(plan)
    hides = plan.get("kind") != "unittest" and _in_between(functools.partial(_hides, own), True)
    if plan.get("kind") != "unittest" and not hides:
        service.load_runner()
    gc.collect()
    gc.freeze()
    frames.write_message_fd(out, {"t": "ready", "nonce": nonce})
    tried: "Set[str]" = set()
    while True:
        order = frames.read_message_fd(0)
        if order is None:
            return 0
        learned = service.run_plan(dict(plan, **order, learn=not hides), out, [out])
        _end_strays()
        fresh = [name for name in learned if name not in tried and name.partition(".")[0] not in own]
        tried.update(fresh)
        if fresh:
            for name in _in_between(functools.partial(_without_a_word, fresh), []):
                importlib.import_module(name)
            gc.collect()
            gc.freeze()


def loaded() -> "List[str]":
    """Return the modules of this process that come from the interpreter's own folders, in the order of loading."""
    paths = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    folders = tuple(os.path.realpath(path) + "/" for path in [*paths, os.path.dirname(os.__file__)])
    found: "List[str]" = []
    for name, module in list(sys.modules.items()):
        spec = getattr(module, "__spec__", None)
        origin = getattr(spec, "origin", None)
        whole = (
            isinstance(origin, str) and getattr(spec, "name", None) == name and not name.startswith("greendiff_probe")
        )
        if whole and os.path.realpath(str(origin)).startswith(folders):
            found.append(name)
    return found


def _hides(own: "Set[str]") -> bool:
    """Say whether pytest itself uses a package that the repository has its own version of."""
    if not any(importlib.util.find_spec(name) is not None for name in own):
        return False
    service.load_runner()
    return any(name in own for name in sys.modules)


def _without_a_word(names: "List[str]") -> "List[str]":
    """Return those of the modules that can be loaded and give no warning, with all their package's modules."""
    bad: "Set[str]" = set()
    good: "List[str]" = []
    for name in names:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                importlib.import_module(name)
            except BaseException:
                bad.add(name.partition(".")[0])
        if told:
            bad.add(name.partition(".")[0])
        good.append(name)
    return [name for name in good if name.partition(".")[0] not in bad]


def _in_between(question: "Callable[[], Any]", otherwise: "Any") -> "Any":
    """Answer a question in a forked process, so that nothing of what it loads stays; `otherwise` if that fails."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            null = os.open(os.devnull, os.O_RDWR)
            for fd in (0, 1, 2):
                os.dup2(null, fd)
            frames.write_message_fd(writing, question())
        finally:
            os._exit(0)
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as stream:
            answer = frames.read_message(stream)
    except frames.FrameError:
        answer = None
    supervise.kill_group(pid)
    os.waitpid(pid, 0)
    return otherwise if answer is None else answer


def _become_reaper() -> None:
    try:
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(SUBREAPER, 1, 0, 0, 0)
    except (ImportError, OSError, AttributeError):
        return


def _end_strays() -> None:
    """Kill what a run left behind, and what that leaves."""
    for _ in range(100):
        children = _children()
        if not children:
            return
        for pid in children:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except OSError:  # noqa: PERF203
                continue


def _children() -> "List[int]":
    me = os.getpid()
    try:
        with open("/proc/self/task/{}/children".format(me)) as stream:
            return [int(word) for word in stream.read().split()]
    except (OSError, ValueError):
        return []
