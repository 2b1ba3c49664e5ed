import pytest

from opening_hours.clock import ClockError, day_index, format_minutes, parse_minutes


@pytest.mark.parametrize(
    ("text", "minutes"), [("0", 0), ("9", 540), ("9:30", 570), ("17.05", 1025), (" 24:00 ", 1440)]
)
def test_parse(text, minutes):
    assert parse_minutes(text) == minutes


@pytest.mark.parametrize("text", ["", "noon", "9:60", "24:01", "-1", "9:3x"])
def test_parse_refuses(text):
    with pytest.raises(ClockError):
        parse_minutes(text)


def test_format():
    assert format_minutes(570) == "09:30"
    assert format_minutes(0) == "00:00"


def test_days():
    assert day_index("Monday") == 0
    assert day_index(" SUN") == 6
    with pytest.raises(ClockError):
        day_index("someday")
