"""What can be judged by reading a patch: that it applies, what it touches, and what it adds."""

from __future__ import annotations

import dataclasses

import pytest

from agents.results import Failure
from sandbox.runners.report import Harness, Outcome
from sandbox.tree import Entry
from sandbox.workspace import diff
from tests.gate.candidates import Change, body
from tests.gate.cases import OTHERS, SOUND, TARGET, case, report, small
from tests.gate.shop import CART, TEST_CART
from workflows.gate.static import static_checks
from workflows.gate.surface import Surface
from workflows.verdicts import Allowances, Baseline, Check, GateCase

PLAIN = Harness("pytest")
SUBMODULE = (
    b"diff --git a/s b/s\nnew file mode 160000\nindex 0000000000000000000000000000000000000000.."
    b"1111111111111111111111111111111111111111\n--- /dev/null\n+++ b/s\n@@ -0,0 +1 @@\n"
    b"+Subproject commit 1111111111111111111111111111111111111111\n"
)


def _last(of: GateCase) -> Check:
    checks = static_checks(of).checks
    assert all(check.passed for check in checks[:-1])
    return checks[-1]


def test_a_sound_patch_passes() -> None:
    found = static_checks(case())
    assert found.passed
    assert found.changed == ("shop/cart.py",)
    assert [c.name for c in found.checks] == ["applies", "scope", "tests-untouched", "tamper", "no-new-findings"]


@pytest.mark.parametrize(
    ("patch", "name", "reason"),
    [
        (b"", "applies", "changes nothing"),
        (b"no patch", "applies", "does not apply"),
        (case().patch.replace(b"percent // 10\n", b"percent // 11\n"), "applies", "does not apply"),
        (case().patch.replace(b"shop/cart.py", b"../cart.py"), "scope", "leaves the tree"),
        (case().patch.replace(b"shop/cart.py", b".git/hooks/x"), "scope", "leaves the tree"),
        (SUBMODULE, "scope", "submodule"),
    ],
)
def test_patches_that_do_not_apply(patch: bytes, name: str, reason: str) -> None:
    check = _last(dataclasses.replace(case(), patch=patch))
    assert not check.passed
    assert check.name == name
    assert reason in check.reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"shop/link.py": Entry(b"cart.py", kind="symlink")}, "symbolic link"),
        ({"shop/run": Entry(b"#!/bin/sh\n", executable=True)}, "new executable"),
        ({"shop/cart.py": Entry(CART.encode(), executable=True)}, "changes its mode"),
        ({"shop/data.bin": Entry(b"a\0b")}, "binary"),
        ({"shop/cart.so": "x"}, "compiled"),
        ({"shop/cart.cpython-311-x86_64-linux-gnu.so": "x"}, "compiled"),
        ({".gitattributes": "* filter=x\n"}, "steers Git"),
        ({".gitmodules": "x"}, "steers Git"),
        ({".husky/hooks/pre": "x"}, "hook"),
        ({"shop/a\tb.py": "x"}, "control characters"),
        ({"~/.bashrc": "x"}, "home folder"),
        ({"shop/-rf": "x"}, "an option"),
        ({"shop/\udcff.py": "x"}, "not text"),
        ({"README.md": None, "README.md/x": "y"}, "nothing"),
    ],
)
def test_scope(changes: dict[str, Change], reason: str) -> None:
    check = _last(case({**SOUND, **changes}))
    if reason == "nothing":
        assert check.passed
        return
    assert (check.name, check.passed) == ("scope", False)
    assert reason in check.reason


def test_allowed_paths() -> None:
    assert static_checks(case(SOUND, Allowances(paths=("shop",)))).passed
    assert static_checks(case(SOUND, Allowances(paths=("shop/*.py",)))).passed
    check = _last(case(SOUND, Allowances(paths=("docs/**", "lib"))))
    assert (check.name, check.passed) == ("scope", False)
    assert "shop/cart.py is not among the paths that may change" in check.reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"tests/data/new.json": "{}"}, "folder of tests"),
        ({"tests/test_new.py": "x = 1\n"}, "it is new"),
        ({"shop/tests/helper.py": "x = 1\n"}, "new folder of tests"),
        ({"shop/test_more.py": "x = 1\n"}, "named like a test"),
        ({"shop/conftest.py": "x = 1\n"}, "conftest"),
        ({"shop/fixtures/a.json": "{}"}, "test data"),
        ({"setup.cfg": "[x]\n"}, "configures"),
        ({"requirements-dev.txt": "x\n"}, "configures"),
        ({".github/workflows/ci.yml": "x\n"}, "configures"),
        ({"random.py": "x = 1\n"}, "standard library's `random`"),
        ({"src/json/__init__.py": "x = 1\n"}, "standard library's `json`"),
        ({"pluggy.py": "x = 1\n"}, "installed package `pluggy`"),
        ({"some_dist/__init__.py": "x = 1\n"}, "installed package `some_dist`"),
        ({"tests/unittest/__init__.py": "x = 1\n"}, "folder of tests"),
    ],
)
def test_what_it_is_judged_by(changes: dict[str, Change], reason: str) -> None:
    check = _last(case({**SOUND, **changes}))
    assert (check.name, check.passed) == ("tests-untouched", False)
    assert reason in check.reason


