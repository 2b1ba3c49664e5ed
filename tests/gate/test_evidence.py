"""Bundles: written the same each time, read with suspicion, and found out when anything in them is changed."""

from __future__ import annotations

import dataclasses
import gzip
import io
import json
import os
import stat
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.protocol import EnvironmentDefinition
from tests.gate.cases import ENVIRONMENT, case, passing
from workflows import archives
from workflows.archives import BundleUnsafe, read_files, write_files
from workflows.bundle import MANIFEST, NAMES, bundle_files
from workflows.errors import RecordError, Usage
from workflows.evidence import Story, read_bundle, write_bundle
from workflows.manifest import canonical, digest_of, parse_manifest, parse_tables, sha256
from workflows.steps.verify import NotVerified, VerifiedPatch

STORY = Story(
    "0123456789abcdef0123456789abcdef01234567", b"", EnvironmentDefinition(("pytest",), source="pyproject.toml"),
    origin="template:constants", description="10 becomes 100 | in `discount`", generated=40, tried=12, judged=1,
    steps=("intake: 1 test fails",), durations={"intake": 1.23456}, remarks=("Look.",),
)  # fmt: skip


def _files(**changes: Any) -> dict[str, bytes]:
    of = dataclasses.replace(case(), **changes)
    return bundle_files(VerifiedPatch.from_report(passing(of), of), of, STORY)


def test_the_same_each_time(tmp_path: Path) -> None:
    of = case()
    verified = VerifiedPatch.from_report(passing(of), of)
    for name in ("a.tar.gz", "b.tar.gz", "a.zip", "b.zip", "a.tgz", "folder"):
        assert write_bundle(tmp_path / name, verified, of, STORY) == tmp_path / name
    assert (tmp_path / "a.tar.gz").read_bytes() == (tmp_path / "b.tar.gz").read_bytes()
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    wanted = bundle_files(verified, of, STORY)
    for name in ("a.tar.gz", "a.tgz", "a.zip", "folder"):
        bundle = read_bundle(tmp_path / name)
        assert bundle.files == wanted
        assert bundle.problems == ()
        assert bundle.patch == of.patch
        assert bundle.uncommitted == b""
    assert not list(tmp_path.glob(".*"))
    assert stat.S_IMODE((tmp_path / "a.zip").stat().st_mode) & 0o400


def test_what_a_bundle_says() -> None:
    files = _files()
    manifest, tables = parse_manifest(files[MANIFEST]), parse_tables(files["tests.json"])
    assert manifest.base.commit == STORY.commit
    assert manifest.environment.versions == dict(ENVIRONMENT.versions)
    assert manifest.environment.reference == "0123"
    assert manifest.before[0].argv == ["python", "-B", "run.py"]
    assert manifest.search.durations == {"intake": 1.235}
    assert tables["tests/test_cart.py::test_discount"].before == ["failed AssertionError"] * 2
    assert tables["tests/test_cart.py::test_discount"].after == ["passed"] * 2
    summary = files["summary.md"].decode()
    assert "1 test that failed before passes now; 2 tests that passed before still pass." in summary
    assert "| `tests/test_cart.py::test_discount` | failed AssertionError | passed |" in summary
    assert "10 becomes 100 \\| in 'discount'" in summary
    assert "/nowhere" not in files[MANIFEST].decode()


def test_names_that_are_not_text(tmp_path: Path) -> None:
    of = case()
    odd = dataclasses.replace(of, baseline=dataclasses.replace(of.baseline, flaky=("tests/\udcff.py::x",)))
    files = bundle_files(VerifiedPatch.from_report(passing(odd), odd), odd, STORY)
    assert b"udcff" in files[MANIFEST]


def test_only_for_what_was_verified() -> None:
    of = case()
    other = dataclasses.replace(of, patch=of.patch + b"\n")
    with pytest.raises(NotVerified):
        bundle_files(VerifiedPatch.from_report(passing(of), of), other, STORY)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    with pytest.raises(Usage, match="exists already"):
        write_files(tmp_path / "there", {"patch.diff": b""})
    with pytest.raises(Usage, match="does not exist"):
        write_files(tmp_path / "no" / "b.zip", {"patch.diff": b""})
    with pytest.raises(FileNotFoundError):
        write_files(tmp_path / "new", {"folder/patch.diff": b""})
    assert [p.name for p in tmp_path.iterdir()] == ["there"]


