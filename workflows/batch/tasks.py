"""What a line of a batch file may say, in greendiff's own form or as a SWE-bench style instance."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from workflows.errors import Usage

MAX_FILE_BYTES = 1024 * 1024 * 1024
MAX_TASKS = 100_000
MAX_TEXT = 1024 * 1024
TOLD = 20
"""How many bad lines are told of."""
_URL = re.compile(r"(https?|ssh|file)://|[A-Za-z0-9._-]+@[A-Za-z0-9.-]+:")
_OUTSIDE = re.compile(r"\x00|\n")


def _listed(value: object) -> object:
    """Take a list that is written as a JSON text, as published instance files have it."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return [value]
    return value


Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9][A-Za-z0-9._/+:@-]*$")]
Text = Annotated[str, Field(max_length=MAX_TEXT)]
Tests = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=2000)], ...], BeforeValidator(_listed)]
Commit = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,200}$")]


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OwnLine(_Line):
    """A task in greendiff's own form."""

    repository: Annotated[
        str, Field(min_length=1, max_length=4096, validation_alias=AliasChoices("repository", "repo"))
    ]
    id: Name | None = None
    commit: Annotated[Commit | None, Field(validation_alias=AliasChoices("commit", "base_commit"))] = None
    tests: Tests = ()
    issue: Text = ""
    patch: Text = ""
    """Is applied to the commit first, such as tests that show the bug."""
    kind: Literal["fix", "feature", "refactor", "upgrade", "test", "security"] | None = None
    budget: Annotated[float, Field(gt=0, lt=1e7)] | None = None
    max_cost: Annotated[Decimal, Field(ge=0, le=1_000_000)] | None = None
    max_tokens: Annotated[int, Field(ge=0, le=10**12)] | None = None
    model: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ()
    sandbox: Literal["auto", "docker", "bubblewrap", "local"] | None = None
    python: Annotated[str, Field(max_length=4096)] | None = None
    allow: tuple[Literal["tests", "configuration"], ...] = ()


