"""Our reading of a shard's bytes, against webdataset's own and against tarfile's."""

import io
import tarfile

import numpy as np
import pytest
import webdataset as wds
from webdataset.tariterators import group_by_keys, tar_file_expander

from datamodules.members import MembersError, members, stacked

KINDS = ("latent.npy", "ids.npy")
LONG = "a" * 90 + "/" + "b" * 60  # longer than a tar's name, shorter than a ustar's


def tarred(samples, **options):
    """The bytes of a plain webdataset writer's tar."""
    stream = io.BytesIO()
    with wds.TarWriter(stream, **options) as writer:
        for sample in samples:
            writer.write(sample)
    return stream.getvalue()


def theirs(content):
    """The samples as webdataset reads them."""
    source = {"url": "shard", "stream": io.BytesIO(content)}
    return list(wds.decode()(group_by_keys(tar_file_expander([source]))))


def drawn(seed):
    """Samples of a drawn shape, type, number and caption, with keys of every sort."""
    g = np.random.default_rng(seed)
    kind = g.choice(["<f2", "<f4", ">f4", "<f8", "<i4", "|u1", "|b1", "<c8"])
    shape = tuple(g.integers(1, 5, g.integers(0, 4)))
    keys = ["key", "a/b/key", "with space", "éü", LONG, "a.b/key"]
    return [
        {
            "__key__": f"{keys[i % len(keys)]}-{i}",
            "latent.npy": (100 * g.normal(size=shape)).astype(kind),
            "ids.npy": g.integers(0, 9, 77, dtype=np.int32),
            "caption.txt": "x" * int(g.integers(0, 1200)),
        }
        for i in range(int(g.integers(1, 20)))
    ]


def check_equal(content):
    """Ours and webdataset's arrays, to the bit."""
    samples, held = theirs(content), members(content)
    assert held.samples == len(samples)
    for kind in KINDS:
        found, expected = stacked(held, kind, content), np.stack([s[kind] for s in samples])
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("options", [{"mtime": 0}, {}])
@pytest.mark.parametrize("seed", range(20))
def test_any_shard_reads_as_webdataset_reads_it(seed, options):
    """kills: pax records of times and names taken for samples; a content from the wrong block, a
    foreign byte order, a shape of one too few, a long name cut short, a caption that shifts what
    follows."""
    check_equal(tarred(drawn(seed), **options))


@pytest.mark.parametrize(
    "arrays",
    [
        [np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(3, 2).T],  # two orders in memory
        [np.arange(6.0).reshape(3, 2).T, np.arange(6.0).reshape(3, 2).T],
        [np.arange(6, dtype="<f4"), np.arange(6, dtype="<i4")],  # one length, two types
        [np.zeros((0, 3)), np.zeros((0, 3))],
        [np.zeros(3, [("é", "<f4")]), np.zeros(3, [("é", "<f4")])],  # npy's third version
    ],
)
def test_arrays_that_no_one_header_describes(arrays):
    """kills: the first member's header taken for those of all."""
    ids = np.arange(3)
    check_equal(
        tarred(
            {"__key__": str(i), "latent.npy": array, "ids.npy": ids}
            for i, array in enumerate(arrays)
        )
    )


def test_the_places_are_tarfiles():
    """kills: starts and sizes that only fit each other."""
    content = tarred(drawn(3))
    held = members(content)
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        for kind, starts in held.starts.items():
            there = [m for m in tar.getmembers() if m.name.endswith(f".{kind}")]
            assert starts == [m.offset_data for m in there]
            assert held.sizes[kind] == [m.size for m in there]


def test_a_name_without_a_dot_is_no_samples():
    """kills: a file beside the samples counted as one, or taken for the end."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in ("0.ids.npy", "README", "1.ids.npy"):
            array = io.BytesIO()
            np.save(array, np.arange(3))
            info = tarfile.TarInfo(name)
            info.size = array.tell()
            tar.addfile(info, io.BytesIO(array.getvalue()))
    held = members(stream.getvalue())
    assert held.samples == 2
    assert stacked(held, "ids.npy", stream.getvalue()).tolist() == [[0, 1, 2]] * 2


def linked():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        info = tarfile.TarInfo("0.ids.npy")
        info.type, info.linkname = tarfile.SYMTYPE, "elsewhere"
        tar.addfile(info)
    return stream.getvalue()


ROW = {"__key__": "0", "ids.npy": np.arange(3)}


ONE = tarred([ROW], mtime=0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (linked(), "0.ids.npy, no whole regular file"),
        (tarred([ROW], compress=True), "no tar's header at byte 0"),
        (ONE[:600], "0.ids.npy, no whole regular file"),
        (ONE[:1024] + b"x" * 512, "no tar's header at byte 1024"),
        (ONE[:1024] * 2, "0.ids.npy twice"),
        (tarred([ROW], mtime=0.5).replace(b" mtime", b"x" * 6), "pax records without a length"),
    ],
)
def test_what_is_no_tar_of_samples_is_refused(content, said):
    """kills: a link read as an empty file, a size beyond the end, one sample's file for another."""
    with pytest.raises(MembersError, match=said):
        members(content)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([np.arange(3), np.arange(4)], "do not stack: all input arrays must have the same shape"),
        ([np.arange(3), b"x" * 152], "do not stack: the magic string"),
        ([b"x" * 152, b"x" * 152], "do not stack: the magic string"),
        ([np.array([None]), np.array([None])], "do not stack: Object arrays"),
        ([np.arange(3), None], "holds 1 ids.npy for 2 samples"),
    ],
)
def test_what_does_not_stack_is_refused(rows, said):
    """kills: rows of other shapes read over their ends, pickles opened, a sample's row missing."""
    content = tarred(
        {"__key__": str(i), "a.txt": "", **({} if row is None else {"ids.npy": row})}
        for i, row in enumerate(rows)
    )
    with pytest.raises(MembersError, match=said):
        stacked(members(content), "ids.npy", content)
