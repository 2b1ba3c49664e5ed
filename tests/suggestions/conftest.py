from tests.forge.conftest import place

__all__ = ["place"]
