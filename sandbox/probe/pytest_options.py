"""Arguments for pytest: the repository's own configuration, made fit for a run by a machine."""

import os
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    Plan = Dict[str, Any]

# Files that may configure pytest, and what shows that they do (None: being there is enough).
_CONFIGURATIONS = (
    ("pytest.toml", None),
    (".pytest.toml", None),
    ("pytest.ini", None),
    (".pytest.ini", None),
    ("pyproject.toml", re.compile(rb"^\s*\[\s*tool\s*\.\s*pytest\b", re.MULTILINE)),
    ("tox.ini", re.compile(rb"^\[pytest\]", re.MULTILINE)),
    ("setup.cfg", re.compile(rb"^\[tool:pytest\]", re.MULTILINE)),
)

# Options of plugins that take a value as the next argument.
_TAKE_VALUE = re.compile(
    r"""-n|--(numprocesses|maxprocesses|max-worker-restart|dist|tx|cov|cov-report|cov-config|cov-fail-under|cov-context
    |timeout|timeout-method|asyncio-mode|reruns|reruns-delay|only-rerun|ds|dc|html|css|report-log|json-report-file
    |count|repeat-scope|randomly-seed|random-order-seed|random-order-bucket|benchmark-[a-z-]+|hypothesis-[a-z]+
    |mypy-ini-file|mypy-config-file|pylint-rcfile|pylint-jobs|flake8-max-line-length|splits|group|durations-path
    |alluredir|mpl-[a-z]+-path|snapshot-dirname|inline-snapshot|doctest-plus-[ar]tol|remote-data|open-files)""",
    re.VERBOSE,
)

# Options that wait for a person, or that keep tests from being run.
_UNWANTED = frozenset(("--pdb", "--trace", "--collect-only", "--co", "--setup-plan", "--setup-only"))


def arguments(plan: "Plan", paths: "List[str]", installed: "Any") -> "List[str]":
    """Return the arguments for `pytest.main`; `installed` says whether a module can be imported.

    What the repository configures stays in force, except what stops a run early, spreads it over processes, or
    shuffles it.
    """
    root = plan["root"]
    found = [
        "--rootdir=" + root,
        "-o",
        "cache_dir=" + os.path.join(plan["temp"], "cache"),
        "--maxfail=0",
        "--continue-on-collection-errors",
        "--tb=native",
        "--color=no",
    ]
    configuration = _configuration(root, [str(path) for path in plan.get("paths", ())])
    if configuration is None:
        configuration = os.path.join(plan["temp"], "pytest.ini")
        with open(configuration, "w") as stream:
            stream.write("[pytest]\n")
        found.append("--confcutdir=" + root)
    # Always named: else it would depend on which tests are asked for, or lie in a folder above the work tree.
    found += ["-c", configuration]
    if plan.get("autoload", True):
        if installed("xdist"):
            found += ["-n0", "--dist=no"]
        if installed("pytest_cov"):
            found.append("--no-cov")
        if installed("pytest_randomly"):
            found += ["--randomly-seed={}".format(plan.get("seed") or 0), "--randomly-dont-reorganize"]
    for plugin in plan.get("plugins", ()):
        found += ["-p", plugin]
    for path in plan.get("ignore", ()):
        found.append("--ignore=" + os.path.join(root, path))
    return found + list(plan.get("options", ())) + paths


def _configuration(root: str, paths: "List[str]") -> "Optional[str]":
    """Return the file that configures a run of `paths`: in what they have in common, or above, up to the root."""
    whole = [os.path.normpath(os.path.join(root, path)) for path in paths] or [root]
    folder = os.path.commonpath(whole)
    while folder == root or folder.startswith(root + "/"):
        for name, sign in _CONFIGURATIONS:
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                with open(path, "rb") as stream:
                    if sign is None or sign.search(stream.read(1 << 20)):
                        return path
        folder = os.path.dirname(folder)
    return None


def neutralise(config: "Any", args: "List[str]", parser: "Any", root: str) -> "List[str]":
    """Take options out of `args` that no installed plugin knows, and make unknown configuration keys known.

    Called when all plugins and the first conftest files are loaded, before the arguments are parsed for good. Returns
    what was taken out.
    """
    known = getattr(parser, "_inidict", {})
    for key in list(getattr(config, "inicfg", None) or {}):
        if key not in known:
            parser.addini(key, "of a plugin that is not installed")
    try:
        unknown = set(parser.parse_known_and_unknown_args(list(args))[1])
    except Exception:
        # The real parser will say what is wrong.
        return []
    kept: "List[str]" = []
    removed: "List[str]" = []
    at = 0
    while at < len(args):
        token = args[at]
        at += 1
        if token in _UNWANTED:
            removed.append(token)
        elif token.startswith("-") and token in unknown:
            removed.append(token)
            if at < len(args) and not args[at].startswith("-") and _is_value(token, args[at], root):
                removed.append(args[at])
                at += 1
        else:
            kept.append(token)
    args[:] = kept
    return removed


def _is_value(option: str, following: str, root: str) -> bool:
    if "=" in option:
        return False
    return _TAKE_VALUE.fullmatch(option) is not None or not os.path.exists(
        os.path.join(root, following.split("::", 1)[0])
    )
