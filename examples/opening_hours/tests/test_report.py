from opening_hours import Schedule, table


def test_days_that_read_alike_are_one_line():
    schedule = Schedule()
    for day in ("mon", "tue", "wed", "thu", "fri"):
        schedule.add(day, "9:00", "18:00")
    schedule.add("sat", "9:00", "12:00")
    assert table(schedule) == "mon-fri  09:00-18:00\nsat      09:00-12:00\nsun      closed"


def test_break():
    schedule = Schedule().add("wed", "9:00", "18:00").close("wed", "12:00", "13:00")
    assert "wed      09:00-12:00, 13:00-18:00" in table(schedule)
