"""What leaves the system: each side effect is recorded, happens once, and may be repeated after a crash."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.workspace import apply, patched_paths
from workflows.errors import NoDiff
from workflows.runs import write_whole
from workflows.state import Delivery, RunState, StateDelta
from workflows.wording import listed, plural
from workflows.working_tree import make_change

if TYPE_CHECKING:
    from workflows.job import Job


def deliver(state: RunState, job: Job) -> StateDelta:
    """Write the patch, the evidence, and what the request asks for; or, without a diff, only the summary."""
    if (ending := state.get("ending")) is not None:
        from workflows.steps.nodes import failure_summary

        summary = failure_summary(state, ending)
        job.once("deliver-summary", lambda: _written(job.run.folder / "summary.md", summary.encode()))
        return {}
    from workflows.steps.nodes import verified

    patch = verified(state, job).patch
    files = patched_paths(patch)
    job.once("deliver-patch", lambda: _written(job.run.folder / "patch.diff", patch))
    bundle = job.run.folder / "bundle"
    text = _told(state, job, files)
    job.once(
        "deliver-result", lambda: _written(job.run.folder / "result.txt", text.encode("utf-8", "backslashreplace"))
    )
    request, written = job.request, []
    if request.bundle:
        target = Path(request.bundle)
        written.append(job.once("deliver-bundle-copy", lambda: _copied(bundle, target)))
    if request.output:
        output = Path(request.output)
        written.append(job.once("deliver-output", lambda: _written(output, patch, 0o644)))
    if request.apply:
        job.once("deliver-apply", lambda: _applied(job, patch))
    digest = hashlib.sha256(patch).hexdigest()
    job.events.emit("delivered", files=list(files), patch=digest, applied=request.apply, written=written)
    return {"delivery": Delivery(digest, str(bundle), files, request.apply, tuple(written))}


def _written(path: Path, data: bytes, mode: int = 0o600) -> str:
    write_whole(path, data, mode)
    return str(path)


def _applied(job: Job, patch: bytes) -> str:
    return make_change(job.snapshot.repository, job.tree, apply(job.tree, patch))


def _copied(bundle: Path, target: Path) -> str:
    """Copy the bundle's folder to a new folder, or into an archive, all of it or nothing."""
    part = target.with_name(f".{target.name}.part")
    if target.exists():
        # A crash came between the rename and its record.
        return str(target)
    if target.name.endswith((".tar.gz", ".tgz")):
        with tarfile.open(part, "w:gz") as archive:
            archive.add(bundle, arcname="bundle")
    else:
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(bundle, part)
    part.rename(target)
    return str(target)


def _told(state: RunState, job: Job, files: tuple[str, ...]) -> str:
    """Return what a person reads at the end."""
    intake = state["intake"]
    verdict = next((v for v in state["verdicts"] if v.candidate == state["chosen"]), None)
    if verdict is None:
        raise NoDiff("nothing was verified")
    targets = plural(len(intake.targets), "failing test")
    passed = plural(intake.passed, "test")
    lines = [
        f"verified in a fresh {intake.backend} sandbox: {targets} now pass, {passed} still pass",
        f"changed: {listed(files)}",
        *(f"look at this: {flag}" for flag in verdict.flags),
        *(f"look at this: {remark}" for remark in state["review"].remarks),
    ]
    if intake.flaky:
        lines.append(f"flaky, set aside: {listed(intake.flaky)}")
    if intake.dirty:
        lines.append("the diff is on top of your uncommitted changes")
    lines.append(f"evidence: greendiff show {job.run.id}; in {job.run.folder / 'bundle'}")
    return "\n".join(lines)
