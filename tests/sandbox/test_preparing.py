"""Environments: what is installed, from where, and what happens when that fails."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.errors import EnvironmentFailed
from sandbox.owners import remove_folder
from sandbox.protocol import Command, Environment, EnvironmentDefinition, Progress, Sandbox
from sandbox.tree import Tree


def wheel(folder: Path, name: str, version: str, requires: str = "") -> None:
    """Write a wheel with one module."""
    info = f"{name}-{version}.dist-info"
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    files = {
        f"{name}.py": f"VALUE = '{version}'\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of wheels which is all that pip may use; other settings name places that do not exist."""
    folder = tmp_path / "wheels of mine"
    folder = tmp_path / "wheels"
    folder.mkdir()
    wheel(folder, "alpha_part", "1.5", requires="beta_part>=2")
    wheel(folder, "beta_part", "2.0")
    wheel(folder, "beta_part", "3.0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", f"{folder} /does/not/exist")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "file:///does/not/exist/simple")
    return folder


@pytest.fixture
def prepare(sandbox: Sandbox) -> Iterator[Callable[..., Environment]]:
    """Return a function that prepares an environment which nobody has yet, and which is gone after the test."""
    with contextlib.ExitStack() as stack:

        def prepared(definition: EnvironmentDefinition, progress: Progress = print) -> Environment:
            name = definition.distribution[0] if definition.distribution else "thing"
            version = f"4.2.{time.time_ns()}"
            environment = sandbox.prepare(replace(definition, distribution=(name, version)), progress)
            assert environment.versions[name.lower().replace(".", "-")] == version
            stack.callback(forget, environment)
            return environment

        yield prepared


def forget(environment: Environment) -> None:
    if environment.backend == "docker":
        subprocess.run(["docker", "rmi", "-f", environment.reference], capture_output=True)
    else:
        remove_folder(Path(environment.reference))


def imported(sandbox: Sandbox, environment: Environment, program: str) -> str:
    with sandbox.open(Tree({}), environment) as workspace:
        done = workspace.run(Command((workspace.python, "-c", program)))
        assert done.exit_code == 0, done.stderr
        return done.stdout.decode().strip()


def test_without_requirements_nothing_is_fetched(sandbox: Sandbox, environment: Environment) -> None:
    assert {"python", "pytest", "pluggy", "iniconfig", "packaging", "pygments"} <= set(environment.versions)
    assert environment.versions["python"] == ".".join(map(str, sys.version_info[:3]))
    assert environment.backend == sandbox.name
    assert len(environment.digest) == 64
    program = (
        "import ctypes, lzma, sqlite3, ssl, unittest, unittest.mock, zlib, zoneinfo; print(ssl.OPENSSL_VERSION[:7])"
    )
    assert imported(sandbox, environment, program) == "OpenSSL"


def test_an_environment_is_made_once(sandbox: Sandbox, environment: Environment) -> None:
    said: list[str] = []
    assert sandbox.prepare(EnvironmentDefinition(), said.append) == environment
    assert said == []


def test_installs_what_is_required_and_what_can_be_had_of_the_hints(
    sandbox: Sandbox, index: Path, prepare: Callable[..., Environment]
) -> None:
    said: list[str] = []
    definition = EnvironmentDefinition(
        requirements=("alpha-part>=1",),
        hints=("beta-part==2.0", "gamma-part", "pytest"),
        distribution=("My.Own-Thing", ""),
        entry_points="[console_scripts]\nmy-thing = json:dumps.__call__\n\n[my.group]\nx = json\n",
    )
    environment = prepare(definition, said.append)
    assert environment.versions["alpha-part"] == "1.5"
    assert any("gamma-part" in line for line in said)
    program = (
        "import importlib.metadata as m, alpha_part, beta_part, pytest;"
        "print(alpha_part.VALUE, m.version('my-own-thing')[:3], [e.value for e in m.entry_points(group='my.group')])"
    )
    assert imported(sandbox, environment, program) == "1.5 4.2 ['json']"
    with sandbox.open(Tree({}), environment) as workspace:
        assert workspace.run(Command(("my-thing",))).stderr.endswith(b"argument: 'obj'\n")


def test_keeps_to_the_lock_file_unless_that_fails(
    sandbox: Sandbox, index: Path, prepare: Callable[..., Environment]
) -> None:
    if sandbox.name != "local":
        pytest.skip("the same program does it everywhere; once is enough")
    kept = EnvironmentDefinition(requirements=("alpha-part",), constraints=("beta-part==2.0",))
    assert prepare(kept).versions["beta-part"] == "2.0"
    lost = EnvironmentDefinition(requirements=("alpha-part",), constraints=("beta-part==1.0",))
    assert prepare(lost).versions["beta-part"] == "3.0"


