"""What is bold: the best, and what cannot be told from it, unless that is everything."""

from experiments.tables.written.best import best

NEAR, ALIKE, FAR = [5.0, 6.0, 7.0], [5.1, 5.8, 7.2], [9.0, 10.0, 11.0]


def test_nothing_is_bold_where_no_row_stands_out():
    """kills: a column in which every row is bold, an oracle or data counted among those rows."""
    models = [False, False, False]
    assert best("fid", [NEAR, ALIKE, FAR], models) == {0, 1}
    assert best("fid", [NEAR, ALIKE, ALIKE], models) == set()
    assert best("fid", [NEAR, ALIKE, FAR], [False, False, True]) == set()
    assert best("accuracy", [NEAR, ALIKE, FAR], models) == {2}


def test_an_only_model_is_the_best_of_its_column():
    """kills: a table of one model beside real pictures with nothing bold, missing rows counted."""
    assert best("fid", [NEAR, FAR], [False, True]) == {0}
    assert best("fid", [NEAR, [None, None, None]], [False, False]) == {0}


def test_a_column_without_a_direction_has_no_best():
    """kills: a price or a count taken for a quality."""
    assert best("expert_evaluations", [NEAR, FAR], [False, False]) == set()
