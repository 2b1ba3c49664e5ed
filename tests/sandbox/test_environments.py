"""What a repository's tests need, read from its files."""

from __future__ import annotations

import pytest

from sandbox.declarations import locked_versions, preferred, requirement_of, requirements_file
from sandbox.environments import detect_environment
from sandbox.tree import Entry, Tree


def files(mapping: dict[str, str]) -> Tree:
    return Tree({path: Entry(text.encode()) for path, text in mapping.items()})


def test_nothing_declared() -> None:
    found = detect_environment(files({"a.py": "x = 1\n"}))
    assert (found.requirements, found.hints, found.distribution, found.source) == ((), (), None, "nothing declared")


def test_standard_project_tables() -> None:
    text = """
[project]
name = "My-Thing"
version = "1.2"
dependencies = ["requests>=2", "my_thing[extra]", "tomli; python_version < '3.11'"]
[project.optional-dependencies]
test = ["pytest>=7", "hypothesis", "My.Thing"]
dev = ["black", "twine"]
crypto = ["cryptography>=3", "unused"]
[project.scripts]
thing = "thing.cli:main"
[project.entry-points."pytest11"]
thing = "thing.plugin"
[dependency-groups]
test = ["pytest-mock", {include-group = "base"}]
base = ["six"]
docs = ["sphinx"]
"""
    found = detect_environment(files({"pyproject.toml": text, "thing/c.py": "import cryptography\n"}))
    assert found.requirements == ("requests>=2", 'tomli; python_version < "3.11"')
    assert found.hints == ("cryptography>=3", "hypothesis", "pytest-mock", "pytest>=7", "six")
    assert found.distribution == ("My-Thing", "1.2")
    assert found.entry_points == "[console_scripts]\nthing = thing.cli:main\n\n[pytest11]\nthing = thing.plugin\n"
    assert found.source == "pyproject.toml"


def test_poetry() -> None:
    text = """
[tool.poetry]
name = "p"
version = "0.3.1"
[tool.poetry.dependencies]
python = "^3.8"
a = "^1.2.3"
b = "~0.4"
c = {version = "*", extras = ["x"], markers = "python_version < '4'"}
d = {git = "https://example.invalid/d"}
e = {version = "1.0", optional = true}
f = "^0.0.3"
g = ">=1,<2 || >3"
[tool.poetry.group.test.dependencies]
t = "2.0"
[tool.poetry.group.docs.dependencies]
z = "*"
[tool.poetry.scripts]
run = "p:main"
"""
    found = detect_environment(files({"pyproject.toml": text}))
    assert found.requirements == (
        "a<2,>=1.2.3", "b<0.5,>=0.4", 'c[x]; python_version < "4"', "f<0.0.4,>=0.0.3", "g"
    )  # fmt: skip
    assert found.hints == ("e==1.0", "t==2.0")
    assert found.distribution == ("p", "0.3.1")


def test_setup_cfg() -> None:
    text = """
[metadata]
name = c
version = attr: c.about.version
[options]
install_requires =
    one>=1 ; python_version >= "3.6"
    two
[options.extras_require]
tests =
    three
[options.entry_points]
console_scripts =
    Cmd = c:main
"""
    found = detect_environment(files({"setup.cfg": text, "src/c/about.py": "version: str = '9.1'\n"}))
    assert found.requirements == ('one>=1; python_version >= "3.6"', "two")
    assert found.hints == ("three",)
    assert found.distribution == ("c", "9.1")
    assert "Cmd = c:main" in found.entry_points


def test_setup_script_is_read_and_not_run() -> None:
    text = '''
import os
from setuptools import setup
os.abort()
BASE = ["a>=1"]
EXTRAS = {"tests": BASE + ["b", *["c"]], "doc": ["sphinx"]}
TEXT = """d
e"""
setup(
    name="s", version=open("VERSION").read(), install_requires=BASE + TEXT.splitlines(), tests_require=EXTRAS["tests"],
    extras_require=dict(EXTRAS), entry_points="[console_scripts]\\nrun = s:main\\n", **{"zip_safe": compute()},
)
'''
    found = detect_environment(files({"setup.py": text, "s/__init__.py": "__version__ = '3.3'\n"}))
    assert found.requirements == ("a>=1", "d", "e")
    assert found.hints == ("b", "c")
    assert found.distribution == ("s", "3.3")
    assert found.entry_points == "[console_scripts]\nrun = s:main\n"


def test_a_setup_script_that_reads_a_requirements_file() -> None:
    text = (
        "from setuptools import setup\nsetup(name='s', install_requires=open('requirements/base.txt').read().split())\n"
    )
    found = detect_environment(files({"setup.py": text, "requirements/base.txt": "x==1\ny\n"}))
    assert found.requirements == ("x==1", "y")


@pytest.mark.parametrize("text", ["def (", "\0", "setup(install_requires=f())", "setup(entry_points=3, name=4)"])
def test_a_setup_script_that_says_nothing(text: str) -> None:
    assert detect_environment(files({"setup.py": text})).requirements == ()


