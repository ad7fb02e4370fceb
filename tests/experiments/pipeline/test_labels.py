"""Labels that tell stages apart: by seed, by what they are made from, by a value, by their key."""

from dataclasses import dataclass

from experiments.hddm.table1 import TABLE
from experiments.pipeline import build, labels
from experiments.pipeline.stage import Stage
from experiments.tables.rows import measurements


@dataclass(frozen=True)
class Drawn(Stage):
    """A stage that is called the same whatever it is made from."""

    of: tuple["Drawn", ...] = ()
    seed: int | None = None
    guidance: float = 1.0
    name: str = "drawn"

    @property
    def label(self):
        return self.name


def test_each_is_told_by_the_nearest_that_sets_it_apart():
    """kills: a seed unsaid or said where it sets nothing apart, an input that all share, a value of
    an input taken for its own, two that are still called the same."""
    alone = Drawn(seed=3, name="alone")
    seeds = [Drawn(seed=0, name="split"), Drawn(seed=1, name="split")]
    routers = [Drawn(name="aware"), Drawn(name="free"), Drawn(name="shared")]
    made = [Drawn((routers[i], routers[2]), name="samples") for i in (0, 1)]
    scores = [Drawn((each,), name="score") for each in made]
    guided = [Drawn(guidance=x, name="guided") for x in (1.0, 2.0)]
    many = [Drawn(tuple(Drawn(name=f"{k}{i}") for i in range(5)), name="many") for k in "xy"]
    stages = [alone, *seeds, *routers, *made, *scores, *guided, *many]
    found = labels.distinct(stages)
    assert [found[stage.key] for stage in stages] == [
        "alone", "split, seed 0", "split, seed 1", "aware", "free", "shared",
        "samples (aware)", "samples (free)", "score (aware)", "score (free)",
        "guided, guidance 1.0", "guided, guidance 2.0",
        *(f"many {stage.key[:6]}" for stage in many),
    ]  # fmt: skip


def test_no_two_stages_of_table_1_are_called_the_same():
    """kills: a run of ten seeds whose lines say "train split, encoded" ten times."""
    stages = build.behind(measurements(TABLE.by_seed(TABLE.scales["smoke"], 10)))
    found = labels.distinct(stages)
    assert len(set(found.values())) == len(stages) > 300
    assert max(map(len, found.values())) < 120
