"""A small table whose every number is known."""

import json
from dataclasses import dataclass

from experiments.pipeline.stage import Measurement
from experiments.recipes.images import SCALES
from experiments.scores.judge import Judge
from experiments.tables import report
from experiments.tables.columns import NOT_NEGATIVE, Column
from experiments.tables.results import Results, Table
from experiments.tables.rows import Row
from tests.helpers.stages import make

PAPER = ({"Paper": 29.64}, {"Paper": 22.6}, {})
NAMES = ("Alone", "Pair", "All")
FID = ((9.0, 12.0, 12.0), (10.0, 12.0, 14.0), (5.0, 5.0, 5.0))
HITS = ((0.5, 0.5, 0.5), (0.25, 0.5, 0.75), (1.0, 1.0, 1.0))


@dataclass(frozen=True)
class BrightJudge(Judge):
    """Reads a one where the first pixel is bright, else a zero."""

    classifies = True

    def make(self, folder, context):
        (folder / "judge").touch()

    def trust(self):
        return {"accuracy": 0.975}

    def wrong(self, store, images, labels):
        return (images[:, 0, 0, 0] > 0.5).astype(int) != labels


@dataclass(frozen=True)
class Given(Measurement):
    """A measurement typed by hand; a negative number is left out."""

    fid: float
    hits: float
    judge: BrightJudge = BrightJudge()

    def measure(self, folder, context):
        return {"fid": self.fid, **({} if self.hits < 0 else {"hits": self.hits})}

    def remarks(self, store):
        return (f"The judge is right {self.judge.trust()['accuracy']:.1%} of the time.",)


def rows(scale, seed):
    given = [Given(fid[seed], hits[seed]) for fid, hits in zip(FID, HITS, strict=True)]
    return [Row({"Strategy": n}, m, p) for n, m, p in zip(NAMES, given, PAPER, strict=True)]


COLUMNS = [Column("fid", "FID", 2, lies=NOT_NEGATIVE), Column("hits", "Hits, %", 1, factor=100)]
TABLE = Table(
    "table9", "Table 9. By hand", COLUMNS, rows, SCALES, lambda scale: BrightJudge(),
    paper=["Paper"], notes=["A note."],
)  # fmt: skip


def fill(store, rows, seeds):
    for seed in range(seeds):
        for row in rows(None, seed):
            if row.measured is not None:
                make(store, row.measured.judge)
                make(store, row.measured)
    return store


def write(store, folder, table=TABLE, seeds=3, scale="small"):
    folder = report.open_folder(folder, scale, {})
    report.write(Results(table, scale, SCALES[scale], seeds, store), folder)
    return folder


def publish(folder, name, rows):
    """A table's .json: {row names: {key: values by seed}}."""
    found = [{"names": dict(enumerate(n)), "values": values} for n, values in rows.items()]
    text = json.dumps({"rows": found, "seeds": 3, "commits": ["abc"]})
    (folder / f"{name}.json").write_text(text)
