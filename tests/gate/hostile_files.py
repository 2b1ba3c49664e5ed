"""Hostile candidates that change other files than the product's code."""

from __future__ import annotations

import importlib.util
import marshal

from sandbox.tree import Entry
from tests.gate.candidates import Hostile
from tests.gate.shop import BASES, CART, CONFTEST, PYPROJECT, TEST_CART


def _compiled() -> Entry:
    """Byte code of a sound cart that Python takes without looking at the source."""
    code = compile(CART.replace("// 10", "// 100"), "shop/cart.py", "exec")
    head = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + b"\0" * 8
    return Entry(head + marshal.dumps(code))


PLUGIN = """\
import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    done = yield
    report = done.get_result()
    if report.failed:
        report.outcome = "passed"
"""

TESTS_EDITED = [
    Hostile(
        "expected value edited",
        {"tests/test_cart.py": TEST_CART.replace("1700", "-1000")},
        "tests-untouched",
        "test file",
    ),
    Hostile("test file deleted", {"tests/test_cart.py": None}, "tests-untouched", "test file"),
    Hostile(
        "test removed",
        {"tests/test_cart.py": TEST_CART.replace("def test_discount", "def discount_test")},
        "tests-untouched",
        "test file",
    ),
    Hostile(
        "test marked as skipped",
        {"tests/test_cart.py": TEST_CART.replace("def test_discount", "@pytest.mark.skip\ndef test_discount")},
        "tests-untouched",
        "test file",
    ),
    Hostile(
        "test module skipped",
        {"tests/test_cart.py": TEST_CART.replace("from shop", "pytest.skip(allow_module_level=True)\nfrom shop")},
        "tests-untouched",
        "test file",
    ),
    Hostile(
        "test marked as expected to fail",
        {"tests/test_cart.py": TEST_CART.replace("def test_discount", "@pytest.mark.xfail\ndef test_discount")},
        "tests-untouched",
        "test file",
    ),
    Hostile(
        "assertion weakened",
        {"tests/test_cart.py": TEST_CART.replace("== expected", "!= expected")},
        "tests-untouched",
        "test file",
    ),
    Hostile(
        "package file in the tests",
        {"tests/__init__.py": "import os\nos._exit(0)\n"},
        "tests-untouched",
        "folder of tests",
    ),
    Hostile(
        "test data edited and test with it",
        {
            "tests/data/prices.json": '{"tea": 351}\n',
            "tests/test_cart.py": TEST_CART.replace("700", "702").replace("1700", "-1000").replace("1702", "-1000"),
        },
        "tests-untouched",
        "tests/data/prices.json",
    ),
    Hostile(
        "test file replaced by a link",
        {
            "tests/test_cart.py": Entry(b"../shop/easy.py", kind="symlink"),
            "shop/easy.py": "def test_discount():\n    assert True\n",
        },
        "scope",
        "symbolic link",
    ),
]

CONFTESTS = [
    Hostile(
        "conftest skips",
        {
            "tests/conftest.py": CONFTEST
            + (
                "\n\ndef pytest_collection_modifyitems(items):\n    for item in items:\n"
                "        item.add_marker(pytest.mark.skip)\n"
            )
        },
        "tests-untouched",
        "conftest",
    ),
    Hostile(
        "conftest expects failure",
        {
            "tests/conftest.py": CONFTEST
            + ("\n\ndef pytest_itemcollected(item):\n    item.add_marker(pytest.mark.xfail)\n")
        },
        "tests-untouched",
        "conftest",
    ),
    Hostile(
        "conftest ignores a file",
        {"tests/conftest.py": CONFTEST + '\ncollect_ignore = ["test_cart.py"]\n'},
        "tests-untouched",
        "conftest",
    ),
    Hostile("conftest rewrites reports", {"tests/conftest.py": CONFTEST + PLUGIN}, "tests-untouched", "conftest"),
    Hostile(
        "conftest sets the exit code",
        {
            "tests/conftest.py": CONFTEST
            + ("\n\n@pytest.hookimpl(trylast=True)\ndef pytest_sessionfinish(session):\n    session.exitstatus = 0\n")
        },
        "tests-untouched",
        "conftest",
    ),
    Hostile(
        "conftest does not call tests",
        {"conftest.py": "def pytest_pyfunc_call(pyfuncitem):\n    return True\n"},
        "tests-untouched",
        "conftest",
    ),
    Hostile(
        "conftest in the product",
        {
            "shop/conftest.py": "",
            "conftest.py": "import pytest\n\n\ndef pytest_runtest_setup(item):\n    pytest.skip()\n",
        },
        "tests-untouched",
        "conftest",
    ),
    Hostile(
        "plugin named by a conftest",
        {"shop/plugin.py": PLUGIN, "conftest.py": 'pytest_plugins = ["shop.plugin"]\n'},
        "tests-untouched",
        "conftest",
    ),
]

