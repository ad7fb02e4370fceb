"""What an encoded split leaves out: bad records, captions that are too long, lost shards."""

import json
from dataclasses import replace

import numpy as np
import pytest

from datamodules.sources.source import SourceError, Split
from experiments.cli import main as cli
from experiments.cli.records import bad_records
from experiments.pipeline.build import StagesFailed
from experiments.pipeline.store import Store
from experiments.recipes import experts
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from tests.helpers.imagetexts import png, record, source, write, write_five
from tests.helpers.stages import make

CLUSTERS = experts.shards(turned(SCALES["smoke"], {"data.clusters": 4})).clusters


def test_what_was_skipped_is_told(tmp_path):
    """kills: counts of filters that cannot be written, or bad records without their reason."""
    records = [(f"{i:09d}", record(i)) for i in range(20)]
    records[3] = ("000000003", record(3, txt=None))
    records[5] = ("000000005", record(5, png=png(5, (9, 9))))
    for shard in range(3):
        write(tmp_path / f"{shard:05d}.tar", records)
    stage = replace(CLUSTERS.encoded, source=source(tmp_path, "{00000..00002}.tar"))
    make(Store(tmp_path / "store"), stage)
    told = json.loads((Store(tmp_path / "store").path(stage) / "refused.json").read_text())
    assert told == {
        "kept": 18,
        "bad": [["00000/000000003", "no caption"]],
        "left_out": {"shorter side under 16 (source.image, source.min_side)": 1},
    }
    (line,) = bad_records([stage, CLUSTERS], Store(tmp_path / "store"))
    assert "1 of 20 records are bad and left out, the first 00000/000000003: no caption" in line
    assert line.endswith(f" {tmp_path}/store/encode/{stage.key}/refused.json")


def test_what_failed_for_want_of_pictures_tells_what_was_left_out(tmp_path):
    """Nineteen of twenty are smaller than the source takes. kills: counts that nobody is told, or
    that are read in a store at an address without its cache; a line where little was left out."""
    small = [(f"{i:09d}", record(i, png=png(i, (9, 9)))) for i in range(19)]
    write(tmp_path / "00000.tar", [*small, ("000000019", record(19))])
    for shard in (1, 2):
        write(tmp_path / f"{shard:05d}.tar", [(f"{i:09d}", record(i)) for i in range(20)])
    encoded = replace(CLUSTERS.encoded, source=source(tmp_path, "{00000..00002}.tar"))
    store = Store(tmp_path / "store")
    make(store, encoded)
    clusters = replace(CLUSTERS, encoded=encoded)
    failed = StagesFailed({clusters: ValueError("too few")}, 0, store)
    kept = 1
    assert cli.reason(failed, store.root) == (
        f"{clusters.label}: too few ({encoded.label}: {kept} are kept, left out are 19 for "
        "shorter side under 16 (source.image, source.min_side))"
    )
    heldout = replace(encoded, split=Split.HELDOUT)
    make(store, heldout)
    failed = StagesFailed({replace(clusters, encoded=heldout): ValueError("no")}, 0, store)
    assert "left out" not in cli.reason(failed, store.root)


def test_a_caption_too_long_costs_its_own_picture(tmp_path):
    """kills: a run that stops at one caption of thousands; another picture's caption or latent
    beside it; the whole caption in the report."""
    records = [(f"{i:09d}", record(i)) for i in range(20)]
    records[3] = ("000000003", record(3, txt=b"word " * 900))
    write(tmp_path / "00000.tar", records)
    write(tmp_path / "00001.tar", records[:3])
    write(tmp_path / "00002.tar", records[:3])
    stage = replace(CLUSTERS.encoded, source=source(tmp_path, "{00000..00002}.tar"))
    store = Store(tmp_path / "store")
    make(store, stage)
    told = json.loads((store.path(stage) / "refused.json").read_text())
    assert (told["kept"], [key for key, _ in told["bad"]]) == (19, ["00000/000000003"])
    ((_, reason),) = told["bad"]
    assert len(reason) == 80
    captions, _ = stage.captions(store)
    assert captions == [f"caption {i}" for i in range(20) if i != 3]
    tokens, pooled = stage.text.encode(captions)
    assert np.array_equal(stage.array(store, "tokens"), tokens)
    assert np.array_equal(stage.array(store, "pooled"), pooled)
    levels = np.rint((stage.array(store, "latents")[:, 0, 0, 0] + 1) * 127.5)
    assert levels.tolist() == [i for i in range(20) if i != 3]


def test_lost_shards_are_told_in_a_line(tmp_path, capsys):
    """kills: a gap that stops the run, a gap that nobody hears of, or pictures of a cut shard."""
    write_five(tmp_path)
    (tmp_path / "00000.tar").unlink()
    half = (tmp_path / "00002.tar").read_bytes()
    (tmp_path / "00002.tar").write_bytes(half[: len(half) // 2])
    stage = replace(CLUSTERS.encoded, source=source(tmp_path, lost_share=0.7))
    store = Store(tmp_path / "store")
    make(store, stage)
    assert stage.captions(store)[0] == [f"caption {i}" for i in range(10, 20)]
    told = json.loads((store.path(stage) / "refused.json").read_text())
    assert (told["kept"], [part for part, _ in told["lost"]]) == (10, ["00000.tar", "00002.tar"])
    lines = [line for line in capsys.readouterr().err.splitlines() if "lost" in line]
    assert len(lines) == 1
    assert lines[0].startswith(
        "train split, encoded: 2 of 3 shards are lost (66.7%), the first 000"
    )


def test_a_lost_shard_that_was_fetched_since_is_read(tmp_path):
    """kills: what was once lost taken for lost by the run that goes on, though its error says to
    fetch it."""
    write_five(tmp_path)
    (tmp_path / "00001.tar").rename(tmp_path / "aside")
    store, stage = Store(tmp_path / "store"), replace(CLUSTERS.encoded, source=source(tmp_path))
    with pytest.raises(SourceError, match=r"1 of 3 shards are lost .* fetch them"):
        make(store, stage)
    (tmp_path / "aside").rename(tmp_path / "00001.tar")
    make(store, stage)
    assert stage.captions(store)[0] == [f"caption {i}" for i in range(30)]
    assert "lost" not in json.loads((store.path(stage) / "refused.json").read_text())
