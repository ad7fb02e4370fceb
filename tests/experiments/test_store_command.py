"""python -m experiments.store: what is there, whether it is whole, and what may go."""

import json
import os
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import pytest

from experiments.pipeline.files import sealed
from experiments.pipeline.storage.inventory import Held
from experiments.pipeline.storage.leases import Lease, Maker
from experiments.store import main
from tests.helpers.parts import Part, Whole
from tests.helpers.stages import make


@pytest.fixture
def filled(store):
    """Whole, of parts a, b and c, and a part that nothing is made from."""
    make(store, Whole())
    make(store, Part("alone"))
    return store


@pytest.fixture
def said(filled, capsys):
    """The status and the lines of a command."""

    def run(verb, *arguments):
        status = main([verb, "--store", str(filled.root), *arguments])
        out, err = capsys.readouterr()
        return status, out.splitlines(), err

    return run


def aged(store, stage, hours):
    """An artifact as if it had been made hours ago."""
    path = store.path(stage) / "provenance.json"
    made = json.loads(path.read_text())
    del made["sha256"]
    when = datetime.now(UTC) - timedelta(hours=hours)
    path.write_bytes(sealed({**made, "made": when.isoformat(timespec="seconds")}))


def test_ls_du_and_show_tell_what_there_is(filled, said):
    """kills: an artifact left out or counted twice, and provenance that is not its own."""
    status, lines, _ = said("ls")
    assert status == 0
    names = {f"part/{Part(name).key}" for name in ("a", "b", "c", "alone")}
    assert {line.split()[0] for line in lines} == names | {f"whole/{Whole().key}"}
    each = [json.loads(line) for line in said("ls", "--json", "part")[1]]
    assert {entry["artifact"] for entry in each} == names
    (line,) = said("du", "--json")[1]
    size = sum(path.stat().st_size for path in filled.root.rglob("*") if path.is_file())
    assert {kind: n["count"] for kind, n in json.loads(line).items()} == {"part": 4, "whole": 1}
    assert sum(n["bytes"] for n in json.loads(line).values()) == size
    told = "\n".join(said("show", Whole().key)[1])
    assert f"made from: part/{Part('a').key}, part/{Part('b').key}, part/{Part('c').key}" in told
    assert f"used by: whole/{Whole().key}" in "\n".join(said("show", Part("a").key)[1])


def test_verify_names_every_damaged_file(filled, said):
    """kills: a status of 0 for damage, or a report that ends at the first."""
    assert said("verify")[0] == 0
    (filled.path(Part("a")) / "part.txt").write_text("x")
    (filled.path(Part("b")) / "provenance.json").unlink()
    status, lines, err = said("verify")
    assert status == 1
    assert lines[:-1] == sorted(
        [
            f"{filled.path(Part('a'))}/part.txt: is not as it was written",
            f"{filled.path(Part('b'))}/provenance.json: is missing",
        ]
    )
    assert "5 artifacts" in lines[-1]
    assert "2 damaged files" in lines[-1]
    assert err == "store verify: delete the folders of what is damaged, and run again\n"
    assert said("verify", "whole")[0] == 0


def test_gc_keeps_what_a_table_refers_to_and_all_that_it_is_made_from(filled, said, tmp_path):
    """kills: an input deleted under its output, a young artifact of a run whose table comes last,
    and anything deleted without being told to."""
    results = tmp_path / "results"
    results.mkdir()
    assert "no table in" in said("gc", "--results", str(results))[2]
    (results / "table1.json").write_text(json.dumps({"rows": [{"keys": [Whole().key, None]}]}))
    dials = ("--results", str(results))
    assert said("gc", *dials)[1][-1].startswith("0 artifacts")
    for stage in (Part("alone"), Part("a")):
        aged(filled, stage, 30)
    assert said("gc", *dials, "--hours", "40")[1][-1].startswith("0 artifacts")
    status, lines, _ = said("gc", *dials)
    assert status == 0
    assert lines[0].split()[0] == f"part/{Part('alone').key}"
    assert lines[1].startswith("1 artifacts")
    assert filled.has(Part("alone"))
    assert said("gc", *dials, "--delete")[0] == 0
    assert not filled.path(Part("alone")).exists()
    assert all(filled.has(stage) for stage in (Whole(), Part("a"), Part("b"), Part("c")))


