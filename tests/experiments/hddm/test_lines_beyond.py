"""Lines and charts of the tables beyond the papers, from numbers that are known: a row that a line
names and the table lacks would be noticed only behind hours of training.
"""

import numpy as np
import pytest

from experiments.hddm import ablation_k, ablation_solver, ablation_times, distill
from experiments.recipes.images import SCALES
from experiments.tables.columns import ACCURACY, FID
from experiments.tables.results import Chart, Results
from experiments.tables.statistics import estimate

SEEDS = 3
SCRIPTS = {
    script.TABLE.name: script for script in (ablation_k, ablation_solver, ablation_times, distill)
}
LINES = {"ablation-k": 310, "ablation-solver": 330, "ablation-times": 70, "distill": 60}
"""At most: each is a contrast that a sentence may rest on, or a curve's point."""


class Known(Results):
    """Every column of every row has numbers, another in each, none of them read from a store."""

    def __init__(self, table, scale="scenes"):
        self.table, self.scale, self.seeds, self.lacking = table, SCALES[scale], SEEDS, []
        self.scale_name, self.changed, self.judge = scale, {}, table.judge(self.scale)
        self.rows = [table.rows(self.scale, seed) for seed in range(SEEDS)]
        keys = [c.key for column in table.columns for c in self.judge.columns_for(column)]
        draw = np.random.default_rng(0).uniform
        self.numbers = [
            [dict(zip(keys, draw(0.1, 0.9, len(keys)), strict=True)) for _ in rows]
            for rows in self.rows
        ]

    def of(self, *names):
        """A row's numbers by seed, by the names that it begins with."""
        (i,) = (
            i for i, row in enumerate(self.rows[0]) if (*row.names.values(),)[: len(names)] == names
        )
        return i


def charts_of(results):
    """All but the sheets of pictures, which are drawn from the store."""
    sheets = ("ablation-times", "distill")
    return [draw for name, draw in results.table.figures.items() if name not in sheets]


@pytest.fixture(scope="module", params=SCRIPTS)
def known(request):
    return Known(SCRIPTS[request.param].TABLE)


def test_every_line_names_rows_that_are_there(known):
    """kills: a misspelt row, a line left out in silence, one line twice, hundreds too many."""
    lines = known.table.tests(known)
    assert None not in lines
    assert len(set(lines)) == len(lines) <= LINES[known.table.name]
    assert not [line for line in lines if "no interval" in line or "nan" in line]


@pytest.mark.parametrize("name", SCRIPTS)
def test_smoke_has_its_lines_and_charts(name):
    """kills: a row that only the larger scale has."""
    results = Known(SCRIPTS[name].TABLE, "smoke")
    lines = results.table.tests(results)
    assert lines
    assert None not in lines
    assert all(isinstance(chart(results), Chart) for chart in charts_of(results))


def test_every_chart_is_drawn_of_all_its_rows(known):
    """kills: a chart that looks for a row which the table has not."""
    assert charts_of(known)
    assert all(isinstance(chart(known), Chart) for chart in charts_of(known))


def said(results, *rows, column=FID):
    """A line's title and end: the first row less the second, less the third, and the fourth."""
    shown = results.shown(column)
    signs = (1, -1, -1, 1)[: len(rows)]
    values = [np.array(results.values(results.of(*row), column), float) for row in rows]
    difference = estimate(sum(s * x for s, x in zip(signs, values, strict=True)).tolist())
    return shown.title, f"{shown.show(difference)} (n = {SEEDS})"


def found(results, start, end):
    """Whether the one line that begins so has this number."""
    (line,) = [x for x in results.table.tests(results) if x and x.startswith(start)]
    return end in line


def test_a_student_is_held_against_its_teacher_and_both_against_the_monolith():
    """kills: a student's fault that is its teacher's told as its own, sides exchanged."""
    results = Known(distill.TABLE)
    own = distill.OWN
    for a, b in (
        ("Student of Top-2", "Ensemble, Top-2"),
        ("Ensemble, Top-2", "Monolithic"),
        ("Student of Top-1", "Student of Top-2"),
    ):
        title, end = said(results, (a, own), (b, own))
        assert found(results, f"{title}, {a}, {own} less {b}, {own}:", end)
    for k in (1, 2):
        near = distill.nearness([k])[0]
        pair = (f"Student of Top-{k}", own), ("Monolithic", own)
        title, end = said(results, *pair, column=near)
        assert title == f"RMS distance to Top-{k}'s samples, of a range of 2"
        assert found(results, f"{title}, {', '.join(pair[0])} less {', '.join(pair[1])}:", end)


def test_each_student_is_held_against_the_other_before_both_teachers():
    """kills: a student of blander samples, nearer to every teacher, told as a better pupil."""
    results, near = Known(distill.TABLE), distill.nearness([1, 2])
    rows = [results.of(f"Student of Top-{k}", distill.OWN) for k in (1, 2)]
    a, b, c, d = (np.array(results.values(row, column)) for column in near for row in rows)
    start = "RMS distance, Student of Top-1 less Student of Top-2, to Top-1's samples less to"
    shown = near[0].show(estimate((a - b - c + d).tolist()))
    assert found(results, start, f"{shown} (n = {SEEDS})")


