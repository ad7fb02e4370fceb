"""Fashion-MNIST and CIFAR-10: pixels told from the files' bytes, captions from their labels."""

import gzip
import hashlib
import pickle
import socket
import struct
import time

import numpy as np
import pytest
from torchvision import datasets

from datamodules.sources.classed import CIFAR10, FashionMNIST
from datamodules.sources.source import RecordCounts, SourceError, Split
from modules.codec import encode
from tests.helpers.files import asset

CIFAR10_CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)


def pixel(i, c, y, x):
    """The picture number i of files made here, at [c, y, x]."""
    return (i * 7 + c * 50 + y * 3 + x) % 256


def idx(array):
    """Bytes in the format of MNIST's files."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def fashion(tmp_path, monkeypatch):
    """120 training and 60 test pictures of Fashion-MNIST's format, with label i % 10."""
    folder = tmp_path / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    for name, count in {"train": 120, "t10k": 60}.items():
        pictures = np.fromfunction(lambda i, y, x: pixel(i, 0, y, x), (count, 28, 28))
        (folder / f"{name}-images-idx3-ubyte").write_bytes(idx(pictures.astype(np.uint8)))
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(
            idx(np.arange(count, dtype=np.uint8) % 10)
        )
    monkeypatch.setattr(FashionMNIST, "files", (120, 60))
    return FashionMNIST(80, 40, 60, str(tmp_path))


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """100 training pictures in five files and 20 test ones, in CIFAR-10's format."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    sums = {}

    def dump(name, content):
        data = pickle.dumps(content)
        (folder / name).write_bytes(data)
        sums[name] = hashlib.md5(data).hexdigest()

    starts = {f"data_batch_{i + 1}": 20 * i for i in range(5)} | {"test_batch": 0}
    for name, start in starts.items():
        rows = np.fromfunction(lambda i, c, y, x, s=start: pixel(i + s, c, y, x), (20, 3, 32, 32))
        labels = [(start + i) % 10 for i in range(20)]
        dump(name, {"data": rows.astype(np.uint8).reshape(20, -1), "labels": labels})
    dump("batches.meta", {"label_names": list("abcdefghij")})
    theirs = datasets.CIFAR10
    monkeypatch.setattr(theirs, "train_list", [[n, sums[n]] for n in sorted(starts)[:5]])
    monkeypatch.setattr(theirs, "test_list", [["test_batch", sums["test_batch"]]])
    meta = {**theirs.meta, "md5": sums["batches.meta"]}
    monkeypatch.setattr(theirs, "meta", meta)
    monkeypatch.setattr(CIFAR10, "files", (100, 20))
    return CIFAR10(60, 40, 20, str(tmp_path))


@pytest.fixture(params=["fashion", "cifar"])
def source(request):
    return request.getfixturevalue(request.param)


def place(key):
    return int(key.rpartition("-")[2])


def test_splits_are_of_their_files_and_sizes(source):
    """kills: held-out pictures from the training file, or two splits that overlap."""
    read = {split: source.read(split).keys for split in Split}
    sizes = (source.train, source.judge, source.heldout)
    expected = {
        Split.TRAIN: [f"train-{i:05d}" for i in range(sizes[0])],
        Split.JUDGE: [f"train-{i:05d}" for i in range(sizes[0], sizes[0] + sizes[1])],
        Split.HELDOUT: [f"test-{i:05d}" for i in range(sizes[2])],
    }
    assert read == expected


@pytest.mark.parametrize("split", Split)
def test_pixels_and_labels_are_those_of_the_keys_picture(source, split):
    """kills: padding that is not the background's -1, axes swapped, another scale or neighbour."""
    r = source.read(split)
    i = np.array([place(key) for key in r.keys])
    assert r.labels.tolist() == (i % 10).tolist()
    assert r.labels.dtype == np.int64
    side = 28 if source.channels == 1 else 32
    c, y, x = np.meshgrid(
        np.arange(source.channels), np.arange(side), np.arange(side), indexing="ij"
    )
    expected = np.stack([pixel(n, c, y, x) for n in i]) / 127.5 - 1
    if side == 28:
        expected = np.pad(expected, ((0, 0), (0, 0), (2, 2), (2, 2)), constant_values=-1)
    assert r.images.dtype == np.float32
    assert r.images.shape == (len(i), source.channels, source.image, source.image)
    assert np.allclose(r.images, expected, atol=1e-6)


def test_captions_name_their_class_in_four_phrasings(source):
    """kills: words out of order, one phrasing for all, or a phrasing that gives the label away."""
    r = source.read(Split.TRAIN)
    for key, label, caption in zip(r.keys, r.labels, r.captions, strict=True):
        named = [k for k, thing in enumerate(source.class_names) if thing in caption]
        assert max(named, key=lambda k: len(source.class_names[k])) == label
        assert caption == source.caption(place(key), label)
    assert len({source.caption(i, 0) for i in range(100)}) == 4
    assert len(set(source.class_names)) == source.classes == 10
    for thing in source.class_names:
        article, word = thing.split()[:2]
        assert article == ("an" if word[0] in "aeiou" else "a")


