"""Settings from every source, who may set what, and how mistakes are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.limits import MIB
from sandbox.tree import Entry, Tree
from workflows.errors import Usage
from workflows.settings import Settings, read_settings

EMPTY = Tree({})


def tree(**files: str) -> Tree:
    return Tree({name.replace("_toml", ".toml"): Entry(text.encode()) for name, text in files.items()})


def test_defaults() -> None:
    settings = read_settings(EMPTY, {}, environment={})
    assert settings == Settings()
    assert (settings.budget, settings.sandbox, settings.allow) == (120, "auto", ())


def test_what_wins(tmp_path: Path) -> None:
    theirs = tree(greendiff_toml="budget = 10\n[tests]\npaths = ['a']\nplugins = ['x']")
    config = tmp_path / "mine.toml"
    config.write_text("budget = 20\nsandbox = 'bubblewrap'\n[tests]\npaths = ['b']")
    assert read_settings(theirs, {}, environment={}).budget == 10
    mine = read_settings(theirs, {}, config=config, environment={})
    assert (mine.budget, mine.sandbox, mine.tests.paths, mine.tests.plugins) == (20, "bubblewrap", ("b",), ("x",))
    variables = {"GREENDIFF_BUDGET": "30", "GREENDIFF_TESTS__PATHS": '["c"]', "GREENDIFF_CONFIG": str(config)}
    theirs_and_variables = read_settings(theirs, {}, environment=variables)
    assert (theirs_and_variables.budget, theirs_and_variables.tests.paths) == (30, ("c",))
    assert theirs_and_variables.sandbox == "bubblewrap"
    assert read_settings(theirs, {"budget": 40}, environment=variables).budget == 40


def test_pyproject_is_read_where_there_is_no_file_of_our_own() -> None:
    project = "[tool.greendiff.tests]\ncommand = ['make', 'check']\nenv = {A = 'b'}"
    settings = read_settings(tree(pyproject_toml=project), {}, environment={})
    assert settings.tests.command == ("make", "check")
    assert settings.tests.env == {"A": "b"}
    both = tree(pyproject_toml=project, greendiff_toml="budget = 5")
    assert read_settings(both, {}, environment={}).tests.command is None
    assert read_settings(tree(pyproject_toml="# greendiff\n[tool]"), {}, environment={}) == Settings()


@pytest.mark.parametrize("line", ["sandbox = 'local'", "python = '/bin/sh'", "allow = ['tests']", "repeats = 1"])
def test_a_repository_may_not_decide_about_its_own_trust(line: str) -> None:
    with pytest.raises(Usage, match="which a repository may not decide"):
        read_settings(tree(greendiff_toml=line), {}, environment={})


def test_a_repository_may_only_lower_limits(tmp_path: Path) -> None:
    theirs = tree(greendiff_toml="[limits]\nmemory_mib = 999999\npids = 10")
    assert read_settings(theirs, {}, environment={}).limits.limits().memory_bytes == 2048 * MIB
    assert read_settings(theirs, {}, environment={}).limits.pids == 10
    config = tmp_path / "mine.toml"
    config.write_text("[limits]\nmemory_mib = 4096\npids = 5")
    mine = read_settings(theirs, {}, config=config, environment={}).limits
    assert (mine.memory_mib, mine.pids) == (4096, 5)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("bugdet = 1", "greendiff.toml: there is no setting 'bugdet'; did you mean 'budget'?"),
        ("[tests]\npath = ['a']", "there is no setting 'tests.path'; did you mean 'paths'?"),
        ("[limits]\nqqqq = 1", "known are"),
        ("budget = -1", "'budget' is -1, but input should be greater than 0"),
        ("budget = ", "not valid TOML"),
        ("[tests]\npaths = ['../up']", "'tests.paths.0' is '../up'"),
        ("[tests]\npaths = ['/etc']", "'tests.paths.0' is '/etc'"),
    ],
)
def test_a_mistake_in_the_repository_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(Usage) as caught:
        read_settings(tree(greendiff_toml=text), {}, environment={})
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_section_that_is_no_table_is_said() -> None:
    with pytest.raises(Usage, match="is not a table"):
        read_settings(tree(pyproject_toml="[tool]\ngreendiff = 1"), {}, environment={})


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("GREENDIFF_BUGDET", "1", "did you mean 'GREENDIFF_BUDGET'"),
        ("GREENDIFF_BUDGET", "soon", "GREENDIFF_BUDGET: 'budget' is 'soon'"),
        ("GREENDIFF_SANDBOX", "vm", "GREENDIFF_SANDBOX: 'sandbox' is 'vm'"),
    ],
)
def test_a_mistake_in_a_variable_is_one_sentence(variable: str, value: str, sentence: str) -> None:
    with pytest.raises(Usage) as caught:
        read_settings(EMPTY, {}, environment={variable: value})
    assert sentence in str(caught.value)


def test_lists_in_variables() -> None:
    settings = read_settings(
        EMPTY, {}, environment={"GREENDIFF_ALLOW": "tests,configuration", "GREENDIFF_PATHS": "src/*", "OTHER": "x"}
    )
    assert settings.allow == ("tests", "configuration")
    assert settings.paths == ("src/*",)


def test_a_file_of_settings_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(Usage, match="cannot be read: No such file"):
        read_settings(EMPTY, {}, config=tmp_path / "none.toml", environment={})


def test_a_project_file_may_be_the_users_own_settings(tmp_path: Path) -> None:
    config = tmp_path / "pyproject.toml"
    config.write_text("[project]\nname = 'x'\n[tool.greendiff]\nsandbox = 'docker'")
    assert read_settings(EMPTY, {}, config=config, environment={}).sandbox == "docker"


def test_flags_are_checked_too() -> None:
    with pytest.raises(Usage, match="command line: 'budget'"):
        read_settings(EMPTY, {"budget": 0}, environment={})
