"""The real small model, through the command, its own server and the HTTP client: what it adds, and what it does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agents.models.fetching import QWEN_CODER
from tests.real_model import REAL
from tests.workflows.conftest import Files, Ran
from tests.workflows.solve.people import evidence

pytestmark = [pytest.mark.model, pytest.mark.slow]

SLUGS: Files = {
    "pages/__init__.py": "",
    "pages/slugs.py": '''\
        """Names of pages."""


        def slug(title):
            """Return the title in lower case, with dashes in the place of spaces: "Hello World" -> "hello-world"."""
            return title
        ''',
    "tests/test_slugs.py": """\
        from pages.slugs import slug


        def test_two_words():
            assert slug("Hello World") == "hello-world"


        def test_three_words():
            assert slug("A Small Step") == "a-small-step"


        def test_one_word():
            assert slug("home") == "home"
        """,
    "pyproject.toml": '[project]\nname = "pages"\nversion = "1.0"\n[tool.pytest.ini_options]\npythonpath = ["."]\n',
}
"""Two things are missing at once, which no edit of what is there brings."""
IMPOSSIBLE: Files = {
    **SLUGS,
    "tests/test_slugs.py": """\
        from pages.slugs import slug


        def test_dashes():
            assert slug("Hello World") == "hello-world"


        def test_no_dashes():
            assert slug("Hello World") == "hello_world"
        """,
}


@pytest.fixture
def local(shared_cache: Path) -> dict[str, str]:
    """What makes the model that is on this machine the embedded one."""
    folder = shared_cache / "models"
    folder.mkdir(exist_ok=True)
    link = folder / f"{QWEN_CODER.name}.gguf"
    if not link.exists():
        link.symlink_to(REAL)
    return {"GREENDIFF_CACHE_DIR": str(shared_cache)}


def test_a_repair_that_only_the_model_finds(
    repository: Callable[..., Path], quick: Callable[..., Ran], local: dict[str, str]
) -> None:
    folder = repository(SLUGS)
    alone = quick("fix", folder, "--model", "none", "--budget", "30", **local)
    assert alone.code == 1, alone.err
    ran = quick("fix", folder, "--model", "local", "--json", "--budget", "120", **local)
    result = ran.events[-1]
    assert ran.code == 0, result["message"]
    assert "lower()" in result["diff"]
    search = evidence(result)[0]["search"]
    assert search["tier"] == 1
    assert search["calls"] >= 1
    assert search["tokens"] > 100
    assert search["cost"] == 0


def test_what_the_model_cannot_do_either_ends_without_a_diff(
    repository: Callable[..., Path], quick: Callable[..., Ran], local: dict[str, str]
) -> None:
    ran = quick("fix", repository(IMPOSSIBLE), "--model", "local", "--budget", "40", "--max-tokens", "4000", **local)
    assert ran.code in {1, 4}, ran.err
    assert ran.out == ""
    assert "0 passed when tried" in ran.err