def test_gc_deletes_nothing_while_anything_is_made(filled, said, tmp_path):
    """kills: a working folder deleted under its maker, on this host or another, and one that was
    abandoned kept for ever."""
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "a.json").write_text(json.dumps([Whole().key]))
    aged(filled, Part("alone"), 30)
    making = filled.root / "making"
    for name in ("part-000000000001", "part-000000000002"):
        (making / name).mkdir()
        for path in (making / name, making / f"{name}.lock"):
            path.touch()
            os.utime(path, (time.time() - 200_000,) * 2)
    maker = replace(Maker.this(), host="far")
    form = {"state": "holding", "maker": asdict(maker), "folder": "part-000000000001", "inputs": []}
    lease = making / "part-000000000001.00000000.lease"
    lease.write_text(json.dumps(form))
    dials = ("--results", str(tmp_path / "results"))
    status, _, err = said("gc", *dials, "--delete")
    assert status == 1
    assert f"process {os.getpid()} of far makes part-000000000001" in err
    assert filled.has(Part("alone"))
    lines = said("gc", *dials)[1]
    assert [line for line in lines if "making/" in line] == [
        "making/part-000000000002  abandoned",
        "making/part-000000000002.lock  abandoned",
    ]
    os.utime(lease, (time.time() - 100_000,) * 2)  # a day without a heartbeat: its host is no more
    assert said("gc", *dials, "--delete")[0] == 0
    assert list(making.iterdir()) == []
    assert not filled.path(Part("alone")).exists()


def test_gc_stops_when_somebody_begins(filled, said, tmp_path, monkeypatch):
    """kills: leases that are looked at once, before a deletion of minutes."""
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "a.json").write_text(json.dumps([Part("a").key]))
    rest = (Whole(), Part("alone"), Part("b"), Part("c"))
    for stage in rest:
        aged(filled, stage, 30)
    removed, remove = [], Held.remove

    def then_begun(held):
        remove(held)
        removed.append(held.artifact)
        Lease(filled.place, "part-0123456789ab").acquire()

    monkeypatch.setattr(Held, "remove", then_begun)
    status, _, err = said("gc", "--results", str(tmp_path / "results"), "--delete")
    assert status == 1
    assert "makes part-0123456789ab, and may need what no table names yet" in err
    assert len(removed) == 1


def test_what_is_not_there_is_one_line(said, capsys, tmp_path):
    assert said("show", "nothing")[0] == 1
    assert main(["ls", "--store", str(tmp_path / "nowhere")]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"store ls: no store at {tmp_path}/nowhere"


@pytest.mark.parametrize("hours", ["nan", "inf", "1e12", "-100", "-0.5", "a day"])
def test_gc_takes_no_hours_that_are_none(filled, said, tmp_path, hours):
    """kills: a traceback of datetime's; an age in the future, to which all is old enough to go."""
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "a.json").write_text(json.dumps([Whole().key]))
    dials = ("--results", str(tmp_path / "results"), f"--hours={hours}", "--delete")
    status, lines, err = said("gc", *dials)
    assert (status, lines) == (2, [])
    assert err.splitlines()[-1] == (
        f"store gc: error: argument --hours: {hours!r} is no number from 0 to 876000"
    )
    assert filled.has(Part("alone"))


@pytest.mark.parametrize("hours", ["0", "876000"])
def test_gc_takes_hours_up_to_a_century(said, tmp_path, hours):
    """kills: either end of what may be said refused, or beyond what a date can be."""
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "a.json").write_text(json.dumps([Whole().key]))
    status, _, err = said("gc", "--results", str(tmp_path / "results"), "--hours", hours)
    assert (status, err) == (0, "")


@pytest.mark.parametrize(
    ("content", "what"), [(None, "is missing"), ("{", "is no JSON"), ("[]", "is no JSON object")]
)
def test_show_names_the_file_that_it_cannot_read(filled, said, content, what):
    """kills: "is missing", of no file that is named."""
    path = filled.path(Part("a")) / "config.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    status, _, err = said("show", Part("a").key)
    assert (status, err) == (1, f"store show: {path} {what}\n")
