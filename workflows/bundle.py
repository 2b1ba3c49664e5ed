"""The evidence bundle: a verified patch with everything that it was judged by, as files that can be checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path

from sandbox.protocol import EnvironmentDefinition
from workflows.archives import read_files, write_files
from workflows.errors import RecordError
from workflows.findings import ruff_version
from workflows.manifest import (
    SCHEMA,
    SIDES,
    BaseOf,
    EnvironmentOf,
    Manifest,
    SearchOf,
    Tables,
    allowances_of,
    canonical,
    check_of,
    digest_of,
    environment_of,
    harness_of,
    limits_of,
    mutation_of,
    parse_manifest,
    parse_tables,
    run_of,
    sha256,
    tables_of,
    target_of,
    text,
)
from workflows.steps.verify import NotVerified, VerifiedPatch
from workflows.summary import render
from workflows.verdicts import GateCase, Mutation

PATCH, UNCOMMITTED, TESTS, SUMMARY, MANIFEST = (
    "patch.diff", "uncommitted.diff", "tests.json", "summary.md", "manifest.json",
)  # fmt: skip
NAMES = frozenset({PATCH, UNCOMMITTED, TESTS, SUMMARY, MANIFEST})
"""Every file of a bundle; all of them are always there."""


@dataclass(frozen=True, slots=True)
class Story:
    """What led to the patch: everything in a bundle that neither the case nor the report holds."""

    commit: str
    """Full object name of the base commit."""
    uncommitted: bytes
    """Patch from that commit's tree to the base, b"" where they agree."""
    definition: EnvironmentDefinition
    origin: str = ""
    """Who proposed the candidate."""
    description: str = ""
    generated: int = 0
    tried: int = 0
    judged: int = 1
    tier: int = 0
    cost: float = 0.0
    tokens: int = 0
    calls: int = 0
    steps: tuple[str, ...] = ()
    """What was done, in order, a line each."""
    durations: Mapping[str, float] = field(default_factory=dict)
    """Seconds by name of the step."""
    remarks: tuple[str, ...] = ()
    """What the review said."""
    definition_after: EnvironmentDefinition | None = None
    """Of `GateCase.environment_after`, where there is one."""
    mutation: Mutation | None = None
    """What the tests said of faults in the changed lines, where that was found out."""
    demanded: float | None = None
    """The share of them that they had to notice."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle as it was read."""

    files: Mapping[str, bytes]
    manifest: Manifest
    tables: Tables
    problems: tuple[str, ...]
    """Sentences: what does not agree within the bundle itself."""

    @property
    def patch(self) -> bytes:
        """Git's patch against the base tree."""
        return self.files[PATCH]

    @property
    def uncommitted(self) -> bytes:
        """Git's patch from the base commit to the base tree."""
        return self.files[UNCOMMITTED]


def greendiff_version() -> str:
    """Return the version of this program, "unknown" where it is not installed."""
    try:
        return installed_version("greendiff")
    except PackageNotFoundError:
        return "unknown"


def bundle_files(verified: VerifiedPatch, case: GateCase, story: Story) -> dict[str, bytes]:
    """Return the files of a bundle; equal arguments give equal bytes.

    Raises:
        NotVerified: the verified patch is not the case's.

    """
    report = verified.report
    if verified.patch != case.patch or verified.base_digest != case.base.digest:
        raise NotVerified("the evidence is about another patch than the one that was verified")
    tables = tables_of(case.baseline.reports, report)
    files = {PATCH: verified.patch, UNCOMMITTED: story.uncommitted, TESTS: canonical(
        {node_id: row.model_dump(mode="json") for node_id, row in tables.items()})}  # fmt: skip
    manifest = Manifest(
        schema_version=SCHEMA, greendiff=greendiff_version(), ruff=ruff_version(),
        base=BaseOf(commit=story.commit, tree=case.base.digest, dirty=bool(story.uncommitted)),
        environment=environment_of(case.environment, story.definition),
        environment_after=_environment_after(case, story), harness=harness_of(case.harness),
        limits=limits_of(case.limits), allowances=allowances_of(case.allowances), repeats=case.repeats,
        claim=case.claim, targets=[target_of(t) for t in case.baseline.targets],
        added_targets=[target_of(t) for t in case.added_targets], flaky=sorted(map(text, case.baseline.flaky)),
        found_flaky=sorted(map(text, report.flaky)), before=[run_of(r) for r in case.baseline.reports],
        after=[run_of(r) for r in report.reports], added_before=[run_of(r) for r in report.before],
        added_after=[run_of(r) for r in report.whole], hollow=[run_of(r) for r in report.hollow],
        covering=list(map(text, report.covering)), checks=[check_of(c) for c in report.checks],
        added_tests=list(map(text, report.added_tests)), gate_seconds=report.seconds,
        mutation=mutation_of(story.mutation, story.demanded),
        search=SearchOf(
            tier=story.tier, cost=float(story.cost), tokens=story.tokens, calls=story.calls,
            origin=text(story.origin), description=text(story.description), generated=story.generated,
            tried=story.tried, judged=story.judged, steps=list(map(text, story.steps)),
            durations={name: round(float(s), 3) for name, s in story.durations.items()},
            remarks=list(map(text, story.remarks)),
        ),
        files={}, digest="",
    )  # fmt: skip
    files[SUMMARY] = render(manifest, tables, verified.patch).encode("utf-8", "backslashreplace")
    plain = manifest.model_dump(mode="json") | {"files": {name: sha256(data) for name, data in files.items()}}
    files[MANIFEST] = canonical(plain | {"digest": digest_of(plain)})
    return files


