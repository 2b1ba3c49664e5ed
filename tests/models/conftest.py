"""What the tests of the model client share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.models.ledger import Account, Ledger
from agents.models.protocol import ChatRequest, message


@pytest.fixture
def request_() -> ChatRequest:
    return ChatRequest((message("system", "be brief"), message("user", "say hello")), 64)


@pytest.fixture
def account() -> Account:
    return Account("run-1", "repository-1")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.db")
    yield ledger
    ledger.close()
