"""The command's fixtures, for batches."""

from tests.workflows.conftest import environment, greendiff, quick, repository, shared_cache, zygote

__all__ = ["environment", "greendiff", "quick", "repository", "shared_cache", "zygote"]