def _tar(*members: tarfile.TarInfo, data: bytes = b"x") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for member in members:
            if member.isreg():
                member.size = len(data)
            archive.addfile(member, io.BytesIO(data) if member.isreg() else None)
    return gzip.compress(packed.getvalue())


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


def _zip(name: str, mode: int = stat.S_IFREG | 0o644, data: bytes = b"x") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        member = zipfile.ZipInfo(name)
        member.external_attr = mode << 16
        archive.writestr(member, data)
    return packed.getvalue()


HOSTILE = {
    "link": _tar(_member("bundle/patch.diff", tarfile.SYMTYPE, "/etc/passwd")),
    "inner link": _tar(_member("bundle/patch.diff", tarfile.SYMTYPE, "summary.md")),
    "hard link": _tar(_member("bundle/patch.diff", tarfile.LNKTYPE, "bundle/x")),
    "device": _tar(_member("bundle/patch.diff", tarfile.CHRTYPE)),
    "fifo": _tar(_member("bundle/patch.diff", tarfile.FIFOTYPE)),
    "outside": _tar(_member("../patch.diff")),
    "absolute": _tar(_member("/patch.diff"), _member("x/patch.diff")),
    "deep": _tar(_member("a/b/patch.diff")),
    "two folders": _tar(_member("a/patch.diff"), _member("b/summary.md")),
    "foreign": _tar(_member("bundle/other.txt")),
    "twice": _tar(_member("bundle/patch.diff"), _member("bundle/patch.diff")),
    "many": _tar(*(_member(f"bundle/{n}") for n in range(40))),
    "zip link": _zip("bundle/patch.diff", stat.S_IFLNK | 0o777),
    "zip outside": _zip("../patch.diff"),
    "zip windows": _zip("bundle\\..\\patch.diff"),
    "zip foreign": _zip("bundle/other.txt"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives(name: str, tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(HOSTILE[name])
    with pytest.raises(BundleUnsafe):
        read_files(tmp_path / "b", NAMES)
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


def test_archives_that_unpack_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_FILE_BYTES", 1 << 20)
    monkeypatch.setattr(archives, "MAX_TOTAL_BYTES", 2 << 20)
    large = b"\0" * (5 << 20)
    for data in (_tar(_member("bundle/patch.diff"), data=large), _zip("bundle/patch.diff", data=large)):
        (tmp_path / "b").write_bytes(data)
        with pytest.raises(BundleUnsafe, match=r"too large|more than"):
            read_files(tmp_path / "b", NAMES)
    (tmp_path / "b").write_bytes(gzip.compress(b"\0" * (9 << 20)))
    with pytest.raises(RecordError, match="lacks"):
        read_bundle(tmp_path / "b")


def test_hostile_folders(tmp_path: Path) -> None:
    folder = tmp_path / "b"
    folder.mkdir()
    os.mkfifo(folder / "patch.diff")
    with pytest.raises(BundleUnsafe, match="regular"):
        read_files(folder, NAMES)
    (folder / "patch.diff").unlink()
    (folder / "patch.diff").symlink_to("/etc/passwd")
    with pytest.raises(BundleUnsafe, match="regular"):
        read_files(folder, NAMES)
    (folder / "patch.diff").unlink()
    (folder / "other").write_text("x")
    with pytest.raises(BundleUnsafe, match="which no bundle holds"):
        read_files(folder, NAMES)
    for number in range(40):
        (folder / str(number)).write_text("x")
    with pytest.raises(BundleUnsafe, match="holds 41 files"):
        read_files(folder, NAMES)


def test_what_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(Usage, match="no bundle"):
        read_bundle(tmp_path / "gone")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(RecordError, match="neither"):
        read_bundle(tmp_path / "text")
    whole = _tar(_member("bundle/patch.diff"), data=b"x" * 5000)
    (tmp_path / "cut").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RecordError, match="cannot be read"):
        read_bundle(tmp_path / "cut")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BundleUnsafe, match="neither a folder nor a file"):
        read_bundle(tmp_path / "pipe")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecordError, match=r"lacks manifest\.json, patch\.diff"):
        read_bundle(tmp_path / "empty")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"{", "cannot be read"),
        (b"[]", "is not what a bundle holds"),
        (b'{"schema_version": 99}', "of version 99"),
        (b'{"schema_version": 2}', "is not what a bundle holds"),
        (b"[" * 100_000, "cannot be read"),
        (canonical(json.loads(_files()[MANIFEST]) | {"more": 1}), "more"),
    ],
)
def test_manifests_that_are_none(data: bytes, reason: str) -> None:
    with pytest.raises(RecordError, match=reason):
        parse_manifest(data)


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"a": 1}', b'{"a": {"before": [1], "after": []}}'])
def test_tables_that_are_none(data: bytes) -> None:
    with pytest.raises(RecordError, match=r"tests\.json"):
        parse_tables(data)


