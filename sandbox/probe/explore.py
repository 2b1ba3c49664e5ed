"""Explores one module: an order comes on standard input, what was found goes to standard output, as `frames`.

See `explore_server` for the order.
"""

import importlib.util
import os
import sys

PACKAGE = "greendiff_probe"
"""The name under which this folder's modules are loaded, so that none of them hides a module of the repository."""


def main() -> int:
    """Load the neighbours as a package of their own, take this folder off the import path, and start."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != here]
    spec = importlib.util.spec_from_file_location(
        PACKAGE, os.path.join(here, "__init__.py"), submodule_search_locations=[here]
    )
    if spec is None or spec.loader is None:
        raise ImportError("the probe's folder is not complete")
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)
    return int(importlib.import_module(PACKAGE + ".explore_server").main())


if __name__ == "__main__":
    sys.exit(main())