class InstanceLine(BaseModel):
    """A SWE-bench style instance; what else its line holds (the true fix among it) is not looked at."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    instance_id: Name
    repo: Name
    base_commit: Commit
    problem_statement: Text
    FAIL_TO_PASS: Tests = ()
    PASS_TO_PASS: Tests = ()
    test_patch: Text = ""


@dataclass(frozen=True, slots=True)
class BatchTask:
    """One task, whichever form it was written in."""

    id: str
    line: int
    repository: str
    """An absolute path, or an address that Git clones from."""
    commit: str = ""
    """What the task begins with; "" takes the repository's folder as it is, uncommitted changes included."""
    tests: tuple[str, ...] = ()
    issue: str = ""
    patch: str = ""
    options: tuple[str, ...] = ()
    """Of the command line, as `greendiff fix` and `solve` take them."""
    kind: str = ""

    @property
    def digest(self) -> str:
        """Tells this task from another one of the same id."""
        words = asdict(self) | {"line": 0}
        return hashlib.sha256(json.dumps(words, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()[:20]

    @property
    def remote(self) -> bool:
        """Whether the repository has to be fetched."""
        return bool(_URL.match(self.repository))


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file's lines become tasks."""

    folder: Path
    """Relative repositories start here."""
    repositories: Path | None = None
    """Folder with the clones that instances name by their repository's name."""
    show_tests: bool = True
    """Whether instances come with their tests; without, only their problem statement is worked on."""


def read_tasks(path: Path, reading: Reading) -> list[BatchTask]:
    """Return the tasks of a file with JSON lines, or with one JSON list, in their order.

    Raises:
        Usage: it cannot be read, or some of its lines are no tasks: a sentence for each, with its number.

    """
    tasks: list[BatchTask] = []
    wrong: list[str] = []
    seen: dict[str, int] = {}
    for number, value in _values(path):
        try:
            if isinstance(value, ValueError):
                raise Usage(str(value))
            task = _task(value, number, reading)
            if task.id in seen:
                raise Usage(f"the id {task.id!r} is that of line {seen[task.id]} already")
        except Usage as error:
            wrong.append(f"{path.name} line {number}: {error}")
            continue
        seen[task.id] = number
        tasks.append(task)
        if len(tasks) > MAX_TASKS:
            raise Usage(f"{path} holds more than {MAX_TASKS} tasks; split it")
    if wrong:
        more = f"\nand {len(wrong) - TOLD} more lines" if len(wrong) > TOLD else ""
        raise Usage("\n".join(wrong[:TOLD]) + more + "\nnothing was run; mend the file and start again")
    if not tasks:
        raise Usage(f"{path} holds no task; write one JSON object a line")
    return tasks


def _values(path: Path) -> Iterator[tuple[int, object]]:
    """Yield the number of each line and what it holds, an error where it holds no JSON."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise Usage(f"{path} is larger than {MAX_FILE_BYTES >> 20} MiB; split it")
        data = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise Usage(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise Usage(f"{path.name} line {line}: it is not UTF-8; save the file as UTF-8") from None
    if data.lstrip().startswith("["):
        try:
            whole = json.loads(data)
        except (ValueError, RecursionError):
            raise Usage(f"{path} begins as a JSON list, but is none; write one JSON object a line") from None
        yield from enumerate(whole, start=1)
        return
    for number, text in enumerate(data.split("\n"), start=1):
        if not text.strip():
            continue
        try:
            yield number, json.loads(text)
        except RecursionError:
            yield number, ValueError("it is nested too deeply")
        except ValueError as error:
            yield number, ValueError(f"it is not JSON ({error})")


def _task(value: object, number: int, reading: Reading) -> BatchTask:
    if not isinstance(value, dict):
        raise Usage("it is not a JSON object")
    try:
        if "instance_id" in value:
            return _of_instance(InstanceLine.model_validate(value), number, reading)
        return _of_own(OwnLine.model_validate(value), number, reading)
    except ValidationError as error:
        raise Usage(_explained(error)) from None


def _explained(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else "it"
    if first["type"] == "extra_forbidden":
        known = ", ".join(sorted(OwnLine.model_fields))
        return f"there is no field {name!r}; known are {known}"
    if first["type"] == "missing":
        return f"the field {name!r} is missing"
    shown = repr(first["input"])
    return f"{name!r} is {shown[:80]}{'…' if len(shown) > 80 else ''}, but {first['msg'][:1].lower()}{first['msg'][1:]}"


def _of_own(line: OwnLine, number: int, reading: Reading) -> BatchTask:
    if _OUTSIDE.search(line.repository) or line.repository.startswith("-"):
        raise Usage(f"{line.repository[:80]!r} is no repository")
    remote = bool(_URL.match(line.repository))
    where = line.repository if remote else str(reading.folder / Path(line.repository).expanduser())
    if not remote and not Path(where).is_dir():
        raise Usage(f"there is no repository at {where}")
    options: list[str] = []
    for name in ("budget", "max_cost", "max_tokens", "sandbox", "python"):
        if (given := getattr(line, name)) is not None:
            options += [f"--{name.replace('_', '-')}={given}"]
    options += [f"--model={one}" for one in line.model] + [f"--allow={one}" for one in line.allow]
    commit = line.commit or ("HEAD" if remote or line.patch else "")
    task = BatchTask(
        line.id or "", number, where, commit, line.tests, line.issue, line.patch, tuple(options), line.kind or ""
    )
    _options_or_usage(line.tests)
    return task if line.id else _named(task)


def _named(task: BatchTask) -> BatchTask:
    from dataclasses import replace

    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", task.repository.rstrip("/").rsplit("/", 1)[-1]).strip("-.") or "task"
    return replace(task, id=f"{stem}-{task.digest[:8]}")


def _options_or_usage(tests: Sequence[str]) -> None:
    for test in tests:
        if test.startswith("-") or _OUTSIDE.search(test):
            raise Usage(f"{test[:80]!r} is no test")


def _of_instance(line: InstanceLine, number: int, reading: Reading) -> BatchTask:
    if reading.repositories is None:
        raise Usage(f"it names the repository {line.repo!r}: say with --repos DIR where its clone is")
    tests = line.FAIL_TO_PASS if reading.show_tests else ()
    if any("::" not in test and not test.endswith(".py") for test in tests):
        # Names such as `test_a (package.tests.Case)` are another runner's; the files that hold them are known.
        tests = tuple(sorted(path for path in _changed(line.test_patch) if path.endswith(".py")))
    _options_or_usage(tests)
    return BatchTask(
        line.instance_id, number, str(_clone_of(line.repo, reading.repositories)), line.base_commit, tests,
        line.problem_statement, line.test_patch if reading.show_tests else "", (), "" if tests else "fix",
    )  # fmt: skip


def _changed(patch: str) -> set[str]:
    return set(re.findall(r"^\+\+\+ b/([^\t\n]+)", patch, re.MULTILINE))


def _clone_of(repo: str, folder: Path) -> Path:
    """Return the clone of `owner/name` in a folder of clones."""
    short = repo.rsplit("/", 1)[-1]
    if ".." in repo.split("/"):
        raise Usage(f"{repo!r} is no repository's name")
    tried = [repo, repo.replace("/", "__"), short]
    for name in [*tried, *(f"{one}.git" for one in tried)]:
        if (folder / name).is_dir():
            return (folder / name).absolute()
    raise Usage(f"there is no clone of {repo} in {folder}: none of {', '.join(tried)} is there")
