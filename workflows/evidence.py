"""The evidence of a verified patch: writing it, reading it, and doing it again."""

from __future__ import annotations

from workflows.bundle import Bundle, Story, bundle_files, greendiff_version, read_bundle, write_bundle
from workflows.replay import Replay, replay

__all__ = ["Bundle", "Replay", "Story", "bundle_files", "greendiff_version", "read_bundle", "replay", "write_bundle"]
