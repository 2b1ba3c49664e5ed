"""What a bundle says, as one canonical JSON document that is checked field by field when it is read."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from agents.results import Failure
from sandbox.limits import Limits
from sandbox.protocol import Ended, Environment, EnvironmentDefinition
from sandbox.runners.report import Harness, Outcome, TestReport
from workflows.errors import RecordError
from workflows.verdicts import Allowances, Check, CheckName, Claim, GateReport, Mutation

SCHEMA: Final = 2


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class BaseOf(_Part):
    """What the patch is against."""

    commit: str
    tree: str
    """Digest of the tree, uncommitted changes included."""
    dirty: bool


class EnvironmentOf(_Part):
    """What the tests ran in."""

    backend: str
    digest: str
    reference: str
    """The image by id and digest, or the name of the prepared folder."""
    requirements: list[str]
    interpreter: str
    """Name of the existing interpreter that was used, "" where an environment was installed."""
    distribution: list[str] | None
    source: str
    versions: dict[str, str]


class HarnessOf(_Part):
    """How the tests were run."""

    kind: str
    paths: list[str]
    options: list[str]
    pythonpath: list[str]
    plugins: list[str]
    autoload: bool
    command: list[str]
    env: dict[str, str]
    source: str


class LimitsOf(_Part):
    """The bounds of every run."""

    wall_seconds: float
    memory_bytes: int
    cpus: float
    pids: int
    disk_bytes: int
    file_bytes: int
    open_files: int
    output_bytes: int


class AllowancesOf(_Part):
    """What the request allowed."""

    tests: bool
    configuration: bool
    declarations: bool = False
    paths: list[str]
    added_tests: list[str]
    interface: list[str]
    upgrades: list[str]


class TargetOf(_Part):
    """A test that the request is about."""

    node_id: str
    exception: str


class RunOf(_Part):
    """One run of the tests."""

    argv: list[str]
    exit_code: int
    ended: Ended
    complete: bool
    seconds: float
    collection_errors: list[str]
    tampering: list[str]


class RowOf(_Part):
    """One test in both tables."""

    before: list[str]
    """Outcome in every run of the base, with the exception after a space where one was raised; "missing" where none."""
    after: list[str]
    added_before: list[str]
    """The same for every run of the base with the test files that the patch adds."""
    added_after: list[str]
    """And of the whole patched tree with them."""
    hollow: list[str]
    """And of that tree with the patch's functions emptied."""


class CheckOf(_Part):
    """One condition of the gate."""

    name: CheckName
    passed: bool
    flagged: bool
    reason: str
    details: list[str]


class SearchOf(_Part):
    """What led to the patch."""

    tier: int
    cost: float
    """In the currency of the models' prices; 0 where no model was asked."""
    tokens: int
    """Of all prompts and replies."""
    calls: int
    """Of models."""
    origin: str
    description: str
    generated: int
    tried: int
    judged: int
    steps: list[str]
    durations: dict[str, float]
    remarks: list[str]


class MutationOf(_Part):
    """What the tests said of small faults in the changed lines."""

    made: int
    tried: int
    judged: int
    caught: int
    missed: list[str]
    why: str
    seconds: float
    demanded: float | None
    """The share that was asked for, from 0 to 1."""


class Manifest(_Part):
    """The whole document; `digest` is over everything else in it, and `files` over every other file of the bundle."""

    schema_version: Literal[2]
    greendiff: str
    ruff: str
    base: BaseOf
    environment: EnvironmentOf
    environment_after: EnvironmentOf | None
    """What the patched tree ran in, where that is another one."""
    harness: HarnessOf
    limits: LimitsOf
    allowances: AllowancesOf
    repeats: int
    claim: Claim
    targets: list[TargetOf]
    added_targets: list[TargetOf]
    """Tests that the patch adds and is judged by, with the exception that each raises without it."""
    flaky: list[str]
    found_flaky: list[str]
    """Tests that were seen to be flaky on the base only when the patch was judged."""
    before: list[RunOf]
    after: list[RunOf]
    added_before: list[RunOf]
    """Runs of the base with the test files that the patch adds."""
    added_after: list[RunOf]
    """Runs of the whole patched tree, those files included."""
    hollow: list[RunOf]
    """Runs of the added tests with the functions emptied that the patch touches."""
    covering: list[str]
    """Steady tests that run lines which a preserving patch changes."""
    checks: list[CheckOf]
    added_tests: list[str]
    gate_seconds: float
    mutation: MutationOf | None = None
    """None where the evidence is without it."""
    search: SearchOf
    files: dict[str, str]
    digest: str


Tables = dict[str, RowOf]
SIDES: Final = ("before", "after", "added_before", "added_after", "hollow")
"""Names of the sides of a table, and of the lists of runs in the manifest."""


def sha256(data: bytes) -> str:
    """Return the digest as hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def canonical(value: object) -> bytes:
    """Return JSON that is the same for equal values: sorted keys, ASCII, one line for each member of the top."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=True, allow_nan=False) + "\n").encode("ascii")


def digest_of(manifest: Mapping[str, Any]) -> str:
    """Return the digest of a manifest without its own."""
    return sha256(canonical({key: value for key, value in manifest.items() if key != "digest"}))


