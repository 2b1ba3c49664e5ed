"""Flags, environment, the user's file and the repository's own settings, read once into frozen settings.

What wins, strongest first: flags, `GREENDIFF_*` variables, the file of `--config`, the repository's `greendiff.toml` or
`[tool.greendiff]` in its `pyproject.toml`. The repository is not trusted: it may say how its tests are run and lower
the limits, and nothing else.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from agents.models.errors import ModelSettingsError
from agents.models.tiers import ENVIRONMENT, tier_values
from sandbox.limits import MIB, Limits
from sandbox.tree import Tree
from workflows.errors import Usage

PREFIX = "GREENDIFF_"
OTHER_VARIABLES = frozenset({"STATE_DIR", "CACHE_DIR", "DEBUG", "DIE_AT", "CONFIG", "BASE", "BASE_IMAGE", "TERMINAL"})
"""Variables that are read elsewhere and are no settings."""

DEFAULTS = Limits()
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(gt=0)]
Tokens = Annotated[int, Field(ge=0, le=10**12)]
Money = Annotated[Decimal, Field(ge=0, le=1_000_000, allow_inf_nan=False)]


def _stays_inside(path: str) -> str:
    if not path or path.startswith("/") or ".." in path.split("/"):
        raise ValueError("a path of the repository, relative to its top, is wanted")
    return path


Relative = Annotated[str, AfterValidator(_stays_inside)]
"""A path that stays in the repository."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class TestSettings(_Model):
    """How the repository's tests are run, where that should not be found out by looking."""

    __test__ = False

    command: str | tuple[str, ...] | None = None
    """A pytest command, or any that writes JUnit XML to the path that stands for `{report}`."""
    paths: tuple[Relative, ...] | None = None
    """Test files or folders."""
    pythonpath: tuple[Relative, ...] | None = None
    """Folders to import from."""
    plugins: tuple[str, ...] | None = None
    """Pytest plugins to load by name."""
    env: dict[str, str] | None = None


class LimitSettings(_Model):
    """Bounds on what runs in a sandbox; sizes in MiB."""

    wall_seconds: Positive = DEFAULTS.wall_seconds
    memory_mib: Count = DEFAULTS.memory_bytes // MIB
    cpus: Positive = DEFAULTS.cpus
    pids: Count = DEFAULTS.pids
    disk_mib: Count = DEFAULTS.disk_bytes // MIB
    file_mib: Count = DEFAULTS.file_bytes // MIB

    def limits(self) -> Limits:
        """Return them as the sandbox takes them."""
        return Limits(
            wall_seconds=self.wall_seconds, memory_bytes=self.memory_mib * MIB, cpus=self.cpus, pids=self.pids,
            disk_bytes=self.disk_mib * MIB, file_bytes=self.file_mib * MIB,
        )  # fmt: skip


class Settings(_Model):
    """Everything that can be set."""

    budget: Positive = 120.0
    """Seconds for the whole run."""
    sandbox: Literal["auto", "docker", "bubblewrap", "local"] = "auto"
    python: str | None = None
    """Interpreter on this machine whose installed packages the tests run with, instead of an installation."""
    allow: tuple[Literal["tests", "configuration"], ...] = ()
    """What a patch may change beyond source files."""
    paths: tuple[str, ...] = ()
    """Glob patterns of the only paths that a patch may change; empty for all."""
    requirements: tuple[str, ...] | None = None
    """Requirement specifiers to install, instead of those that the repository declares."""
    base_runs: Annotated[int, Field(ge=2, le=10)] = 2
    """How often the tests are run unchanged, to find flaky ones."""
    repeats: Annotated[int, Field(ge=1, le=10)] = 2
    """How many clean-room runs of a patched tree must agree."""
    min_mutation: Annotated[float, Field(ge=0, le=1)] | None = None
    """The share of mutants of the changed lines that the tests have to notice; None reports it only."""
    candidates: Annotated[int, Field(ge=1, le=100)] = 8
    """How many repairs are shown to the gate before giving up."""
    tests: TestSettings = TestSettings()
    limits: LimitSettings = LimitSettings()
    models: dict[str, dict[str, Any]] = {}
    """Model tiers by name, as `agents.models.tiers` reads them."""
    model: tuple[str, ...] = ()
    """Which of them this run may ask, `MODEL@ADDRESS` and `local` included; empty takes all, `none` takes none."""
    max_cost: Money | None = None
    """Money that the models of one run may cost, in the currency of the tiers' prices."""
    max_tokens: Tokens | None = 2_000_000
    """Tokens of prompts and replies of one run."""
    max_cost_repository: Money | None = None
    """For one repository within 30 days."""
    max_tokens_repository: Tokens | None = None
    max_cost_day: Money | None = None
    """For everything within one day (UTC)."""
    max_tokens_day: Tokens | None = None
    record: str | None = None
    """Folder that the models' answers are recorded in, absolute."""
    replay: str | None = None
    """Folder that they are taken from, absolute; nothing is asked then."""


REPOSITORY_MAY_SET = frozenset({"budget", "requirements", "tests", "limits", "base_runs"})
"""What the repository's own settings may name."""


