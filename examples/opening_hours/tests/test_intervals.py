from opening_hours.intervals import merged, total, without


def test_merge_sorts_and_joins():
    assert merged([(5, 8), (1, 3), (2, 4)]) == [(1, 4), (5, 8)]


def test_touching_periods_become_one():
    assert merged([(1, 3), (3, 5)]) == [(1, 5)]


def test_empty_periods_vanish():
    assert merged([(3, 3), (4, 2)]) == []


def test_cut_a_hole():
    assert without([(0, 10)], [(3, 5)]) == [(0, 3), (5, 10)]


def test_cut_edges_and_all():
    assert without([(0, 10), (20, 30)], [(0, 2), (25, 40)]) == [(2, 10), (20, 25)]
    assert without([(2, 3)], [(0, 10)]) == []


def test_cut_nothing():
    assert without([(0, 10)], [(10, 12)]) == [(0, 10)]


def test_total():
    assert total([(0, 10), (20, 25)]) == 15
