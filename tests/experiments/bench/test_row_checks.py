"""What rows are refused for, by numbers that are given. Nothing here is measured."""

from types import SimpleNamespace

import pytest

from experiments.bench import dit_steps
from experiments.bench.commands import baseline, python, startup
from experiments.bench.commands.baseline import Written, differences
from experiments.bench.gpu.inference import off_loaded
from experiments.bench.pairing import OtherWorkError, Room

LINE = {
    **{"Strategy": "Top-2", "Router": "", "FID (paper)": "22.6"},
    **{"FID": "9", "FID low": "8", "FID high": "10"},
    **{"FID difference": "2.5", "FID difference half-width": "0.5"},
    "n seeds": "3",
}


def check(bounds):
    for bound in bounds:
        bound.check()


def test_a_difference_is_named_by_its_row_and_column():
    """kills: a mean taken for a difference, the half-width of another column, rows of one name, a
    paper's number in a name, an interval of one seed."""
    assert differences(LINE) == {"Top-2: FID difference": (2.5, 0.5)}
    assert differences({**LINE, "Router": "own"}) == {"Top-2, own: FID difference": (2.5, 0.5)}
    assert differences({**LINE, "FID difference half-width": ""}) == {}


def written(mean, half, seeds=3, name="a: FID difference"):
    return Written(8, 8, 75.0, seeds, {"b: FID difference": (0.0, 0.0), name: (mean, half)})


def agree(ours, peer, room, monkeypatch, row=baseline.TABLE1.rows[0]):
    """Check what the row says of the two tables."""
    monkeypatch.setattr(baseline, "clone", lambda commit, folder: folder)
    monkeypatch.setattr(baseline, "compileall", SimpleNamespace(compile_dir=lambda *_, **__: True))
    numbers = row.prepare(room).alike(ours, peer)
    check(numbers)
    return [str(number) for number in numbers]


def test_table_1_is_refused_where_a_difference_is_another(tmp_path, monkeypatch):
    """kills: verdicts that changed and are not looked at, intervals that are compared on one side
    alone or by half, differences of other rows compared, none compared and all called alike."""
    peer, room = written(2.0, 1.0), Room(tmp_path)
    for mean in (-0.8, 4.8):
        agree(written(mean, 1.9), peer, room, monkeypatch)
    for mean in (-1.0, 5.0, float("nan")):
        with pytest.raises(OtherWorkError, match=r"overlap, all but a: FID difference: 1 and 2"):
            agree(written(mean, 1.9), peer, room, monkeypatch)
    agree(written(9.0, 1.0, name="c: FID difference"), peer, room, monkeypatch)
    with pytest.raises(OtherWorkError, match="overlap 0 and 1"):
        agree(Written(8, 8, 75.0, 3), peer, room, monkeypatch)


def test_a_table_of_one_seed_is_compared_by_its_means(tmp_path, monkeypatch):
    """kills: one seed refused for having no intervals, its means not looked at; seeds that differ,
    or that the page does not say."""
    room, peer = Room(tmp_path), Written(8, 8, 75.0)
    assert "seeds 1 and 1, to 0 of it" in agree(peer, peer, room, monkeypatch)
    for other in (Written(8, 8, 67.0), Written(8, 8, 75.0, 3)):
        with pytest.raises(OtherWorkError):
            agree(other, peer, room, monkeypatch)
    far = written(9.0, 1.0), written(2.0, 1.0)
    agree(*far, Room(tmp_path, brief=True), monkeypatch)  # which has learned nothing
    agree(*far, room, monkeypatch, baseline.ALL.rows[0])


def test_experts_that_stay_on_the_device_are_seen():
    """kills: bytes of which any number is right, as where nothing was brought there."""
    check(off_loaded(13, 14, 10))
    for held in ((9, 14), (13, 9), (41, 14)):
        with pytest.raises(OtherWorkError):
            check(off_loaded(*held, 10))


@pytest.mark.parametrize(("loss", "after"), [(1.0, 1.0), (1.0, float("nan")), (1.0, 2.0)])
def test_a_step_that_teaches_nothing_is_seen(loss, after):
    """kills: losses that nobody looks at, one side's look taken for both."""
    dit_steps._lowered((loss, lambda: 0.9), (loss, lambda: 0.9)).check()
    with pytest.raises(OtherWorkError):
        dit_steps._lowered((loss, lambda: 0.9), (loss, lambda: after)).check()


@pytest.mark.slow
def test_workers_hold_what_stages_import():
    """kills: workers whose server was told of no library, as no table's are; a failed task whose
    row is timed."""
    assert python.status(("-c", startup.START)) == 0
    bare = startup.START.replace("engine.prepare(LIBRARIES)", "")
    assert bare != startup.START
    assert python.status(("-c", bare)) == 1