def _nearest(key: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(key, list(known), n=1, cutoff=0.5)
    return f"; did you mean {found[0]!r}?" if found else f"; known are {', '.join(sorted(known))}"


def _model_at(path: tuple[int | str, ...]) -> type[BaseModel]:
    inner: dict[str, type[BaseModel]] = {"tests": TestSettings, "limits": LimitSettings}
    return inner.get(str(path[0]), Settings) if len(path) > 1 else Settings


def _explained(error: ValidationError, source: str) -> Usage:
    first = error.errors()[0]
    path = first["loc"]
    name = ".".join(str(part) for part in path)
    if first["type"] == "extra_forbidden":
        known = _model_at(path).model_fields
        return Usage(f"{source}: there is no setting {name!r}{_nearest(str(path[-1]), known)}")
    message = first["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    return Usage(f"{source}: {name!r} is {first['input']!r}, but {message}")


def _merged(weak: Mapping[str, Any], strong: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(weak)
    for key, value in strong.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _checked(values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return the values if they are settings by themselves, so that a mistake is told with its own source."""
    try:
        Settings.model_validate(dict(values))
    except ValidationError as error:
        raise _explained(error, source) from None
    return dict(values)


def _toml(data: bytes, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Usage(f"{source} is not valid TOML: {error}") from None


def _of_repository(tree: Tree) -> tuple[dict[str, Any], str]:
    """Return the repository's own settings and the file they are in."""
    own = tree.get("greendiff.toml")
    if own is not None and own.kind == "file":
        return _toml(own.data, "greendiff.toml"), "greendiff.toml"
    project = tree.get("pyproject.toml")
    source = "[tool.greendiff] in pyproject.toml"
    if project is None or project.kind != "file" or b"greendiff" not in project.data:
        return {}, source
    found = _toml(project.data, "pyproject.toml").get("tool", {})
    section = found.get("greendiff", {}) if isinstance(found, dict) else {}
    if not isinstance(section, dict):
        raise Usage(f"{source} is not a table")
    return section, source


def _lowered(values: dict[str, Any], trusted: Mapping[str, Any], budget: float) -> dict[str, Any]:
    """Refuse nothing, but let the repository's limits and its budget only go down from the ones that the user has."""
    if "budget" in values:
        values = {**values, "budget": min(values["budget"], budget)}
    asked = values.get("limits")
    if not asked:
        return values
    mine = LimitSettings.model_validate(trusted.get("limits", {}))
    return {**values, "limits": {key: min(value, getattr(mine, key)) for key, value in asked.items()}}


def _of_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for variable, text in sorted(environment.items()):
        name = variable.removeprefix(PREFIX)
        if name == variable or name in OTHER_VARIABLES or variable.startswith(ENVIRONMENT):
            continue
        key, _, inner = name.lower().partition("__")
        if key not in Settings.model_fields:
            raise Usage(f"{variable}: there is no such setting{_nearest(variable, _variables())}")
        if key in {"allow", "model"} or (key == "paths" and not text.startswith("[")):
            value: Any = [part for part in text.split(",") if part]
        else:
            value = _literal(text)
        values = _merged(values, {key: {inner: value} if inner else value})
        _checked({key: values[key]}, variable)
    try:
        models = tier_values(environment)
    except ModelSettingsError as error:
        raise Usage(str(error)) from None
    return values | ({"models": models} if models else {})


def _variables() -> list[str]:
    return [PREFIX + key.upper() for key in Settings.model_fields] + [PREFIX + key for key in OTHER_VARIABLES]


def _literal(text: str) -> Any:
    """Numbers, lists and tables are written as JSON; anything else is text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def read_settings(
    tree: Tree,
    flags: Mapping[str, Any],
    *,
    config: Path | None = None,
    environment: Mapping[str, str] | None = None,
    budget: float = 120.0,
) -> Settings:
    """Return the settings of one run.

    `flags` holds only those that were given. `config` is the user's own, trusted file. `budget` is the one of who sets
    none.

    Raises:
        Usage: a key that does not exist (the nearest one is named), a value that cannot be, a file that cannot be read,
            or a repository that sets what only the user may set.

    """
    environment = os.environ if environment is None else environment
    mine: dict[str, Any] = {}
    config = config or (Path(environment["GREENDIFF_CONFIG"]) if environment.get("GREENDIFF_CONFIG") else None)
    if config is not None:
        try:
            data = config.read_bytes()
        except OSError as error:
            raise Usage(f"--config {config} cannot be read: {error.strerror}") from None
        values = _toml(data, str(config))
        if config.name == "pyproject.toml":
            values = values.get("tool", {}).get("greendiff", {})
        mine = _checked(values, str(config))
    mine = _merged(mine, _of_environment(environment))
    mine = _merged(mine, _checked(flags, "command line"))
    theirs, source = _of_repository(tree)
    theirs = _checked(theirs, source)
    if forbidden := sorted(theirs.keys() - REPOSITORY_MAY_SET):
        raise Usage(
            f"{source} sets {forbidden[0]!r}, which a repository may not decide; "
            "give it as a flag or in your own file with --config"
        )
    return Settings.model_validate(_merged({"budget": budget} | _lowered(theirs, mine, budget), mine))