def test_says_what_the_installer_said(sandbox: Sandbox, index: Path) -> None:
    with pytest.raises(EnvironmentFailed) as failed:
        sandbox.prepare(EnvironmentDefinition(requirements=("no-such-part>=7",)), print)
    assert "no-such-part" in failed.value.output
    assert str(failed.value).endswith(".")


@pytest.fixture(scope="session")
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the interpreter of a virtual environment in which one package is installed, without pytest."""
    folder = tmp_path_factory.mktemp("interpreter")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "delta_part.py").write_text("VALUE = 'from the host'\n")
    info = site / "delta_part-9.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: delta-part\nVersion: 9.0\n")
    return folder / "bin" / "python"


def test_uses_what_is_installed_for_an_interpreter(
    sandbox: Sandbox, interpreter: Path, prepare: Callable[..., Environment]
) -> None:
    environment = prepare(EnvironmentDefinition(interpreter=str(interpreter)))
    assert environment.versions["delta-part"] == "9.0"
    assert "pytest" in environment.versions
    program = "import delta_part, pytest; print(delta_part.VALUE)"
    assert imported(sandbox, environment, program) == "from the host"


def test_an_interpreter_that_is_none_is_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    for path in (tmp_path / "absent", Path("/bin/true")):
        with pytest.raises(EnvironmentFailed, match=str(path)):
            sandbox.prepare(EnvironmentDefinition(interpreter=str(path)), print)


def breaks(folder: Path) -> dict[str, str]:
    (folder / "half").write_text("x")
    raise KeyboardInterrupt


def test_a_build_that_was_killed_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sandbox import furnishing

    monkeypatch.setenv("GREENDIFF_CACHE_DIR", str(tmp_path))
    digest = "d" * 64

    with pytest.raises(KeyboardInterrupt):
        furnishing.built_once("local", digest, breaks)
    built: list[bool] = []

    def works(folder: Path) -> dict[str, str]:
        built.append((folder / "half").exists())
        return {"python": "3"}

    for _ in range(2):
        assert furnishing.built_once("local", digest, works).versions == {"python": "3"}
    assert built == [False]


def test_a_cache_folder_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sandbox import furnishing

    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GREENDIFF_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(EnvironmentFailed, match="could not be made"):
        furnishing.built_once("local", "d" * 64, breaks)


# Settings of pip ----------------------------------------------------------------------------------------------------


def test_pips_settings_are_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sandbox.pip_settings import pip_settings

    (tmp_path / "simple").mkdir()
    (tmp_path / "links").mkdir()
    (tmp_path / "ca.pem").write_text("")
    config = tmp_path / "pip.conf"
    config.write_text(
        f"[global]\nindex-url = https://me:secret@index.invalid/simple\nextra-index-url = file://{tmp_path}/simple\n"
        f"    file:///nowhere/simple\n[install]\nno-deps = true\nuser = true\n"
    )
    for name in ("PIP_NO_INDEX", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    monkeypatch.setenv("PIP_FIND_LINKS", f"{tmp_path}/links /nowhere")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("https_proxy", "http://proxy.invalid:3128")
    settings, places = pip_settings().moved("/run/x")
    assert settings.env["PIP_INDEX_URL"] == "https://me:secret@index.invalid/simple"
    assert settings.env["PIP_EXTRA_INDEX_URL"] == f"file://{places[str(tmp_path)]}/simple"
    assert settings.env["PIP_FIND_LINKS"] == places[str(tmp_path / "links")]
    assert settings.env["PIP_NO_DEPS"] == "true"
    assert settings.env["PIP_CERT"] == settings.env["SSL_CERT_FILE"] == places[str(tmp_path / "ca.pem")]
    assert settings.env["https_proxy"] == "http://proxy.invalid:3128"
    assert settings.env["PIP_CONFIG_FILE"] == "/dev/null"
    assert "PIP_USER" not in settings.env


@pytest.mark.docker
def test_no_credential_stays_in_an_image(monkeypatch: pytest.MonkeyPatch, index: Path) -> None:
    from contextlib import closing

    from sandbox.docker import DockerSandbox

    monkeypatch.setenv("PIP_TRUSTED_HOST", "user-and-hidden-word.invalid")
    with closing(DockerSandbox()) as sandbox:
        definition = EnvironmentDefinition(requirements=("beta-part",), distribution=("x", f"1.{time.time_ns()}"))
        environment = sandbox.prepare(definition, print)
        shown = subprocess.run(
            ["docker", "image", "inspect", environment.reference], capture_output=True, text=True, check=True
        ).stdout
        shown += subprocess.run(
            ["docker", "history", "--no-trunc", environment.reference], capture_output=True, text=True, check=True
        ).stdout
        assert "hidden-word" not in shown
        assert '"greendiff.owner": ""' in shown
        with sandbox.open(Tree({}), environment) as workspace:
            search = "grep -rl hidden-word /opt /etc /usr/lib/python3 /root /run 2>/dev/null"
            assert workspace.run(Command(("sh", "-c", search))).stdout == b""
        forget(environment)
