"""One host for each case; the command is forked from a process that has imported everything already."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.attacks.agents.scene import Scene, Sink
from tests.workflows.conftest import Files, Zygote
from tests.workflows.solve.people import SHOP


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Environments are prepared once."""
    return tmp_path_factory.mktemp("attacks-cache")


@pytest.fixture(scope="session")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    made = Zygote(tmp_path_factory.mktemp("attacks-zygote"))
    yield made
    made.close()


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as one:
        yield one


@pytest.fixture
def scene(tmp_path: Path, cache: Path, zygote: Zygote, sink: Sink) -> Callable[..., Scene]:
    """Make a host with a repository of some files, a shop by default."""

    def make(files: Files | None = None) -> Scene:
        made = Scene(tmp_path, cache, zygote, sink)
        made.furnish(SHOP if files is None else files)
        return made

    return make


@pytest.fixture(scope="session")
def greendiff_program() -> Path:
    """The command as it is installed."""
    return Path(sys.executable).with_name("greendiff")