def _flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize("name", sorted(NAMES - {MANIFEST, "uncommitted.diff", "tests.json"}))
def test_any_changed_byte_is_found(name: str, tmp_path: Path) -> None:
    files = _files()
    size = len(files[name])
    for number, at in enumerate(range(0, size, max(1, size // 7))):
        bundle = read_bundle(write_files(tmp_path / str(number), files | {name: _flip(files[name], at)}))
        assert any(name in problem for problem in bundle.problems)


def resealed(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return the files with every hash made right again."""
    plain = json.loads(files[MANIFEST])
    plain["files"] = {name: sha256(data) for name, data in files.items() if name != MANIFEST}
    return files | {MANIFEST: canonical(plain | {"digest": digest_of(plain)})}


def _edit(**changes: Any) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    def edit(files: dict[str, bytes]) -> dict[str, bytes]:
        return files | {MANIFEST: canonical(json.loads(files[MANIFEST]) | changes)}

    return edit


def _row(**changes: list[str]) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    def edit(files: dict[str, bytes]) -> dict[str, bytes]:
        plain = json.loads(files["tests.json"])
        plain["tests/test_cart.py::test_line"] |= changes
        return files | {"tests.json": canonical(plain)}

    return edit


@pytest.mark.parametrize(
    ("edit", "sealed", "problem"),
    [
        (_edit(greendiff="9"), False, "own digest differs"),
        (_edit(flaky=["tests/test_cart.py::test_line"]), True, "said to be flaky"),
        (_edit(found_flaky=["tests/test_cart.py::test_line"]), True, "said to be flaky"),
        (_edit(repeats=7), False, "own digest differs"),
        (_row(before=["failed", "failed"]), True, "summary.md does not say"),
        (_row(before=["passed"]), True, "a result for every run"),
        (_row(before=["passed", "failed"]), False, "SHA-256 differs"),
        (lambda f: f | {"uncommitted.diff": b"x"}, True, "uncommitted.diff does not fit"),
        (lambda f: f | {"summary.md": b"All is well."}, True, "summary.md does not say"),
        (lambda f: f | {MANIFEST: f[MANIFEST] + b"\n"}, False, "not written as greendiff writes"),
        (lambda f: f | {"tests.json": f["tests.json"] + b"\n"}, True, "not written as greendiff writes"),
        (_edit(files={}), False, "does not name exactly"),
    ],
)
def test_what_does_not_agree_with_itself(
    edit: Callable[[dict[str, bytes]], dict[str, bytes]], sealed: bool, problem: str, tmp_path: Path
) -> None:
    files = edit(_files())
    bundle = read_bundle(write_files(tmp_path / "b.zip", resealed(files) if sealed else files))
    assert any(problem in text for text in bundle.problems), bundle.problems


def test_git_can_apply_what_is_in_it(tmp_path: Path) -> None:
    of = case()
    for path, entry in of.base.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(entry.data)
    subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=_files()["patch.diff"], check=True)
    assert b"percent // 100" in (tmp_path / "shop/cart.py").read_bytes()
