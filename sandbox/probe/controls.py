"""Tests that must fail: where one of them does not, no result of the run can be believed."""

import unittest


def control_assert():  # type: ignore[no-untyped-def]
    one, two = 1, 2
    assert one == two  # noqa: S101


def control_comparison():  # type: ignore[no-untyped-def]
    left, right = [1, {"a": 2}], [1, {"a": 3}]
    assert left == right  # noqa: S101


def control_raises():  # type: ignore[no-untyped-def]
    import pytest

    with pytest.raises(ZeroDivisionError):
        pass


def control_exception():  # type: ignore[no-untyped-def]
    raise LookupError("the control's own")


class ControlCase(unittest.TestCase):
    """The same for unittest; pytest and unittest find the methods by their prefix."""

    def test_equal(self):  # type: ignore[no-untyped-def]
        self.assertEqual(1, 2)  # noqa: PT009

    def test_true(self):  # type: ignore[no-untyped-def]
        self.assertTrue([])  # noqa: PT009

    def test_raises(self):  # type: ignore[no-untyped-def]
        with self.assertRaises(ZeroDivisionError):  # noqa: PT027
            pass

    def test_fail(self):  # type: ignore[no-untyped-def]
        self.fail("the control's own")


METHODS = ("test_equal", "test_true", "test_raises", "test_fail")
"""The control methods of `ControlCase`."""
