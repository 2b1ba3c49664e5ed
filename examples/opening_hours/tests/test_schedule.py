import pytest

from opening_hours import Schedule


@pytest.fixture
def bakery():
    schedule = Schedule()
    for day in ("mon", "tue", "wed", "thu", "fri"):
        schedule.add(day, "6:00", "18:00").close(day, "12:00", "13:00")
    return schedule.add("sat", "6:00", "12:00")


def test_open_and_closed(bakery):
    assert bakery.is_open("mon", "6:00")
    assert not bakery.is_open("mon", "12:30")
    assert not bakery.is_open("mon", "18:00")
    assert not bakery.is_open("sun", "10:00")


def test_next_opening(bakery):
    assert bakery.next_opening("mon", "5:00") == 60
    assert bakery.next_opening("tue", "12:15") == 45
    assert bakery.next_opening("wed", "9:00") == 0
    assert bakery.next_opening("sun", "6:00") == 24 * 60


def test_never_open():
    assert Schedule().next_opening("mon", "9:00") is None


def test_past_midnight():
    bar = Schedule().add("sun", "20:00", "2:00")
    assert bar.is_open("sun", "23:59")
    assert bar.is_open("mon", "1:59")
    assert not bar.is_open("mon", "2:00")


def test_minutes_a_week(bakery):
    assert bakery.minutes_a_week() == (5 * 11 + 6) * 60


def test_happy_hour_inside_the_evening():
    # The happy hour is entered as a period of its own; it must not end the evening.
    bar = Schedule().add("fri", "16:00", "23:00").add("fri", "17:00", "18:00")
    assert bar.is_open("fri", "17:30")
    assert bar.is_open("fri", "20:00")
    assert bar.minutes_a_week() == 7 * 60