def test_requirements_files() -> None:
    found = detect_environment(
        files(
            {
                "requirements.txt": "-r requirements/base.txt\nflask==2.0 --hash=sha256:00\n",
                "requirements/base.txt": "werkzeug \\\n  >=2\n# no\n-e .\n./local\ngit+https://x.invalid/y\n",
                "requirements/test.txt": "-r base.txt\npytest==5.0\nnose  # old\n",
                "requirements/dev.txt": "ipdb\n",
                "test-requirements.txt": "mock\n",
                "tests/requirements.txt": "freezegun\n",
                "docs/requirements.txt": "sphinx\n",
            }
        )
    )
    assert found.requirements == ("flask==2.0", "werkzeug>=2")
    assert found.hints == ("freezegun", "mock", "nose", "pytest")


def test_requirements_of_a_package_are_hints() -> None:
    found = detect_environment(files({"requirements.txt": "pinned==1\n", "setup.py": "setup(name='x')"}))
    assert (found.requirements, found.hints) == ((), ("pinned==1",))


def test_files_that_include_each_other() -> None:
    found = files({"a.txt": "-r b.txt\none\n", "b.txt": "-r a.txt\ntwo\n"})
    assert requirements_file(found, "a.txt") == ["two", "one"]


def test_tox() -> None:
    text = """
[testenv]
deps =
    pytest
    py27: mock
    -r{toxinidir}/extra.txt
    {[base]deps}
[testenv:lint]
deps = flake8
[testenv:py311-tests]
deps = ddt
"""
    found = detect_environment(files({"tox.ini": text, "extra.txt": "responses\n"}))
    assert found.hints == ("ddt", "pytest", "responses")
    assert found.source == "tox.ini"


def test_pipfile_and_lock_files() -> None:
    versions = (("a", "1.1"), ("b", "1"), ("b", "2"))
    lock = "".join(f'[[package]]\nname = "{name}"\nversion = "{version}"\n' for name, version in versions)
    found = detect_environment(files({"Pipfile": '[packages]\na = "*"\n[dev-packages]\nb = ">1"\n', "uv.lock": lock}))
    assert (found.requirements, found.hints, found.constraints) == (("a",), ("b>1",), ("a==1.1",))
    assert locked_versions(files({"poetry.lock": "not toml ["})) == {}


def test_what_tests_import_and_nobody_declares_is_a_hint() -> None:
    found = detect_environment(
        files({"tests/test_a.py": "import mock\nfrom yaml import load\nimport os, b\n", "a.py": "import requests\n"})
    )
    assert found.hints == ("PyYAML", "mock")
    own = detect_environment(files({"tests/test_a.py": "import six\n", "six.py": "", "setup.py": "setup(name='six')"}))
    assert own.hints == ()


def test_tools_are_left_out_unless_the_code_needs_them() -> None:
    tools = '["black", "sphinx-rtd-theme", "types-six", "mypy"]'
    text = f'[project]\nname = "x"\n[project.optional-dependencies]\ndev = {tools}\n'
    assert detect_environment(files({"pyproject.toml": text})).hints == ()
    with_use = files({"pyproject.toml": text, "x/plugin.py": "from mypy.plugin import Plugin\n"})
    assert detect_environment(with_use).hints == ("mypy",)


def test_settings_and_an_interpreter_replace_what_is_declared() -> None:
    given = files(
        {"pyproject.toml": '[project]\nname = "x"\nversion = "1"\ndependencies = ["y"]\n', "r.txt": "one\ntwo\n"}
    )
    by_settings = detect_environment(given, requirements=["r.txt", "three>1"])
    assert by_settings.requirements == ("one", "three>1", "two")
    by_interpreter = detect_environment(given, interpreter="/usr/bin/python3")
    assert by_interpreter.interpreter == "/usr/bin/python3"
    assert by_interpreter.requirements == ()
    assert by_settings.distribution == by_interpreter.distribution == ("x", "1")


@pytest.mark.parametrize(
    ("extra", "version"),
    [
        ({"x/__init__.py": '__version__ = "2.5"\n'}, "2.5"),
        ({"src/x/_version.py": "version = '2.6'\n"}, "2.6"),
        ({"PKG-INFO": "Metadata-Version: 2.1\nName: x\nVersion: 2.7\n\nVersion: no\n"}, "2.7"),
        ({"src/x.egg-info/PKG-INFO": "Name: x\nVersion: 2.8\n"}, "2.8"),
        ({"x/__init__.py": '__version__ = "unknown"\n'}, "0"),
        ({}, "0"),
    ],
)
def test_a_version_that_is_not_in_the_project_table(extra: dict[str, str], version: str) -> None:
    text = '[project]\nname = "x"\ndynamic = ["version"]\n'
    assert detect_environment(files({"pyproject.toml": text, **extra})).distribution == ("x", version)


def test_broken_files_say_nothing() -> None:
    broken = files({"pyproject.toml": "[", "setup.cfg": "no section", "tox.ini": "[", "Pipfile": "["})
    assert detect_environment(broken).requirements == ()
    binary = Tree({"pyproject.toml": Entry(b"\xff\xfe"), "setup.py": Entry(b"link", kind="symlink")})
    assert detect_environment(binary).distribution is None


def test_lines_that_are_no_requirements() -> None:
    for line in ("", "# x", "-e .", "./x", "/x", "a b c", "https://x.invalid/a.whl", "{posargs}"):
        assert requirement_of(line) is None
    assert str(requirement_of("a[b]>=1 # c")) == "a[b]>=1"
    assert preferred(["dev", "docs"]) == ["dev", "docs"]
    assert preferred(["dev", "tests", "docs"]) == ["tests", "docs"]