def parse_manifest(data: bytes) -> Manifest:
    """Return a manifest.

    Raises:
        RecordError: it is none, or of another version.

    """
    try:
        plain = json.loads(data)
        if isinstance(plain, dict) and plain.get("schema_version") != SCHEMA:
            raise RecordError(
                f"the bundle is of version {plain.get('schema_version')!r}; this greendiff reads version {SCHEMA}"
            )
        return Manifest.model_validate(plain)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the top"
        raise RecordError(f"manifest.json is not what a bundle holds: {where}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise RecordError(f"manifest.json cannot be read: {error}") from error


def parse_tables(data: bytes) -> Tables:
    """Return both test tables.

    Raises:
        RecordError: they are not there as they should be.

    """
    try:
        plain = json.loads(data)
        if not isinstance(plain, dict):
            raise RecordError("tests.json does not hold the tables of tests")
        return {str(node_id): RowOf.model_validate(row) for node_id, row in plain.items()}
    except (ValidationError, ValueError, RecursionError) as error:
        raise RecordError(f"tests.json cannot be read: {str(error).splitlines()[0]}") from error


def plain_argv(argv: Sequence[str]) -> list[str]:
    """Return a command without the folders of one machine or one sandbox."""
    return [PurePath(word).name if word.startswith("/") else word for word in argv]


def run_of(report: TestReport) -> RunOf:
    """Return what is kept of a run besides its table."""
    return RunOf(
        argv=plain_argv(report.argv), exit_code=report.exit_code, ended=report.ended, complete=report.complete,
        seconds=round(report.seconds, 3), collection_errors=sorted(text(e.node_id) for e in report.collection_errors),
        tampering=list(map(text, report.tampering)),
    )  # fmt: skip


def text(raw: str) -> str:
    """Return a name as JSON can carry it: bytes that are not UTF-8 become backslash escapes."""
    return raw.encode("utf-8", "backslashreplace").decode()


def _cells(report: TestReport) -> dict[str, str]:
    found = {}
    for result in report.results:
        told = result.exception if result.outcome is not Outcome.PASSED else ""
        found[text(result.node_id)] = text(f"{result.outcome.value} {told}".rstrip())
    return found


def tables_of(before: Sequence[TestReport], report: GateReport) -> Tables:
    """Return the tables of a verdict and of the runs of the base before it, by node id."""
    sides = {
        "before": before, "after": report.reports,
        "added_before": report.before, "added_after": report.whole, "hollow": report.hollow,
    }  # fmt: skip
    cells = {side: [_cells(run) for run in runs] for side, runs in sides.items()}
    ids = sorted({node_id for runs in cells.values() for run in runs for node_id in run})
    return {
        i: RowOf(**{side: [run.get(i, "missing") for run in runs] for side, runs in cells.items()}) for i in ids
    }  # fmt: skip


def harness_of(harness: Harness) -> HarnessOf:
    """Return how tests are run, for the manifest."""
    return HarnessOf.model_validate(_plain(harness))


def limits_of(limits: Limits) -> LimitsOf:
    """Return the bounds, for the manifest."""
    return LimitsOf.model_validate(_plain(limits))


def allowances_of(allowances: Allowances) -> AllowancesOf:
    """Return what the request allowed, for the manifest."""
    return AllowancesOf.model_validate(_plain(allowances))


def environment_name(reference: str) -> str:
    """Return what an environment is opened by, without folders of this machine."""
    return PurePath(reference).name if reference.startswith("/") else reference


def environment_of(environment: Environment, definition: EnvironmentDefinition) -> EnvironmentOf:
    """Return what the tests ran in, for the manifest; without folders of this machine."""
    return EnvironmentOf(
        backend=environment.backend, digest=environment.digest,
        reference=environment_name(environment.reference),
        requirements=list(definition.requirements),
        interpreter=PurePath(definition.interpreter).name if definition.interpreter else "",
        distribution=list(definition.distribution) if definition.distribution else None,
        source=definition.source, versions=dict(sorted(environment.versions.items())),
    )  # fmt: skip


def check_of(check: Check) -> CheckOf:
    """Return a condition, for the manifest."""
    return CheckOf(
        name=check.name,
        passed=check.passed,
        flagged=check.flagged,
        reason=text(check.reason),
        details=list(map(text, check.details)),
    )


def mutation_of(mutation: Mutation | None, demanded: float | None) -> MutationOf | None:
    """Return what came of the mutants, for the manifest."""
    if mutation is None:
        return None
    return MutationOf(
        made=mutation.made, tried=mutation.tried, judged=mutation.judged, caught=mutation.caught,
        missed=list(map(text, mutation.missed)), why=text(mutation.why), seconds=mutation.seconds, demanded=demanded,
    )  # fmt: skip


def target_of(target: Failure) -> TargetOf:
    """Return a target, for the manifest."""
    return TargetOf(node_id=text(target.node_id), exception=text(target.exception))


def _plain(value: Any) -> dict[str, Any]:
    """Return a flat dataclass as JSON's types; floats stay floats."""
    found = {}
    for field in dataclasses.fields(value):
        item = getattr(value, field.name)
        if isinstance(item, tuple):
            item = list(item)
        elif isinstance(item, Mapping):
            item = dict(item)
        elif field.type == "float" and isinstance(item, int):
            item = float(item)
        found[field.name] = item
    return found
