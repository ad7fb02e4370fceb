"""Table 4's test over classes, on numbers that are checked by hand."""

from types import SimpleNamespace

import pytest

from experiments.hddm import table4
from experiments.scores.score import Score
from experiments.tables.rows import Row

TWO, HOMO = ("text-aware", "2 DDPM", "aligned"), ("text-aware", "8 FM", "aligned")


def over_classes(monkeypatch, *seeds):
    """The line of seeds that each have, for two rows, their diversity by class."""
    monkeypatch.setattr(table4, "_by_class", lambda score, store: score.pictures)
    rows = [
        [
            Row(dict(enumerate(name)), Score(each, None))
            for name, each in zip((TWO, HOMO), seed, strict=True)
        ]
        for seed in seeds
    ]
    table = SimpleNamespace(name="table4")
    return table4._over_classes(SimpleNamespace(rows=rows, store=None, table=table), TWO, HOMO)


def test_classes_are_paired_by_their_label(monkeypatch):
    """kills: the first classes of one seed paired with others of another, which names others."""
    first = {1: 3.0, 2: 5.0, 7: 90.0}, {1: 1.0, 2: 2.0, 7: 0.0}
    second = {0: 50.0, 1: 5.0, 2: 6.0}, {0: 0.0, 1: 1.0, 2: 2.0}
    line = over_classes(monkeypatch, first, second)
    assert "paired over 2 classes: 3.250, " in line  # 4 - 1 and 5.5 - 2


@pytest.mark.parametrize("second", [{1: 5.0}, {8: 1.0, 9: 1.0}])
def test_too_few_classes_that_all_seeds_name_are_no_test(monkeypatch, second):
    """kills: an interval of one class, or a table that ends where the seeds share none."""
    first = {1: 3.0, 2: 5.0}
    assert over_classes(monkeypatch, (first, first), (second, second)) is None
