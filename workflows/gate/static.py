"""The gate's conditions that need no run: what a patch touches, and what it adds."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agents.permissions import declares
from sandbox.errors import PatchError, UnsafePath
from sandbox.tree import Entry, Tree
from sandbox.workspace import apply
from workflows.findings import Finding, inspect_files, new_findings
from workflows.gate.added_reader import read_added
from workflows.gate.declaring import other_than_needs
from workflows.gate.doctests import changed_doctests
from workflows.gate.hollow import changed_functions
from workflows.gate.interface import judge_interface
from workflows.gate.perturbing import branches
from workflows.gate.special import literals_of_tests, special_cases
from workflows.gate.surface import Surface
from workflows.gate.tamper import review
from workflows.gate.tamper_reader import TestNames
from workflows.gate.upgrades import judge_environment
from workflows.verdicts import Allowances, Check, CheckName, GateCase

_SHOWN = 20
_WORD = re.compile(r"""(['"])[A-Za-z][\w.-]{0,19}\1""")
_GIT_FILES = frozenset({".gitattributes", ".gitmodules", ".gitconfig", ".mailmap", ".lfsconfig"})
_COMPILED = re.compile(r"\.(?:pyc|pyo|pyd|so|dylib|dll|exe|egg|whl|zip|pyz|jar|a|o|wasm)(?:\.\d+)*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Static:
    """The outcome of the conditions that need no run."""

    checks: tuple[Check, ...]
    after: Tree | None
    """The patched tree, None where the patch does not apply."""
    changed: tuple[str, ...]
    added_tests: tuple[str, ...]
    surface: Surface
    special: tuple[str, ...] = ()
    """Places that look as if they answered the target tests' own inputs."""
    branching: bool = False
    """Whether the patch adds ways to go on, as an answer to single inputs must."""
    products: tuple[str, ...] = ()
    """Changed paths that belong to neither tests nor added tests."""
    functions: tuple[str, ...] = ()
    """Functions of products that the patch adds or changes, as `path:name`."""

    @property
    def python(self) -> bool:
        """Whether a product file in Python changes."""
        return any(path.endswith(".py") for path in self.products)

    @property
    def beside(self) -> tuple[str, ...]:
        """Everything new that the added tests may need: they themselves and new files that belong to the tests."""
        new = (p for p in self.changed if self.after is not None and p in self.after and p not in self.surface.base)
        return tuple(p for p in new if p in self.added_tests or self.surface.test_reason(p) is not None)

    @property
    def passed(self) -> bool:
        """Whether every condition so far holds."""
        return all(check.passed for check in self.checks)


def surface_of(case: GateCase) -> Surface:
    """Return what the paths of the case's base mean."""
    return Surface(case.base, case.harness, case.baseline.reports, case.environment.versions)


def _fail(name: CheckName, problems: Iterable[str], reason: str = "") -> Check:
    lines = tuple(dict.fromkeys(problems))
    first = lines[0]
    more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
    return Check(name, False, f"{reason}{first}{more}.", lines[:_SHOWN])


def static_checks(case: GateCase) -> Static:
    """Judge everything about a patch that can be judged by reading; nothing of the repository is run.

    The list of checks ends at the first that fails.

    Raises:
        Unusable: the linter cannot be run.

    """
    surface = surface_of(case)
    try:
        after = apply(case.base, case.patch)
    except PatchError as error:
        reason = f"The patch does not apply to the base: {str(error).removeprefix('the patch does not apply: ')}."
        return Static((Check("applies", False, reason),), None, (), (), surface)
    except UnsafePath as error:
        check = Check("scope", False, f"The patch leaves the tree: {error}.")
        return Static((Check("applies", True, "Git can read the patch."), check), None, (), (), surface)
    changed = case.base.changed_paths(after)
    if not changed:
        return Static((Check("applies", False, "The patch changes nothing."),), after, (), (), surface)
    files = f"{len(changed)} file" if len(changed) == 1 else f"{len(changed)} files"
    checks = [Check("applies", True, f"The patch applies exactly to the base and changes {files}.", changed[:_SHOWN])]
    checks.append(_scope(case, after, changed))
    added: tuple[str, ...] = ()
    if checks[-1].passed:
        check, added = _tests_untouched(case, after, changed, surface)
        checks.append(check)
    product = [p for p in changed if p not in added and surface.test_reason(p) is None]
    before_files = {p: case.base[p].data for p in product if p in case.base}
    after_files = {p: after[p].data for p in product if p in after}
    special: tuple[str, ...] = ()
    if checks[-1].passed:
        checks.append(_tamper(case, surface, before_files, after_files))
    if checks[-1].passed and (added or case.added_targets or case.claim in {"adds", "tests"}):
        checks.append(_added_tests(case, surface, after, changed, added))
    if checks[-1].passed and case.environment_after is not None:
        checks.append(judge_environment(case, after))
    if checks[-1].passed and case.claim == "preserves":
        checks.append(judge_interface(case, after, product))
    if checks[-1].passed:
        checks.append(_no_new_findings(case.base, after, changed))
        special = _special(case, surface, after, before_files, after_files)
    functions = tuple(
        f"{path}:{name}" for path, data in after_files.items() if path.endswith(".py")
        for name, _, _ in changed_functions(before_files.get(path), data)
    )  # fmt: skip
    python = [{p: d for p, d in files.items() if p.endswith(".py")} for files in (before_files, after_files)]
    branching = branches(python[1]) > branches(python[0])
    return Static(tuple(checks), after, changed, added, surface, special, branching, tuple(product), functions)


def _scope(case: GateCase, after: Tree, changed: tuple[str, ...]) -> Check:
    problems = [problem for path in changed for problem in _path_problems(path, case.base.get(path), after.get(path))]
    patterns = case.allowances.paths
    if patterns:
        outside = [p for p in changed if not any(_matches(p, pattern) for pattern in patterns)]
        problems += [f"{path} is not among the paths that may change ({', '.join(patterns)})" for path in outside]
    problems += [f"{p} takes the place of a folder" for p in changed
                 if p in after and any(o.startswith(f"{p}/") for o in after)]  # fmt: skip
    if problems:
        return _fail("scope", problems, "The patch goes beyond what it may change: ")
    return Check("scope", True, "Only regular text files inside the allowed paths change.")


def _matches(path: str, pattern: str) -> bool:
    pattern = pattern.strip("/").removeprefix("./")
    return fnmatch.fnmatchcase(path, pattern) or path.startswith(f"{pattern}/")


def _path_problems(path: str, old: Entry | None, new: Entry | None) -> Iterable[str]:
    parts = path.split("/")
    lowered = [part.lower() for part in parts]
    if any(ord(c) < 32 or 0xDC80 <= ord(c) <= 0xDCFF or ord(c) == 127 for c in path) and old is None:
        yield f"{path!r} has a name with control characters or bytes that are not text"
    if old is None and any(part.startswith(("~", "-")) for part in parts):
        yield f"{path} has a name that a shell takes for a home folder or an option"
    mine = {".gitignore", ".github", ".gitlab", ".gitlab-ci.yml"}
    if any(part.startswith(".git") and part not in mine for part in lowered) or lowered[-1] in _GIT_FILES:
        yield f"{path} steers Git itself"
    if "hooks" in lowered[:-1] and any(p.startswith(".") for p in lowered):
        yield f"{path} is a hook"
    if "__pycache__" in lowered or _COMPILED.search(lowered[-1]):
        yield f"{path} is compiled code or an archive, which nobody can review"
        return
    if (old is not None and old.kind == "symlink") or (new is not None and new.kind == "symlink"):
        yield f"{path} is a symbolic link"
        return
    if old is not None and new is not None and old.executable != new.executable:
        yield f"{path} changes its mode"
    if old is None and new is not None and new.executable:
        yield f"{path} is a new executable file"
    if new is not None and b"\0" in new.data[: 1 << 20]:
        yield f"{path} is binary"


def _allowed(path: str, allowances: Allowances) -> bool:
    return any(_matches(path, pattern) for pattern in allowances.added_tests)


def _tests_untouched(
    case: GateCase, after: Tree, changed: tuple[str, ...], surface: Surface
) -> tuple[Check, tuple[str, ...]]:
    problems, added = [], []
    allowances = case.allowances
    for path in changed:
        tests, configures = surface.test_reason(path), surface.configuration_reason(path)
        if tests is not None:
            new = path not in case.base
            if new and surface.adds_plain_test(path) and (allowances.tests or _allowed(path, allowances)):
                added.append(path)
            elif not allowances.tests:
                problems.append(f"{path} {tests}" + (", and it is new" if new else ""))
        elif configures is not None and not allowances.configuration:
            if allowances.declarations and declares(path):
                was, now = (tree[path].data if path in tree else None for tree in (case.base, after))
                configures = other_than_needs(path, was, now, allowances.upgrades)
            if configures is not None:
                problems.append(f"{path} {configures}")
        if tests is None and path not in case.base:
            shadows = surface.shadow_reason(path)
            if shadows:
                problems.append(f"{path} {shadows}")
        if path in surface.doctest_files and not allowances.tests:
            old, new_entry = case.base.get(path), after.get(path)
            problems += changed_doctests(path, old.data if old else b"", new_entry.data if new_entry else b"")
    if problems:
        return _fail("tests-untouched", problems, "The patch touches what it is judged by: "), tuple(added)
    tail = f"; added test files, reported apart: {', '.join(added)}" if added else ""
    what = "Tests, test data, configuration and CI are as they were"
    if allowances.tests or allowances.configuration or allowances.declarations:
        what = "Only those tests and settings change that the request allows to"
    return Check("tests-untouched", True, f"{what}{tail}."), tuple(added)


def _names_of_tests(case: GateCase, surface: Surface) -> TestNames:
    own = frozenset(
        part.removesuffix(".py")
        for path in case.base
        if path.endswith(".py") and surface.test_reason(path) is None
        for root in surface.roots
        for part in [(path[len(root) + 1 :] if root and path.startswith(f"{root}/") else path).split("/")[0]]
    )
    return TestNames(surface.test_files, surface.test_modules(), own)


def _added_tests(
    case: GateCase, surface: Surface, after: Tree, changed: tuple[str, ...], added: tuple[str, ...]
) -> Check:
    """Judge that the test files that a patch adds hold tests and nothing that steers how tests are run."""
    names = _names_of_tests(case, surface)
    problems: list[str] = []
    flags: list[str] = []
    new = [p for p in changed if p in after and p not in case.base and surface.test_reason(p) is not None]
    if case.claim == "tests":
        problems = [f"{path} is no new test file" for path in changed if path not in added]
    elif case.added_targets or case.claim == "adds":
        problems = [
            f"{path} is new beside the added tests, and it holds no tests but code that runs with them"
            for path in new if path not in added and path.endswith((".py", ".pyi", ".pth"))
            and (surface.is_conftest(path) or after[path].data.strip())
        ]  # fmt: skip
    others = [p for p in changed if p not in added and p not in new]
    for path in added:
        refused, flagged = read_added(path, after[path].data, names, others)
        problems += map(str, refused)
        flags += map(str, flagged)
    if problems:
        return _fail("added-tests", problems, "The added test files do more than test: ")
    if flags:
        reason = f"The added test files hold only tests, but a person should look: {flags[0]}."
        return Check("added-tests", True, reason, tuple(flags[:_SHOWN]), flagged=True)
    return Check("added-tests", True, "The added test files hold only tests.", added[:_SHOWN])


def _tamper(case: GateCase, surface: Surface, before: Mapping[str, bytes], after: Mapping[str, bytes]) -> Check:
    names = _names_of_tests(case, surface)
    python = (".py", ".pyi", ".pyx", ".pyw")
    refused, flagged = review(
        {p: d for p, d in before.items() if p.endswith(python)},
        {p: d for p, d in after.items() if p.endswith(python)},
        names,
    )
    if refused:
        return _fail("tamper", map(str, refused), "The patch adds code that could talk the tests round: ")
    if flagged:
        reason = f"Nothing reaches for the tests' machinery, but a person should look: {flagged[0]}."
        return Check("tamper", True, reason, tuple(map(str, flagged[:_SHOWN])), flagged=True)
    return Check("tamper", True, "Nothing that the patch adds reaches for the tests or their machinery.")


def _no_new_findings(base: Tree, after: Tree, changed: tuple[str, ...]) -> Check:
    before = inspect_files({p: base[p].data for p in changed if p in base})
    fresh = new_findings(before, inspect_files({p: after[p].data for p in changed if p in after}))
    found = [finding for finding in fresh if not (finding.rule == "F401" and _passed_on(finding, after))]
    if found:
        return _fail("no-new-findings", map(str, found), "The changed files have new findings: ")
    return Check(
        "no-new-findings", True, "The changed files have no new findings of syntax, lint, security or secrets."
    )


def _passed_on(finding: Finding, after: Tree) -> bool:
    """Return whether what looks like an unused import is there for other modules to take."""
    name = finding.path.rpartition("/")[2]
    if name == "__init__.py":
        return True
    imported = re.search(r"`(?:[^`]*[. ])?(\w+)`", finding.message)
    taken = rf"\*|[^#\n]*\b{imported[1]}\b" if imported else r"\*"
    importing = re.compile(rf"from\s+[\w.]*\b{re.escape(name.removesuffix('.py'))}\s+import\s+\(?\s*(?:{taken})")
    near = (entry.data for path, entry in after.items() if path.endswith(".py") and path != finding.path)
    return any(importing.search(data.decode("utf-8", "replace")) for data in near)


def _special(
    case: GateCase, surface: Surface, tree: Tree, before: Mapping[str, bytes], after: Mapping[str, bytes]
) -> tuple[str, ...]:
    by_file: dict[str, list[str]] = {}
    for target in (*case.baseline.targets, *case.added_targets):
        path, name = surface.place_of(target.node_id, tree)
        if path is not None:
            by_file.setdefault(path, []).append(name)
    literals: frozenset[str] = frozenset()
    for path, names in by_file.items():
        literals |= literals_of_tests((case.base.get(path) or tree[path]).data, names)
    if not case.baseline.targets:
        # A feature is told its own words by its tests: options, units, keys. Numbers and sentences are no words.
        literals = frozenset(text for text in literals if not _WORD.fullmatch(text))
    python = (".py", ".pyw")
    found = special_cases(
        {p: d for p, d in before.items() if p.endswith(python)},
        {p: d for p, d in after.items() if p.endswith(python)},
        literals,
    )
    return tuple(map(str, found))