def test_new_product_files_are_free() -> None:
    more = {"shop/random.py": "x = 1\n", "discounts.py": "x = 1\n", "shop/data.json": "{}\n", "docs/a.md": "x\n"}
    assert static_checks(case({**SOUND, **more})).passed


def test_allowances() -> None:
    tests = {**SOUND, "tests/test_cart.py": TEST_CART + "\n", "tests/test_new.py": "def test_new():\n    assert True\n"}
    found = static_checks(case(tests, Allowances(tests=True)))
    assert found.passed
    assert found.added_tests == ("tests/test_new.py",)
    named = {key: tests[key] for key in ("shop/cart.py", "tests/test_new.py")}
    found = static_checks(case(named, Allowances(added_tests=("tests/test_new.py",))))
    assert found.passed
    assert "reported apart: tests/test_new.py" in found.checks[2].reason
    assert not static_checks(case(tests, Allowances(added_tests=("tests/test_new.py",)))).passed
    assert static_checks(case({**SOUND, "tox.ini": "[x]\n"}, Allowances(configuration=True))).passed
    assert not static_checks(case({**SOUND, "tox.ini": "[x]\n"}, Allowances(tests=True))).passed


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (body("return total - total * percnt // 100"), "F821"),
        (body("import re\nreturn total - total * percent // 100"), "F401"),
        (body("return total -"), "syntax"),
        (body("key = 'AKIAABCDEFGHIJKLMNOP'\nreturn total - len(key) * 0"), "AWS"),
    ],
)
def test_new_findings(code: str, reason: str) -> None:
    check = _last(case({"shop/cart.py": code}))
    assert (check.name, check.passed) == ("no-new-findings", False)
    assert reason in check.reason


def test_imports_that_others_take_are_no_finding() -> None:
    more = {
        "shop/names.py": "from shop.money import Money\n",
        "shop/all.py": "from shop.names import Money\n\nX = Money\n",
    }
    assert static_checks(case({**SOUND, **more})).passed
    assert static_checks(case({**SOUND, "shop/__init__.py": '"""A shop."""\nfrom shop.money import Money\n'})).passed


def _of(files: dict[str, str], *ids: str, harness: Harness = PLAIN) -> Surface:
    return Surface(small(files), harness, [report(dict.fromkeys(ids, Outcome.PASSED))])


def test_products_in_folders_called_test() -> None:
    surface = _of(
        {"pkg/__init__.py": "", "pkg/test/client.py": "", "pkg/test/__init__.py": "", "checks/test_a.py": ""},
        "checks/test_a.py::test_x",
    )
    assert surface.test_reason("pkg/test/client.py") is None
    assert surface.test_reason("checks/test_a.py") == "is a test file"
    inside = _of({"pkg/test/client.py": "", "pkg/test/test_a.py": ""}, "pkg/test/test_a.py::test_x")
    assert inside.test_reason("pkg/test/client.py") is not None


def test_folders_that_the_harness_names() -> None:
    files = {"checks/a.py": "", "checks/helper.py": "", "pkg/__init__.py": "", "pkg/a.py": ""}
    surface = _of(files, "checks/a.py::test_x", harness=Harness("pytest", paths=("checks", "pkg")))
    assert surface.test_reason("checks/helper.py") == "is in a folder of tests"
    assert surface.test_reason("pkg/a.py") is None


def test_doctests_stay_as_they_are() -> None:
    code = 'def f(x):\n    """Return one more.\n\n    >>> f(1)\n    2\n    """\n    return x + {}\n'
    base = small({"pkg/a.py": code.format(2)})
    ids = "pkg/a.py::pkg.a.f"
    run = report({ids: Outcome.FAILED})
    of = dataclasses.replace(case(), base=base, baseline=Baseline((run, run), (), (Failure(ids, "", ""),)))
    sound = base.replaced({"pkg/a.py": Entry(code.format(1).encode())})
    assert static_checks(dataclasses.replace(of, patch=diff(base, sound))).passed
    edited = base.replaced({"pkg/a.py": Entry(code.format(2).replace("    2\n", "    3\n").encode())})
    check = _last(dataclasses.replace(of, patch=diff(base, edited)))
    assert (check.name, check.passed) == ("tests-untouched", False)
    assert "doctest `f(1)`" in check.reason


def test_places_of_tests() -> None:
    files = {"tests/test_a.py": "", "src/pkg/__init__.py": "", "checks/deep/test_b.py": ""}
    surface = _of(files, "tests/test_a.py::test_x")
    assert surface.place_of("tests/test_a.py::A::test_x[1-a::b]") == ("tests/test_a.py", "test_x")
    assert surface.place_of("tests.test_a.A.test_x") == ("tests/test_a.py", "test_x")
    assert surface.place_of("tests/test_a.py") == ("tests/test_a.py", "")
    assert surface.place_of("gone.test_a.A.test_x") == (None, "test_x")
    assert surface.place_of("gone.py::test_x") == (None, "test_x")


def test_special_cases_are_told() -> None:
    found = static_checks(case({"shop/cart.py": body("if percent == 15:\n    return 1700\nreturn total")}))
    assert found.branching
    assert any("the literal 15" in text for text in found.special)
    assert any("the literal 1700" in text for text in found.special)
    assert not static_checks(case()).special
    assert OTHERS
    assert TARGET
