"""Whether the environment that a patched tree is judged in is the one that its own files declare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from sandbox.environments import detect_environment
from sandbox.protocol import Environment, EnvironmentDefinition
from sandbox.tree import Tree
from workflows.verdicts import Check, GateCase

_SHOWN = 20
_RUNNERS = frozenset({"pytest", "pluggy", "iniconfig", "coverage", "unittest2", "nose", "hypothesis"})


def judge_environment(case: GateCase, after: Tree) -> Check:
    """Judge an upgrade: only what the request names is declared anew, and what is installed is what is declared."""
    assert case.environment_after is not None  # noqa: S101 - the caller has looked
    old, new = detect_environment(case.base), detect_environment(after)
    changed = sorted(_changed(_declared(old), _declared(new)))
    problems = list(_problems(case, new, changed))
    if problems:
        reason = f"The patched tree is not judged in what it declares: {problems[0]}."
        return Check("environment", False, reason, tuple(problems[:_SHOWN]))
    versions = _versions(case.environment), _versions(case.environment_after)
    moved = tuple(
        f"{name}: {versions[0].get(name, 'none')} to {versions[1].get(name, 'none')}"
        for name in sorted(versions[0].keys() | versions[1].keys()) if versions[0].get(name) != versions[1].get(name)
    )  # fmt: skip
    told = f"{', '.join(changed)} declared anew; installed: {', '.join(moved[:5]) or 'the same versions'}"
    runners = [line for line in moved if line.split(":")[0] in _RUNNERS and line.split(":")[0] not in changed]
    if runners:
        reason = f"A person should look: what runs the tests changed too ({runners[0]}); {told}."
        return Check("environment", True, reason, moved[:_SHOWN], flagged=True)
    if not case.allowances.upgrades:
        return Check("environment", True, f"A person should look which versions change: {told}.", moved[:_SHOWN], True)
    return Check("environment", True, f"The patched tree ran in what it declares: {told}.", moved[:_SHOWN])


def _problems(case: GateCase, new: EnvironmentDefinition, changed: list[str]) -> Iterator[str]:
    after = case.environment_after
    assert after is not None  # noqa: S101 - the caller has looked
    if not (case.allowances.configuration or case.allowances.declarations):
        yield "the request does not allow the configuration to change, so there is no other environment"
    if after.backend != case.environment.backend:
        yield f"it is of another backend ({after.backend})"
    if not changed:
        yield "the patch declares no other requirement than the base"
    wanted = {canonicalize_name(name) for name in case.allowances.upgrades}
    if wanted:
        for name in changed:
            if name not in wanted:
                yield f"{name} is declared anew, which the request does not ask for"
    installed = _versions(after)
    for text in new.requirements:
        requirement = _requirement(text)
        if requirement is None or requirement.marker is not None or requirement.url:
            continue
        name = canonicalize_name(requirement.name)
        version = installed.get(name)
        if version is None:
            yield f"{name} is declared and not installed"
        elif not _fits(requirement, version):
            yield f"{text} is declared, and {version} is installed"


def _requirement(text: str) -> Requirement | None:
    try:
        return Requirement(text)
    except InvalidRequirement:
        return None


def _fits(requirement: Requirement, version: str) -> bool:
    try:
        return requirement.specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return True


def _declared(definition: EnvironmentDefinition) -> Mapping[str, frozenset[str]]:
    """Return everything that is declared about each distribution, wherever it stands."""
    found: dict[str, set[str]] = {}
    for kind in (definition.requirements, definition.hints, definition.constraints):
        for text in kind:
            requirement = _requirement(text)
            name = canonicalize_name(requirement.name) if requirement is not None else text
            found.setdefault(name, set()).add(text)
    return {name: frozenset(texts) for name, texts in found.items()}


def _changed(old: Mapping[str, frozenset[str]], new: Mapping[str, frozenset[str]]) -> Iterator[str]:
    for name in old.keys() | new.keys():
        if old.get(name) != new.get(name):
            yield name


def _versions(environment: Environment) -> Mapping[str, str]:
    return {canonicalize_name(name): version for name, version in environment.versions.items()}
