"""A table on a page: ten columns, the best in bold, the paper's numbers apart."""

from dataclasses import dataclass, replace

from experiments.pipeline.stage import Measurement
from experiments.tables.columns import Column
from experiments.tables.comparisons import compared
from experiments.tables.rows import Row
from experiments.tables.written.best import best, beyond_models
from experiments.tables.written.table import read
from tests.helpers import tables
from tests.helpers.tables import TABLE, BrightJudge, fill, write


@dataclass(frozen=True)
class Many(Measurement):
    """Twelve numbers that follow from seed and name."""

    seed: int
    name: str
    judge: BrightJudge = BrightJudge()

    def measure(self, folder, context):
        base = 100.0 * (1 + "AB".index(self.name)) + self.seed
        return {f"fid {i}": base + i for i in range(12)}


def test_the_page_tells_what_is_best_and_what_is_the_papers(store, tmp_path):
    """kills: the worst in bold, bold where paired differences are none, only the best mean in bold
    though nothing tells another from it, the paper's number looking like ours."""
    text = (write(fill(store, tables.rows, 3), tmp_path) / "table9.md").read_text()
    head, _, alone, pair, every = [line for line in text.splitlines() if line.startswith("|")][:5]
    assert head == "| Strategy | *Paper* | FID ↓ | Hits, % |"
    assert "**5.00 ± 0.00**" in every
    assert "**11" not in alone
    assert "**12" not in pair
    assert "| *29.64* |" in alone
    assert "In italics what the paper prints" in text
    assert "Bold: the best" in text


def test_what_a_page_has_no_room_for_is_in_the_csv(store, tmp_path):
    """kills: eleven columns on a page, a column that is nowhere, one that is lost to whoever reads
    the files, the paper's numbers lost where they would crowd ours out."""
    columns = [Column(f"fid {i}", f"fid {i}", 2) for i in range(12)]

    def many(scale, seed):
        return [Row({"Strategy": name}, Many(seed, name), {"Paper": 7.5}) for name in "AB"]

    fill(store, many, 2)
    table = replace(TABLE, columns=columns, rows=many, paper=["Paper"])
    folder = write(store, tmp_path, table, seeds=2)
    text = (folder / "table9.md").read_text()
    heads = [line for line in text.splitlines() if line.startswith("| Strategy")]
    assert [head.count(" | ") + 1 for head in heads] == [10, 2, 10]
    assert heads[1] == "| Strategy | *Paper* |"
    assert "| A | *7.5* |" in text
    assert "Further columns are in table9.csv: fid 9 ↓, fid 10 ↓, fid 11 ↓." in text
    written = read(folder, "table9")
    assert [column.title for column in written.columns] == [column.title for column in columns]
    for row, base in zip(written.rows, (100.0, 200.0), strict=True):
        assert [cell.mean for cell in row.cells] == [base + i + 0.5 for i in range(12)]
        assert [cell.shown for cell in row.cells] == [
            f"{base + i + 0.5:.2f} ± 6.35" for i in range(12)
        ]
        assert row.paper == ["7.5"]
    assert [cell.difference_shown for cell in written.rows[1].cells] == ["100.00 ± 0.00"] * 12


@dataclass(frozen=True)
class Last(Measurement):
    """A number that only the last of twelve columns has."""

    seed: int
    judge: BrightJudge = BrightJudge()

    def measure(self, folder, context):
        return {"fid 11": 7.0 + self.seed}


def test_a_row_that_the_page_has_no_column_of_stands_in_a_table_of_its_own(store, tmp_path):
    """kills: a row of dashes, a row or a number on no page, a page that is not read back."""
    columns = [Column(f"fid {i}", f"fid {i}", 2) for i in range(12)]

    def two(scale, seed):
        return [Row({"Strategy": "A"}, Many(seed, "A")), Row({"Strategy": "B"}, Last(seed))]

    fill(store, two, 2)
    folder = write(store, tmp_path, replace(TABLE, columns=columns, rows=two, paper=[]), seeds=2)
    lines = (folder / "table9.md").read_text().splitlines()
    at = lines.index("| Strategy | fid 11 ↓ |")
    assert lines[at + 2] == "| B | **7.50 ± 6.35** |"
    assert [line.split(" | ")[0] for line in lines[:at] if line.startswith("| ")][2:] == ["| A"]
    a, b = read(folder, "table9").rows
    assert [cell.mean for cell in b.cells] == [*[None] * 11, 7.5]
    assert a.cells[11].mean == 111.5


def test_the_best_are_the_best_mean_and_what_a_paired_interval_does_not_tell_from_it():
    """kills: the greatest in bold where less is better, an unpaired interval, whose width seeds
    share, a row of real pictures, a row without numbers, a direction where there is none, a row in
    bold for its noise."""
    seeds = [10.0, 20.0, 30.0]
    each = [seeds, [x + 1 for x in seeds], [11.0, 19.0, 30.5], [0.0] * 3, [None] * 3]
    real = [False, False, False, True, False]
    assert best("fid", each, real) == {0, 2}
    assert best("accuracy", each, real) == {1, 2}
    assert best("diversity", each, real) == set()
    assert best("fid", [[None], [2.0], [1.0], [1.0]], [False] * 4) == {2, 3}
    noisy = [
        [10.0, 10.1, 9.9],
        [12.0, 12.1, 11.9],
        [0.0, 40.0, 5.0],
    ]  # not told from the best, and far from it
    assert best("fid", noisy, [False] * 3) == {0}


def test_neither_real_pictures_nor_an_oracle_are_models_that_are_compared():
    """kills: bold for what knows the held-out picture, for real pictures; a model left out that is
    none of these."""
    assert beyond_models(["oracle cluster", ""], [25.0])
    assert beyond_models(["at random", "Top-1", "oracle"], [25.0])
    assert beyond_models(["Real pictures"], [0.0, 0.0])
    assert not beyond_models(["Top-1", "text-aware"], [25.0, None])
    assert not beyond_models(["Monolithic"], [])


def test_a_table_of_counts_gives_no_interval_and_says_so(store, tmp_path):
    """kills: half-widths promised of numbers that no seed moves."""
    fill(store, tables.rows, 3)
    measured = (write(store, tmp_path) / "table9.md").read_text()
    columns = [replace(column, counted=True) for column in TABLE.columns]
    counted = (write(store, tmp_path, replace(TABLE, columns=columns)) / "table9.md").read_text()
    assert "no number depends on the seed, of which there were 3" in counted
    assert "half-width" not in counted
    assert "half-width of the 95 % interval" in measured


def test_one_seed_says_once_that_it_gives_no_interval(store, tmp_path):
    """kills: a line without an interval for each comparison, a test that needs none dropped, lines
    with intervals dropped."""

    def tests(results):
        pairs = (("Pair", "Alone"), ("All", "Alone"), ("All", "Pair"))
        compare = [compared(results, TABLE.columns[0], (a,), (b,)) for a, b in pairs]
        return [*compare, "Chosen: none."]

    table = replace(TABLE, tests=tests)
    fill(store, tables.rows, 3)
    alone, many = (
        (write(store, tmp_path, table, seeds=seeds) / "table9.md").read_text() for seeds in (1, 3)
    )
    assert alone.count("no interval") == 1
    assert "- Chosen: none." in alone
    assert many.count(" less ") == 3
    assert "- Chosen: none." in many
