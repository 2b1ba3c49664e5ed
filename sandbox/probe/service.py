"""From the first byte of the plan to the last message: what the entry program does with its streams."""

import importlib
import json
import os
import random
import shutil
import sys
import tempfile

from . import failures, frames, importing, supervise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Set

    Message = Dict[str, Any]
    Send = Callable[[Message], None]

_NOT_OWN = frozenset(("tests", "test", "docs", "doc", "examples", "setup", "conftest", "benchmarks", "scripts"))


def main(argv: "List[str]") -> int:
    """Read the plan, run it, and return the program's exit code."""
    out = os.dup(1)
    # Whatever prints from here on must not get between the messages.
    os.dup2(2, 1)
    if argv:
        with open(argv[0], "rb") as stream:
            plan = json.load(stream)
    else:
        plan = frames.read_message_fd(0)
    if not isinstance(plan, dict):
        return 2
    if plan.get("serve"):
        from . import warm

        return warm.serve(dict(plan, serve=False), out)
    run_plan(plan, out, [out])
    return 0


def run_plan(plan: "Message", out: int, private: "List[int]") -> "List[str]":
    """Run one plan in a process of its own and write its messages, the last of them `finished`, to `out`.

    Returns the modules from outside the repository that it loaded, where the plan asks for them.
    """
    nonce = plan.pop("nonce", "")
    plan["temp"] = tempfile.mkdtemp(prefix="greendiff-probe-")

    def emit(message: "Message") -> None:
        message["nonce"] = nonce
        frames.write_message_fd(out, message)

    run = supervise.Run(plan, emit, body, private)
    try:
        run.go()
    finally:
        shutil.rmtree(plan["temp"], ignore_errors=True)
    return run.loaded


def own_names(plan: "Message") -> "Set[str]":
    """Return the top-level names that the repository's folders provide."""
    names: "Set[str]" = set()
    for path in [*plan.get("pythonpath", ()), "."]:
        folder = os.path.join(plan["root"], path)
        for entry in os.listdir(folder) if os.path.isdir(folder) else ():
            if entry.endswith((".py", ".so")) or os.path.isfile(os.path.join(folder, entry, "__init__.py")):
                names.add(entry.partition(".")[0])
    return names - _NOT_OWN


def load_runner() -> None:
    """Load what every run of pytest loads, if pytest is there."""
    try:
        import _pytest.config
    except ImportError:
        return
    for name in (*_pytest.config.default_plugins, "assertion.rewrite", "assertion.util"):
        importlib.import_module("_pytest." + name)
    # Loaded by pytest when it has its configuration.
    for name in ("pdb", "faulthandler"):
        importlib.import_module(name)
    for name in ("pytest_probe", "pytest_controls"):
        importlib.import_module(__name__.rpartition(".")[0] + "." + name)


def _stands_in_the_way(names: "Set[str]") -> bool:
    """Say whether one of the names is also that of a module of the standard library."""
    known = getattr(sys, "stdlib_module_names", None)
    if known is None:
        folder = os.path.dirname(os.__file__)
        known = {name.partition(".")[0] for name in os.listdir(folder)} | set(sys.builtin_module_names)
    return not names.isdisjoint(known)


def body(plan: "Message", send: "Send") -> int:
    """Make this process one in which the repository's tests run, and run them; returns the runner's exit code."""
    root = plan["root"]
    os.chdir(root)
    seed = plan.get("seed")
    random.seed(seed)
    os.environ.update(plan.get("env", {}))
    paths = [os.path.normpath(os.path.join(root, path)) for path in plan.get("pythonpath", ())]
    if paths:
        inherited = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join(paths + ([inherited] if inherited else []))
    if plan.get("kind") != "unittest" and _stands_in_the_way(own_names(plan)):
        # Pytest gets the standard library's, as it does where `pytest` is called by its name. In all other cases the
        # repository comes first: it may be a package that pytest itself uses.
        load_runner()
    sys.path[:0] = paths
    places = failures.Places(root)
    overlay = {path: source.encode("latin-1") for path, source in plan.get("overlay", {}).items()}
    importing.install(root, places.relative, overlay)
    if not plan.get("autoload", True):
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    environment = dict(os.environ)
    if plan.get("kind") == "unittest":
        from . import unittest_probe

        code = unittest_probe.run(plan, send)
    else:
        try:
            from . import pytest_probe
        except ImportError as error:
            send({"t": "problem", "kind": "no-runner", "text": str(error)})
            return 3
        code = pytest_probe.run(plan, send)
    if plan.get("learn"):
        from . import warm

        changed = {name for name in set(environment) | set(os.environ) if environment.get(name) != os.environ.get(name)}
        # Whoever sets variables before a package is loaded wants the package to see them.
        send({"t": "loaded", "modules": warm.loaded() if changed <= {"PYTEST_VERSION"} else []})
    return code