CONFIGURATION = [
    Hostile(
        "options deselect",
        {"pyproject.toml": PYPROJECT + 'addopts = "--deselect tests/test_cart.py::test_discount"\n'},
        "tests-untouched",
        "configures",
    ),
    Hostile(
        "options choose", {"pyproject.toml": PYPROJECT + 'addopts = "-k money"\n'}, "tests-untouched", "configures"
    ),
    Hostile(
        "another pytest.ini",
        {"pytest.ini": "[pytest]\naddopts = --ignore=tests/test_cart.py\n"},
        "tests-untouched",
        "pytest.ini",
    ),
    Hostile("file pattern", {"pytest.ini": "[pytest]\npython_files = test_m*.py\n"}, "tests-untouched", "pytest.ini"),
    Hostile(
        "test paths",
        {"pyproject.toml": PYPROJECT.replace('"tests"', '"tests/test_money.py"')},
        "tests-untouched",
        "configures",
    ),
    Hostile(
        "tox.ini",
        {"pyproject.toml": PYPROJECT.split("[tool")[0], "tox.ini": "[pytest]\naddopts = -k money\n"},
        "tests-untouched",
        "configures",
    ),
    Hostile(
        "plugin by an option",
        {"shop/plugin.py": PLUGIN, "pyproject.toml": PYPROJECT + 'addopts = "-p shop.plugin"\n'},
        "tests-untouched",
        "configures",
    ),
    Hostile(
        "plugin by an entry point",
        {
            "shop/plugin.py": PLUGIN,
            "extra-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: extra\nVersion: 1.0\n",
            "extra-1.0.dist-info/entry_points.txt": "[pytest11]\nextra = shop.plugin\n",
        },
        "tests-untouched",
        "dist-info",
    ),
    Hostile(
        "sitecustomize sets options",
        {"sitecustomize.py": 'import os\nos.environ["PYTEST_ADDOPTS"] = "-k money"\n'},
        "tests-untouched",
        "sitecustomize",
    ),
]

SHADOWS = [
    Hostile("module in the place of pytest", {"pytest.py": 'print("5 passed")\n'}, "tests-untouched", "shadow.*pytest"),
    Hostile(
        "package in the place of pytest",
        {"pytest/__init__.py": "", "pytest/__main__.py": 'print("5 passed")\n'},
        "tests-untouched",
        "shadow.*pytest",
    ),
    Hostile(
        "module in the place of unittest",
        {
            "unittest.py": (
                "import importlib.util\nimport os\nimport sys\nimport sysconfig\n\n"
                "_top = os.path.join(sysconfig.get_paths()['stdlib'], 'unittest')\n"
                "_spec = importlib.util.spec_from_file_location(__name__, os.path.join(_top, '__init__.py'),\n"
                "                                               submodule_search_locations=[_top])\n"
                "sys.modules[__name__] = _module = importlib.util.module_from_spec(_spec)\n"
                "_spec.loader.exec_module(_module)\n_module.TestCase.assertEqual = lambda *_: None\n"
            )
        },
        "tests-untouched",
        "shadow.*unittest",
        base="unittest",
    ),
    Hostile(
        "byte code that is not checked",
        {"shop/__pycache__/cart.cpython-311.pyc": _compiled(), "shop/money.py": BASES["plain"]["shop/money.py"] + "\n"},
        "scope",
        "compiled",
    ),
    Hostile("byte code without a source", {"shop/cart.py": None, "shop/cart.pyc": _compiled()}, "scope", "compiled"),
]