def _environment_after(case: GateCase, story: Story) -> EnvironmentOf | None:
    if case.environment_after is None:
        return None
    if story.definition_after is None:
        raise NotVerified("the evidence does not say how the environment of the patched tree is made")
    return environment_of(case.environment_after, story.definition_after)


def write_bundle(target: Path, verified: VerifiedPatch, case: GateCase, story: Story) -> Path:
    """Write the bundle to a new folder, or to a `.tar.gz`, `.tgz` or `.zip` archive; whole or not at all.

    Raises:
        NotVerified: the verified patch is not the case's.
        Usage: something is at `target` already, or its folder is missing.

    """
    return write_files(target, bundle_files(verified, case, story))


def read_bundle(path: Path) -> Bundle:
    """Read a bundle and compare all that can be compared without running anything.

    Raises:
        Usage: there is nothing.
        BundleUnsafe: it holds links, foreign files or too much.
        RecordError: it cannot be read as a bundle.

    """
    files = read_files(path, NAMES)
    missing = sorted(NAMES - files.keys())
    if missing:
        raise RecordError(f"the bundle lacks {', '.join(missing)}")
    manifest, tables = parse_manifest(files[MANIFEST]), parse_tables(files[TESTS])
    return Bundle(files, manifest, tables, tuple(_problems(files, manifest, tables)))


def _problems(files: Mapping[str, bytes], manifest: Manifest, tables: Tables) -> Iterator[str]:
    for name in sorted(NAMES - {MANIFEST}):
        if manifest.files.get(name) != sha256(files[name]):
            yield f"{name} is not the file that the manifest names: its SHA-256 differs"
    if manifest.files.keys() != NAMES - {MANIFEST}:
        yield "the manifest does not name exactly the files of a bundle"
    plain = manifest.model_dump(mode="json")
    if digest_of(plain) != manifest.digest:
        yield "the manifest was changed: its own digest differs"
    if canonical(plain) != files[MANIFEST]:
        yield "manifest.json is not written as greendiff writes it"
    if _table_bytes(tables) != files[TESTS]:
        yield "tests.json is not written as greendiff writes it"
    bare = manifest.model_copy(update={"files": {}, "digest": ""})
    if render(bare, tables, files[PATCH]).encode("utf-8", "backslashreplace") != files[SUMMARY]:
        yield "summary.md does not say what the manifest and the tables say"
    if manifest.base.dirty != bool(files[UNCOMMITTED]):
        yield "uncommitted.diff does not fit the manifest, which says whether there were such changes"
    if (mutation := manifest.mutation) is not None:
        if not 0 <= mutation.caught <= mutation.judged <= mutation.tried <= mutation.made:
            yield "the numbers of mutants do not fit each other"
        elif mutation.demanded is not None and mutation.caught < mutation.demanded * mutation.judged:
            yield "fewer mutants were noticed than were demanded"
    yield from _table_problems(manifest, tables)


def _table_problems(manifest: Manifest, tables: Tables) -> Iterator[str]:
    for node_id, row in tables.items():
        if any(len(getattr(row, side)) != len(getattr(manifest, side)) for side in SIDES):
            yield f"the table's row of {node_id} does not have a result for every run"
            break
    for node_id in manifest.flaky:
        if node_id not in tables or len(set(tables[node_id].before)) < 2:
            yield f"{node_id} is said to be flaky, but its results on the base agree"
    for node_id in manifest.found_flaky:
        if node_id not in tables or set(tables[node_id].after) == {"passed"}:
            yield f"{node_id} is said to be flaky, but it passed in every run"


def _table_bytes(tables: Tables) -> bytes:
    return canonical({node_id: row.model_dump(mode="json") for node_id, row in tables.items()})