def test_parting_within_clusters_is_held_against_parting_all_data():
    """kills: a difference of differences with a sign turned, ranges against another uniform row."""
    results = Known(ablation_times.TABLE)
    ranges = "t to 0.25, t from 0.25"
    rows = [(name, data) for data in ("a cluster each", "all data") for name in (ranges, "uniform")]
    title, end = said(results, *rows)
    a, b, c, d = (", ".join(row) for row in rows)
    assert found(results, f"{title}, ({a} less {b}) less ({c} less {d}):", end)


def test_each_number_of_experts_is_held_against_its_own_budget():
    """kills: as many evaluations against the monolith of as many steps, few steps against another
    number of them, Top-2 of four against no half, since Top-2 of two is Full."""
    results = Known(ablation_k.TABLE)
    steps, evaluations = "as many solver steps", "as many evaluations"
    for a, b in (
        ((evaluations, "text-aware", "Full", "16"), (evaluations, "", "Monolithic", "1")),
        ((evaluations, "text-aware", "Full", "16"), (steps, "text-aware", "Full", "16")),
        ((steps, "text-free", "Top-2", "4"), (steps, "text-free", "Full", "2")),
        ((steps, "text-free", "Full", "8"), (steps, "text-free", "Top-1", "8")),
        (
            (evaluations, "text-free", "Full", "8"),
            ("Full's few steps", "", "Monolithic, 10 steps", "1"),
        ),
        (("Full's few steps", "", "Monolithic, 5 steps", "1"), (steps, "", "Monolithic", "1")),
    ):
        title, end = said(results, a, b, column=ACCURACY)
        names = (", ".join(filter(None, each)) for each in (a, b))
        assert found(results, f"{title}, {' less '.join(names)}:", end)


@pytest.mark.parametrize("strategy", ["Full", "Top-2"])
def test_a_doubling_is_a_unit(strategy):
    """kills: a slope against K itself, or turned round, or over the means of seeds; Top-2's without
    its two experts, which are Full; one router's slope less the other's turned round."""
    results = Known(ablation_k.TABLE)
    for router, slopes in (("text-free", (1.0, 2.0, 3.0)), ("text-aware", (0.5, 0.0, -2.0))):
        for i, k in enumerate((2, 4, 8, 16)):
            row = results.of("as many solver steps", router, strategy if k > 2 else "Full", f"{k}")
            for seed, slope in enumerate(slopes):
                results.numbers[seed][row]["fid"] = 5 + slope * i
    lines, end = results.table.tests(results), "fitted slope for each doubling from 2 to 16:"
    free, aware = (f"as many solver steps, text-{x}, {strategy}" for x in ("free", "aware"))
    title = results.shown(FID).title
    none = "(n = 3): no difference found."
    assert f"{title}, {free}, {end} 2.00 ± 2.48 {none}" in lines
    assert f"{title}, ({free}) less ({aware}), {end} 2.50 ± 5.69 {none}" in lines


def slopes_of(results, router, counts):
    """FID's slope of Full by seed, over the doublings of these counts."""
    rows = [results.of("as many solver steps", router, "Full", f"{k}") for k in counts]
    values = np.array([results.values(row, FID) for row in rows], float)
    return np.polyfit(np.log2(counts), values, 1)[0]


def test_one_slope_less_another_is_of_the_counts_and_seeds_that_both_have():
    """kills: a row that failed takes its table along, or leaves a slope of 2 to 8 taken from one of
    2 to 16; a seed that lacks a number paired with another's."""
    results = Known(ablation_k.TABLE)
    results.lacking = [results.of("as many solver steps", "text-aware", "Full", "16")]
    part = results.complete()
    del part.numbers[0][part.of("as many solver steps", "text-free", "Full", "4")]["fid"]
    del part.numbers[0][part.of("as many solver steps", "text-aware", "Full", "2")]["fid"]
    counts = (2, 4, 8)
    free, aware = (slopes_of(part, f"text-{x}", counts)[1:] for x in ("free", "aware"))
    shown = part.shown(FID).show(estimate((free - aware).tolist()))
    names = (f"as many solver steps, text-{x}, Full" for x in ("free", "aware"))
    start = f"{part.shown(FID).title}, ({next(names)}) less ({next(names)}), "
    end = f"fitted slope for each doubling from 2 to 8: {shown} (n = 2)"
    assert found(part, start, end)
    del part.numbers[1][part.of("as many solver steps", "text-free", "Full", "8")]["fid"]
    assert found(part, start, "(n = 1): no interval")


def test_what_draws_at_random_has_no_distance_to_a_solution():
    """kills: a sampler that adds noise held against a path without, in a column or a line."""
    results = Known(ablation_solver.TABLE)
    for row in results.rows[0]:
        has = bool(getattr(row.measured, "references", ()))
        assert has == (row.names["Solver"] not in ("ancestral", ""))
    title = ablation_solver.APART.title
    assert not [x for x in results.table.tests(results) if x.startswith(title) and "ancestral" in x]
    rows = [
        (m, s, "25") for m in ("Top-2 of FM experts", "FM monolith") for s in ("UniPC", "Euler")
    ]
    _, end = said(results, *rows, column=ablation_solver.APART)
    a, b, c, d = (", ".join(row) for row in rows)
    assert found(results, f"{title}, ({a} less {b}) less ({c} less {d}):", end)
