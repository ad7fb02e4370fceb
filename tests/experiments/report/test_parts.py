"""What the page reckons: costs, maps over t, moves between folders, intervals in margins."""

import json
from dataclasses import replace

import pytest

from experiments.report import contents, forest, made, page
from experiments.report.compare import Move, compare, move
from experiments.report.contents import Contents, JudgedReading
from experiments.report.heat import heat_maps
from experiments.tables.verdicts import Verdict
from experiments.tables.written import table
from experiments.tables.written.table import Number
from tests.helpers.files import ROOT
from tests.helpers.tables import fill, rows, write

SMALL = ROOT / "results" / "small"
WITH_INPUTS = [
    name
    for name in table.names(SMALL)
    if "inputs" in json.loads((SMALL / f"{name}.json").read_text())
]


def number(mean, half):
    ends = (None, None) if half is None else (mean - half, mean + half)
    return Number(f"{mean}", mean, *ends)


def test_a_row_costs_what_is_behind_it_and_adds_what_no_row_above_needs(store, tmp_path):
    """kills: a shared stage counted twice in one row, or charged to each row or seed that shares
    it; a number shown without its column's factor. The third row's two seeds share all, as
    do the second seeds of the first two."""
    folder = write(fill(store, rows, 2), tmp_path, seeds=2)
    path = folder / "table9.json"
    detail = json.loads(path.read_text())
    judge = next(name for name in detail["seconds"] if name.startswith("brightjudge"))
    detail["seconds"] = {name: 1.0 + 9 * (name == judge) for name in detail["seconds"]}
    path.write_text(json.dumps(detail))
    first, second, third = made.makings(table.read(folder, "table9"))
    assert [each.whole for each in (*first, *second, *third)] == [11.0] * 6
    assert [each.added for each in (*first, *second, *third)] == [11.0, 1.0, 1.0, 0.0, 1.0, 0.0]
    assert [each.values for each in second] == [[10.0, 25.0], [12.0, 50.0]]
    assert [each.stage.split("/")[0] for each in first] == ["given", "given"]


def added(written):
    return [each.added for row in made.makings(written) for each in row]


@pytest.mark.parametrize("listed", [["a/1", "b/2", "c/3", "c/4"], ["a/1", "c/4", "b/2", "c/3"]])
def test_a_stage_is_charged_to_the_first_row_that_needs_it(listed):
    """kills: seconds between two places of a list, taken for what a row needs: the list is by seed
    where the page is by row."""
    written = table.read(SMALL, "table2")
    inputs = {"a/1": [], "b/2": ["a/1"], "c/3": ["b/2"], "c/4": ["a/1"]}
    spent = {"a/1": 1.0, "b/2": 20.0, "c/3": 300.0, "c/4": 4000.0}
    each = [replace(written.rows[0], keys=keys) for keys in (["3"], ["4", "3"], [], ["4"])]
    detail = {"seconds": {name: spent[name] for name in listed}, "inputs": inputs}
    small = replace(written, rows=each, detail=detail)
    assert added(small) == [321.0, 4000.0, 0.0, 0.0]
    assert [e.whole for row in made.makings(small) for e in row] == [321.0, 4001.0, 321.0, 4001.0]


@pytest.mark.parametrize("name", WITH_INPUTS)
def test_what_rows_add_sums_to_what_a_table_cost(name):
    """kills: a measurement that rows share charged to each of them, in newer files or older."""
    written = table.read(SMALL, name)
    assert sum(added(written)) == pytest.approx(made.total(written), rel=1e-9)
    assert sum(added(without_inputs(written))) == pytest.approx(made.total(written), rel=1e-9)


def without_inputs(written):
    """The table as an older file has it."""
    detail = {key: value for key, value in written.detail.items() if key != "inputs"}
    return replace(written, detail=detail)


def test_without_inputs_no_whole_is_claimed():
    """kills: the cost of a row of an older file guessed."""
    written = table.read(SMALL, "table4")
    older = without_inputs(written)
    assert all(each.whole is None for row in made.makings(older) for each in row)
    assert all(each.whole for row in made.makings(written) for each in row)


def test_rows_over_t_and_columns_over_t_become_maps():
    """kills: times in the order of rows, a number on another line, a share that is not of its map's
    least and greatest."""
    router = table.read(SMALL, "ablation-router")
    accuracy = next(m for m in heat_maps(router) if m.title == "Router accuracy, %")
    assert [float(t) for t in accuracy.times] == sorted(float(t) for t in accuracy.times)
    lines = dict(accuracy.lines)
    for row in router.rows:
        if row.names["t"]:
            line = lines[f"{row.names['Router']}, {row.names['Probabilities']}"]
            shown = line[accuracy.times.index(row.names["t"])].shown
            assert row.cells[0].shown.startswith(f"{shown} ±")
    shares = [square.share for _, squares in accuracy.lines for square in squares]
    assert (min(shares), max(shares)) == (0.0, 1.0)
    (video,) = heat_maps(table.read(SMALL, "paris2-router"))
    assert video.title == "Accuracy, %"
    assert [*video.times] == ["0", "0.1", "0.25", "0.5", "0.75", "0.9", "1"]
    assert heat_maps(table.read(SMALL, "table1")) == []


