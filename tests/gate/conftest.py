from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.backends import open_sandbox
from tests.gate.candidates import Claimed, Honest, Hostile
from tests.gate.court import Court


def _wanted(session: pytest.Session, fixture: str) -> list[Hostile | Honest | Claimed]:
    """The candidates of the tests that were selected, so that they can be judged side by side."""
    found = []
    for item in session.items:
        callspec = getattr(item, "callspec", None)
        candidate = callspec.params.get("candidate") if callspec else None
        if isinstance(candidate, Hostile | Honest | Claimed) and fixture in getattr(item, "fixturenames", ()):
            found.append(candidate)
    return found


@pytest.fixture(scope="session")
def local_court(request: pytest.FixtureRequest) -> Iterator[Court]:
    court = Court(open_sandbox("local"))
    court.begin(_wanted(request.session, "local_court"))
    yield court
    court.close()


@pytest.fixture(scope="session")
def docker_court(request: pytest.FixtureRequest) -> Iterator[Court]:
    court = Court(open_sandbox("docker"))
    court.begin(_wanted(request.session, "docker_court"))
    yield court
    court.close()
