"""What is true of the whole test run: where state goes, and that nothing is skipped silently."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.errors import SandboxUnavailable

REQUIRED = bool(os.environ.pop("GREENDIFF_REQUIRE_SANDBOXES", ""))
"""Set by `.ci/run`: a backend that is missing is then a failure, not a skip."""
MODEL_REQUIRED = bool(os.environ.pop("GREENDIFF_REQUIRE_MODEL", ""))
"""Set by `.ci/run` once it has fetched the real local model; as above."""
BROWSER_REQUIRED = bool(os.environ.pop("GREENDIFF_REQUIRE_BROWSER", ""))
"""Set by `.ci/run`, which installs one; as above."""
BACKENDS = ("docker", "bubblewrap")
OTHERS = ("model", "chromium")


def _why_not(name: str) -> str | None:
    """Return why a backend, the browser or the real model cannot be used here, None where it can."""
    if name == "chromium":
        from tests.browser import PROGRAM

        return None if PROGRAM else "no chromium on the path"
    if name == "model":
        from tests.real_model import why_no_model

        return why_no_model()
    from sandbox.backends import open_sandbox

    try:
        open_sandbox(name).close()
    except SandboxUnavailable as reason:
        return str(reason)
    return None


def pytest_configure() -> None:
    """Take signals as a terminal gives them: `nohup` and `&` hand down that they are ignored, and tests send some."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a backend or a model that is not here, with the reason; fail instead where it is required."""
    needed = {name for name in (*BACKENDS, *OTHERS) if any(item.get_closest_marker(name) for item in items)}
    reasons = {name: reason for name in sorted(needed) if (reason := _why_not(name))}
    if REQUIRED and reasons.keys() & set(BACKENDS):
        raise pytest.UsageError(f"GREENDIFF_REQUIRE_SANDBOXES is set, but: {reasons}")
    if MODEL_REQUIRED and "model" in reasons:
        raise pytest.UsageError(f"GREENDIFF_REQUIRE_MODEL is set, but: {reasons['model']}")
    if BROWSER_REQUIRED and "chromium" in reasons:
        raise pytest.UsageError(f"GREENDIFF_REQUIRE_BROWSER is set, but: {reasons['chromium']}")
    for item in items:
        for name, reason in reasons.items():
            if item.get_closest_marker(name):
                item.add_marker(pytest.mark.skip(reason=f"needs {name}: {reason}"))


@pytest.fixture(scope="session", autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep runs and settings of the person who runs the tests out of them; environments are shared to save time."""
    folder = tmp_path_factory.mktemp("greendiff-state")
    kept = {key: os.environ.get(key) for key in ("GREENDIFF_STATE_DIR",)}
    os.environ["GREENDIFF_STATE_DIR"] = str(folder)
    yield
    for key, value in kept.items():
        if value is None:
            os.environ.pop(key, None)
        else:
            os.environ[key] = value
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def project() -> Path:
    """Return the top of greendiff's own source tree."""
    return Path(__file__).resolve().parent.parent
