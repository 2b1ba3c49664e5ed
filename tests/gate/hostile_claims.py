"""Candidates that claim to add or to preserve, are green in a plain pytest run, and do not do what they claim."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.gate.candidates import ADDED, Claimed
from tests.gate.honest_claims import SHIPPING, SHIPPING_TARGETS, SOUND, TEST_SHIPPING
from tests.gate.shop import CONFTEST, MONEY, PYPROJECT, TEST_MONEY
from workflows.verdicts import Allowances

TEST = "tests/test_shipping.py"
ONE = f"{TEST}::test_it"
LARGE = Allowances(tests=True)


def _hash_in(seed: int) -> str:
    """Return the hash of a word in a Python that was started with a seed."""
    env = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": str(seed)}
    command = [sys.executable, "-c", "print(hash('shop'))"]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.strip()


def _adds(
    name: str, test: str, check: str, reason: str, raised: str = "ImportError", *, product: str = SHIPPING,
    flagged: bool = False, more: dict[str, str] | None = None, allowances: Allowances = ADDED,
    targets: tuple[tuple[str, str], ...] = (),
) -> Claimed:  # fmt: skip
    changes = {"shop/cart.py": product, TEST: test, **(more or {})}
    return Claimed(
        name, changes, "adds", targets or ((ONE, raised),), check, reason, flagged=flagged, allowances=allowances
    )


VACUOUS = [
    _adds(
        "asserts on the time",
        "import time\n\n\ndef test_it():\n    assert time.time() > 1_600_000_000\n",
        "added-failed-before",
        "passed without the patch",
        "AssertionError",
    ),
    _adds(
        "asks Git",
        'import subprocess\n\n\ndef test_it():\n    assert subprocess.run(["git", "log", "--bad"]).returncode\n',
        "added-failed-before",
        "passed without the patch",
        "AssertionError",
    ),
    _adds(
        "looks for a file that the patch brings along",
        "from pathlib import Path\n\n\ndef test_it():\n"
        '    assert (Path(__file__).parent.parent / "shop" / "done.txt").exists()\n',
        "added-matter",
        "whatever the patched functions do",
        "AssertionError",
        more={"shop/done.txt": "done\n"},
    ),
    Claimed(
        "looks for a file, and that is all that the patch brings",
        {
            "shop/done.txt": "done\n",
            TEST: "from pathlib import Path\n\n\ndef test_it():\n"
            '    assert (Path(__file__).parent.parent / "shop" / "done.txt").exists()\n',
        },
        "adds",
        ((ONE, "AssertionError"),),
        "added-matter",
        "No function could be emptied",
        flagged=True,
    ),
    _adds(
        "fails for another reason than the one that is stated",
        "from shop.cart import shipping\n\n\ndef test_it():\n    assert shipping(100) == 10\n",
        "added-failed-before",
        "could not be collected with ImportError, not with AssertionError",
        "AssertionError",
    ),
    _adds(
        "imports a name that only the patch has, and asserts nothing",
        "from shop.cart import shipping\n\n\ndef test_it():\n    assert shipping\n",
        "added-matter",
        "shows nothing",
    ),
    _adds(
        "asks whether a name is there",
        'import shop.cart\n\n\ndef test_it():\n    assert callable(getattr(shop.cart, "shipping", None))\n',
        "added-matter",
        "shows nothing",
        "AssertionError",
    ),
    _adds(
        "catches everything, the import too",
        "def test_it():\n    try:\n        from shop.cart import shipping\n\n        assert shipping(100) == 11\n"
        "    except Exception:\n        pass\n",
        "added-failed-before",
        "passed without the patch",
    ),
    _adds(
        "catches everything but the import",
        "from shop.cart import shipping\n\n\ndef test_it():\n    try:\n        assert shipping(100) == 11\n"
        "    except BaseException:\n        pass\n",
        "added-matter",
        "shows nothing",
    ),
    _adds(
        "reads the source code",
        "import inspect\n\nimport shop.cart\n\n\ndef test_it():\n"
        '    assert "free_from" in inspect.getsource(shop.cart)\n',
        "added-tests",
        "reads source code",
        "AssertionError",
    ),
    _adds(
        "reads the source code by its place",
        "from pathlib import Path\n\n\ndef test_it():\n"
        '    text = (Path(__file__).parent.parent / "shop" / ("ca" + "rt.py")).read_text()\n'
        '    assert "free_from" in text\n',
        "added-matter",
        "shows nothing",
        "AssertionError",
    ),
    _adds(
        "a product that answers the test's input only",
        "from shop.cart import shipping\n\n\ndef test_it():\n    assert shipping(4321) == 217\n",
        "generalises",
        "literal",
        product=SOUND + "\n\ndef shipping(cents):\n    if cents == 4321:\n        return 217\n    return 0\n",
        flagged=True,
    ),
    _adds(
        "a product that is equal to everything",
        "from shop.cart import shipping\n\n\ndef test_it():\n    assert shipping(4321) == 217\n",
        "tamper",
        "does not look at what it compares",
        product=SOUND + "\n\nclass Any:\n    def __eq__(self, other):\n        return True\n\n"
        "    def __hash__(self):\n        return 1\n\n\ndef shipping(cents):\n    return Any()\n",
    ),
]

_FOR_ALL = (
    'import pytest\n\n\n@pytest.fixture(autouse=True)\ndef calm(monkeypatch):\n    monkeypatch.setenv("CALM", "1")\n'
)
STEERING = [
    _adds(
        "skips where the name is missing",
        "import pytest\n\ntry:\n    from shop.cart import shipping\nexcept ImportError:\n"
        "    pytest.skip(allow_module_level=True)\n\n\ndef test_it():\n    assert shipping(100) == 10\n",
        "added-tests",
        "skips a test",
    ),
    _adds(
        "is expected to fail",
        "import pytest\n\n\n@pytest.mark.xfail\ndef test_it():\n    from shop.cart import shipping\n\n"
        "    assert shipping(100) == 11\n",
        "added-tests",
        "expects it to fail",
    ),
    _adds(
        "brings a conftest along",
        TEST_SHIPPING,
        "tests-untouched",
        "conftest",
        targets=SHIPPING_TARGETS,
        more={"tests/more/conftest.py": _FOR_ALL},
    ),
    _adds(
        "brings a conftest along where tests may change",
        TEST_SHIPPING,
        "added-tests",
        "code that runs with them",
        targets=SHIPPING_TARGETS,
        more={"tests/more/conftest.py": _FOR_ALL},
        allowances=LARGE,
    ),
    _adds(
        "brings a plugin along",
        f'pytest_plugins = ["calm_plugin"]\n{TEST_SHIPPING}',
        "added-tests",
        "code that runs with them|speaks to the test machinery",
        targets=SHIPPING_TARGETS,
        more={"tests/calm_plugin.py": _FOR_ALL},
        allowances=LARGE,
    ),
    _adds(
        "brings a start-up file along",
        TEST_SHIPPING,
        "tests-untouched",
        "start of Python",
        targets=SHIPPING_TARGETS,
        more={"sitecustomize.py": "import builtins\n\nbuiltins.CALM = True\n"},
    ),
    Claimed(
        "replaces the failing test of another file",
        {
            "shop/cart.py": SHIPPING.replace("percent // 100", "percent // 10"),
            "tests/test_a.py": "import test_cart\n\nfrom shop.cart import shipping\n\n"
            "test_cart.test_discount = lambda: None\n\n\ndef test_it():\n    assert shipping(100) == 10\n",
        },
        "repairs",
        (("tests/test_a.py::test_it", "ImportError"),),
        "added-tests",
        "imports from the tests",
        base="plain",
    ),
    Claimed(
        "repairs the product from within a test file",
        {
            "shop/cart.py": SHIPPING.replace("percent // 100", "percent // 10"),
            "tests/test_a.py": "import shop.cart\nfrom shop.cart import shipping\n\n"
            'vars(shop.cart)["discount"] = lambda total, percent: total - total * percent // 100\n\n\n'
            "def test_it():\n    assert shipping(100) == 10\n",
        },
        "repairs",
        (("tests/test_a.py::test_it", "ImportError"),),
        "targets-pass",
        "still fails",
        base="plain",
    ),
    _adds(
        "replaces a function of the product for everyone",
        "import shop.cart\n\nshop.cart.line_total = lambda price, quantity: price * quantity\n\n\ndef test_it():\n"
        "    assert shop.cart.shipping(100) == 10\n",
        "added-tests",
        "for everyone",
        "AttributeError",
    ),
    _adds(
        "edits the source code while it runs",
        f"from pathlib import Path\n\n{TEST_SHIPPING}\n\ndef test_it():\n"
        '    place = Path(__file__).parent.parent / "shop" / ("ca" + "rt.py")\n'
        '    place.write_text(place.read_text() + "# seen\\n")\n    assert shipping(100) == 10\n',
        "tamper",
        "change files of the repository while they run: shop/cart.py",
    ),
    Claimed(
        "deselects other tests while it is collected",
        {
            "shop/cart.py": SHIPPING,
            "tests/test_a.py": "import gc\n\nfrom shop.cart import shipping\n\nfor thing in gc.get_objects():\n"
            '    if type(thing).__name__ == "Config":\n        thing.option.keyword = "not currencies"\n\n\n'
            "def test_it():\n    assert shipping(100) == 10\n",
        },
        "adds",
        (("tests/test_a.py::test_it", "ImportError"),),
        "added-pass",
        "With the added test files in place, 1 test did not pass: tests/test_money.py::test_currencies_do_not_mix",
    ),
    Claimed(
        "lies where nobody runs it",
        {"shop/cart.py": SHIPPING, "shop/test_shipping.py": TEST_SHIPPING},
        "adds",
        (("shop/test_shipping.py::test_a_tenth", "ImportError"),),
        "added-failed-before",
        "was not run",
        allowances=Allowances(added_tests=("shop/test_*.py",)),
    ),
    _adds(
        "fails with one of the hash seeds",
        "from shop.cart import shipping\n\n\ndef test_it():\n"
        f'    assert shipping(100) == 10 and hash("shop") != {_hash_in(122)}\n',
        "added-pass",
        "test_it fails",
    ),
    _adds(
        "passes only after another test",
        "from shop.cart import shipping\n\ndone = []\n\n\ndef test_it():\n    done.append(shipping(100))\n"
        "    assert done == [10]\n\n\ndef test_then():\n    assert done + [shipping(200)] == [10, 20]\n",
        "added-pass",
        "test_then fails",
        targets=((ONE, "ImportError"), (f"{TEST}::test_then", "ImportError")),
    ),
]

PRESERVES = [
    Claimed(
        "deletes a rule and its test",
        {
            "shop/money.py": MONEY.replace(
                '            raise ValueError("cannot add different currencies")', "            pass"
            ),
            "tests/test_money.py": TEST_MONEY[: TEST_MONEY.index("\n\ndef test_currencies")] + "\n",
        },
        "preserves",
        (),
        "tests-untouched",
        "is a test file",
    ),
    Claimed(
        "deletes a rule and its test, where tests may change",
        {
            "shop/money.py": MONEY.replace(
                '            raise ValueError("cannot add different currencies")', "            pass"
            ),
            "tests/test_money.py": TEST_MONEY[: TEST_MONEY.index("\n\ndef test_currencies")].replace(
                "import pytest\n\n", ""
            )
            + "\n",
        },
        "preserves",
        (),
        "nothing-broken",
        "test_currencies_do_not_mix",
        allowances=LARGE,
    ),
    Claimed(
        "behaves differently near the tests' inputs",
        {"shop/cart.py": SOUND.replace("return price * quantity", "return price * min(quantity, 50)")},
        "preserves",
        (),
        "generalises",
        "behaves as before",
        flagged=True,
    ),
    Claimed(
        "changes what no test runs",
        {
            "shop/money.py": MONEY.replace(
                "    def __str__", "    def __bool__(self):\n        return self.cents > 0\n\n    def __str__"
            )
        },
        "preserves",
        (),
        "change-covered",
        "no steady test runs",
        flagged=True,
    ),
    Claimed(
        "renames a parameter that nobody asked about",
        {
            "shop/cart.py": SOUND.replace("percent=0", "rate=0").replace(
                "discount(total, percent), CURRENCY", "discount(total, rate), CURRENCY"
            )
        },
        "preserves",
        (),
        "interface",
        "takes .lines, rate. instead of .lines, percent.",
        flagged=True,
    ),
    Claimed(
        "takes a public name away",
        {
            "shop/cart.py": SOUND.replace('CURRENCY = os.environ.get("SHOP_CURRENCY", "EUR")\n', "").replace(
                ", CURRENCY)", ', os.environ.get("SHOP_CURRENCY", "EUR"))'
            ),
            "tests/conftest.py": CONFTEST.replace('    assert shop.cart.CURRENCY == "EUR"\n', "").replace(
                "import pytest\n\nimport shop.cart\n", "import pytest\n"
            ),
        },
        "preserves",
        (),
        "interface",
        "`shop.cart.CURRENCY` is gone",
        flagged=True,
        allowances=LARGE,
    ),
    Claimed(
        "names a target",
        {"shop/cart.py": SHIPPING, TEST: TEST_SHIPPING},
        "preserves",
        SHIPPING_TARGETS,
        "targets-failed-before",
        "has no target",
    ),
    Claimed(
        "changes the tests' configuration on the way",
        {
            "pyproject.toml": PYPROJECT + 'addopts = "-k discount"\n',
            "shop/cart.py": SOUND.replace("import os", "import os  # x"),
        },
        "preserves",
        (),
        "tests-untouched",
        "configures",
    ),
]

ALL = [*VACUOUS, *STEERING, *PRESERVES]
assert len({candidate.name for candidate in ALL}) == len(ALL)