def test_classes_are_torchvisions_in_its_order():
    """kills: a list of names in another order than the labels."""
    shown = {"T-shirt/top": "t-shirt", "Trouser": "trousers", "automobile": "car"}
    for ours, theirs in (
        (FashionMNIST, datasets.FashionMNIST.classes),
        (CIFAR10, CIFAR10_CLASSES),
    ):
        for thing, name in zip(ours.class_names, theirs, strict=True):
            assert thing.endswith(shown.get(name, name.lower()))


@pytest.mark.parametrize("size", [7, 1000])
def test_parts_in_batches_are_the_split(source, size, monkeypatch):
    """kills: a part that runs into the next split, or a batch lost between parts."""
    whole = source.read(Split.JUDGE)
    monkeypatch.setattr("datamodules.sources.classed.PART", 15)
    parts, refused = source.parts(Split.JUDGE), RecordCounts()
    assert parts == tuple(f"{i:05d}" for i in range(source.train, source.train + 40, 15))
    batches = [b for part in parts for b in source.batches(Split.JUDGE, part, size, refused)]
    assert [key for b in batches for key in b.keys] == whole.keys
    assert np.array_equal(np.concatenate([b.images for b in batches]), whole.images)
    assert [c for b in batches for c in b.captions] == whole.captions
    assert refused == RecordCounts(kept=40)
    with pytest.raises(ValueError, match="no part"):
        source.batches(Split.JUDGE, "00000", size, refused)


@pytest.mark.parametrize("kind", [FashionMNIST, CIFAR10])
def test_sizes_that_the_files_do_not_hold_are_refused(kind):
    """kills: a split cut short in silence, or of one."""
    first, second = kind.files
    kind(first - 2, 2, second)
    for sizes in (
        (first - 2, 3, second),
        (10, 10, second + 1),
        (1, 10, 10),
        (10, 1, 10),
        (9, 9, 1),
    ):
        with pytest.raises(ValueError, match=kind.title):
            kind(*sizes)


@pytest.mark.parametrize("kind", [FashionMNIST, CIFAR10])
def test_identity_is_the_splits_and_not_the_place(kind):
    """kills: the root or the download hashed, or the two datasets under one key."""
    assert encode(kind()) == encode(kind(data_root="elsewhere", download=True))
    assert encode(kind(train=100)) != encode(kind())
    assert encode(FashionMNIST(9, 9, 9)) != encode(CIFAR10(9, 9, 9))


@pytest.mark.parametrize("kind", [FashionMNIST, CIFAR10])
def test_nothing_is_downloaded_unasked(kind, tmp_path, monkeypatch):
    """kills: a download as a side effect, or an error that does not say what to do."""
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("asked the network"))
    with pytest.raises(
        SourceError, match=f"cannot read {kind.title} under .*ask for download"
    ) as e:
        kind(data_root=str(tmp_path)).read(Split.TRAIN)
    assert "\n" not in str(e.value)


def test_a_download_that_is_not_answered_is_given_up(tmp_path, monkeypatch):
    """kills: torchvision's patience, which has no end; a limit left set for the process."""
    monkeypatch.setattr("datamodules.sources.classed.DOWNLOAD_TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        mirror = f"http://127.0.0.1:{server.getsockname()[1]}/"
        monkeypatch.setattr(datasets.FashionMNIST, "mirrors", [mirror])
        begun = time.monotonic()
        with pytest.raises(SourceError, match=r"Fashion-MNIST.*check the network"):
            FashionMNIST(data_root=str(tmp_path), download=True).read(Split.TRAIN)
    assert time.monotonic() - begun < 30
    assert socket.getdefaulttimeout() is None


@pytest.mark.parametrize("damage", ["cut", "gzip", "few"])
def test_a_damaged_file_is_named(fashion, tmp_path, damage, monkeypatch):
    """kills: an exception of torchvision's, or a file of fewer pictures read as all of them."""
    path = tmp_path / "FashionMNIST" / "raw" / "train-images-idx3-ubyte"
    content = path.read_bytes()
    if damage == "few":
        monkeypatch.setattr(FashionMNIST, "files", (500, 60))
        fashion = FashionMNIST(400, 40, 60, str(tmp_path))
    else:
        path.write_bytes(gzip.compress(content) if damage == "gzip" else content[:5000])
    with pytest.raises(SourceError, match="Fashion-MNIST under"):
        fashion.read(Split.TRAIN)


@pytest.mark.slow
def test_fashion_mnist_itself():
    """kills: what holds only of files made here. The mean of its training pixels is .2860."""
    source = FashionMNIST(data_root=str(asset("data")))
    total, labels, wordings, refused = 0.0, [], set(), RecordCounts()
    for split in (Split.TRAIN, Split.JUDGE):
        for part in source.parts(split):
            for batch in source.batches(split, part, 500, refused):
                total += ((batch.images[:, :, 2:-2, 2:-2].astype(np.float64) + 1) / 2).sum()
                labels += batch.labels.tolist()
                places = [place(key) % 4 for key in batch.keys]
                wordings |= set(zip(places, batch.labels.tolist(), strict=True))
                assert (batch.images[:, :, :2] == -1).all()
    assert total / (60_000 * 28 * 28) == pytest.approx(0.2860, abs=5e-5)
    assert np.bincount(labels).tolist() == [6000] * 10
    assert len(wordings) == 40
    assert refused == RecordCounts(kept=60_000)
    heldout = source.read(Split.HELDOUT)
    assert np.bincount(heldout.labels).tolist() == [1000] * 10
