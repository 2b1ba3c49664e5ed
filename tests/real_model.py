"""The real local model that some tests ask, and why it cannot be asked where it cannot."""

from __future__ import annotations

import os
from pathlib import Path

from agents.models.local import available

REAL = Path(
    os.environ.get("GREENDIFF_TEST_GGUF")
    or Path.home() / ".cache" / "local-model" / "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"
)


def why_no_model() -> str | None:
    """Return why no real model can be asked here, None where one can."""
    if (missing := available()) is not None:
        return missing
    return None if REAL.is_file() else f"{REAL} is missing: ../shared/model/local_model.py fetch"