@pytest.mark.parametrize(
    ("here", "there", "moved"),
    [
        (number(1.0, 0.2), number(1.0, 0.3), Move.SAME),
        (number(1.0, 0.2), number(1.3, 0.2), Move.WITHIN),
        (number(1.0, 0.2), number(1.5, 0.2), Move.APART),
        (number(1.5, 0.2), number(1.0, 0.2), Move.APART),
        (number(1.0, None), number(1.5, 0.2), Move.UNSURE),
        (number(1.0, 0.2), Number("—", None, None, None), Move.APPEARED),
        (Number("—", None, None, None), number(1.0, 0.2), Move.VANISHED),
    ],
)
def test_a_move_is_beyond_the_intervals_where_they_do_not_overlap(here, there, moved):
    """kills: a move beyond one interval taken for one beyond both, sides exchanged."""
    assert move(here, there) is moved


def test_folders_are_compared_by_names_and_keys():
    """kills: rows matched by their place, a verdict that turned and is not told."""
    here = contents.read(SMALL)
    first = here.tables[0]
    turned = replace(first, rows=[*reversed(first.rows)])
    readings = [replace(r, verdict=Verdict.HOLDS) for r in here.readings[:1]]
    there = Contents(SMALL, [turned, *here.tables[1:-1]], [*readings, *here.readings[1:]])
    found = compare(here, there, "there")
    assert {each.move for each in found.numbers} == {Move.SAME}
    assert not any(each.remade for each in found.numbers)
    assert [*found.only_here] == [here.tables[-1].name]
    assert [(v.number, v.here, v.there) for v in found.verdicts] == [
        (1, here.readings[0].verdict.value, "holds")
    ]


def test_a_verdict_that_turned_is_told_though_its_claim_is_worded_anew():
    """kills: claims matched by their words, so that a new wording hides what turned; papers or
    tables not told apart."""
    here = contents.read(SMALL)
    first, second = here.readings[:2]
    worded = replace(first, claim="In other words.", verdict=Verdict.HOLDS)
    assert first.verdict is not Verdict.HOLDS
    other = replace(first, paper="Paris 2.0", verdict=Verdict.HOLDS)
    elsewhere = replace(first, table="table9", verdict=Verdict.HOLDS)
    there = [worded, other, elsewhere, second]
    found = compare(replace(here, readings=[first, second]), replace(here, readings=there), "there")
    assert [(v.number, v.claim, v.here, v.there) for v in found.verdicts] == [
        (first.number, first.claim, first.verdict.value, "holds")
    ]
    assert [*found.readings_only_there] == [other, elsewhere]


def test_readings_that_one_side_has_alone_are_listed_in_the_page():
    """kills: a reading that appeared or vanished without a word, sides exchanged."""
    here = contents.read(SMALL)
    new = replace(here.readings[0], number=901, reading="a new <reading>")
    gone = replace(here.readings[0], number=902, reading="a reading that went")
    one, two = (replace(here, readings=[*here.readings, each]) for each in (new, gone))
    found = compare(one, two, "there")
    assert ([*found.readings_only_here], [*found.readings_only_there]) == ([new], [gone])
    html = page.templates().get_template("against.html").render(against=found)
    appeared, vanished = html.index("claims only here (1)"), html.index("claims only there (1)")
    assert appeared < html.index("901, a new &lt;reading&gt;") < vanished
    assert vanished < html.index("902, a reading that went")
    assert "Readings of claims" not in page.templates().get_template("against.html").render(
        against=compare(here, here, "there")
    )


def test_an_interval_is_drawn_in_margins():
    """kills: a margin forgotten, a sign turned, what lies outside drawn inside without an arrow."""
    plain = JudgedReading(
        "HDDM", 1, "", "", "", "", (), "fid", "", 2.0, 1.0, 3, 4.0, 0.5, Verdict.UNDECIDED, ""
    )
    assert forest.interval(plain) == forest.InMargins(0.5, 0.25)
    middle, right = forest.WIDTH / 2, forest.x(forest.REACH)
    assert forest.x(0.5) - middle == pytest.approx((right - middle) / 6, abs=0.01)
    assert str(forest.drawn(plain)).count("polygon") == 0
    wide = str(forest.drawn(replace(plain, half_width=40.0)))
    assert wide.count("polygon") == 2
    assert "2 ± 40, n = 3; the margin is ±4" in wide
    assert forest.drawn(replace(plain, margin=None)) == ""
