"""Shards: what is written is read back by three readers, and no damage goes unnoticed."""

import io
import json
import re
import tarfile

import numpy as np
import pytest
import webdataset as wds

from datamodules.shards import ShardError, read_index, read_shard
from tests.helpers.files import write_cluster

FILES = {"x0": "latent.npy", "tokens": "tokens.npy", "pooled": "pooled.npy"}


def sample(i):
    g = np.random.default_rng(i)
    return {
        "__key__": f"digit-{i:04d}",
        "latent.npy": g.normal(size=(1, 4, 4)).astype(np.float32),
        "tokens.npy": g.normal(size=(3, 5)).astype(np.float32),
        "pooled.npy": g.normal(size=5).astype(np.float32),
        "caption.txt": f"the digit {i}, handwritten éü",
    }


SAMPLES = [sample(i) for i in (5, 3, 8, 1, 9, 2, 7)]  # not in the order of their keys


@pytest.fixture
def folder(tmp_path):
    """Seven samples of cluster 4, in shards of three, three and one."""
    write_cluster(tmp_path / "cluster-04", 4, SAMPLES, per_shard=3)
    return tmp_path / "cluster-04"


def edited(folder, edit):
    """The folder's index, changed by `edit`, without its seal."""
    index = json.loads((folder / "index.json").read_text())
    del index["sha256"]
    edit(index)
    (folder / "index.json").write_text(json.dumps(index))


def test_read_back_exactly_in_order(folder):
    """kills: a lossy format, a sample lost between shards, or shards read out of order."""
    shards = read_index(folder)
    assert [shard.samples for shard in shards] == [3, 3, 1]
    read = [read_shard(shard) for shard in shards]
    for name, file in FILES.items():
        found = np.concatenate([arrays[name] for arrays in read])
        expected = np.stack([s[file] for s in SAMPLES])
        assert found.dtype == np.float32
        assert np.array_equal(found, expected)


def test_the_label_is_the_folders_cluster(folder):
    """kills: labels from the folder's name, from its place in a list, or all of them zero."""
    labels = np.concatenate([read_shard(shard)["cluster"] for shard in read_index(folder)])
    assert labels.dtype == np.int64
    assert labels.tolist() == [4] * 7
    renamed = folder.rename(folder.with_name("cluster-09"))
    assert read_shard(read_index(renamed)[2])["cluster"].tolist() == [4]


def test_any_tar_reader_can_read_it(folder):
    """kills: pickles in the place of npy, or a name that says something else than its content."""
    found = {}
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                assert member.mtime == 0
                found[member.name] = tar.extractfile(member).read()
    assert len(found) == 4 * 7
    for s in SAMPLES:
        key = s["__key__"]
        assert found[f"{key}.caption.txt"].decode() == s["caption.txt"]
        for file in FILES.values():
            array = np.load(io.BytesIO(found[f"{key}.{file}"]), allow_pickle=False)
            assert np.array_equal(array, s[file])


def test_webdataset_can_read_it(folder):
    """kills: members that webdataset would split into other samples."""
    urls = [str(path) for path in sorted(folder.glob("*.tar"))]
    read = list(wds.WebDataset(urls, shardshuffle=False).decode())
    assert [s["__key__"] for s in read] == [s["__key__"] for s in SAMPLES]
    for found, expected in zip(read, SAMPLES, strict=True):
        assert found["caption.txt"] == expected["caption.txt"]
        assert all(np.array_equal(found[file], expected[file]) for file in FILES.values())


def test_keys_that_are_file_names_stay_apart(tmp_path):
    """kills: keys written as they are, which every reader ends at their first dot."""
    keys = ["a/1.png", "a/1.jpg", "a/1%2Epng", "b.c/1.png"]
    written = [{**sample(i), "__key__": key} for i, key in enumerate(keys)]
    write_cluster(tmp_path / "k", 0, written, per_shard=4)
    found = read_shard(read_index(tmp_path / "k")[0])["x0"]
    assert np.array_equal(found, np.stack([s["latent.npy"] for s in written]))
    tar = str(tmp_path / "k" / "000000.tar")
    theirs = [s["__key__"] for s in wds.WebDataset(tar, shardshuffle=False)]
    assert theirs == [key.replace("%", "%25").replace(".", "%2E") for key in keys]


def test_the_same_samples_make_the_same_bytes(folder, tmp_path):
    """kills: the time or the place of writing in the shards."""
    write_cluster(tmp_path / "again" / "deeper", 4, SAMPLES, per_shard=3)
    for path in sorted(folder.iterdir()):
        assert path.read_bytes() == (tmp_path / "again" / "deeper" / path.name).read_bytes()


def test_a_folder_is_never_written_twice(folder):
    """kills: old shards left beside the new, where the new are fewer."""
    with pytest.raises(FileExistsError):
        write_cluster(folder, 4, SAMPLES[:2], per_shard=3)


@pytest.mark.parametrize("kept", [0, 1, 511, 512, 1700, 0.5, -512, -1])
def test_a_truncated_shard_is_named(folder, kept):
    """kills: a shard read as far as it goes, at whatever length it was cut."""
    shard = read_index(folder)[1]
    content = shard.path.read_bytes()
    cut = int(len(content) * kept) if isinstance(kept, float) else kept
    shard.path.write_bytes(content[:cut])
    with pytest.raises(ShardError, match=re.escape(str(shard.path)) + " is truncated"):
        read_shard(shard)
    read_shard(read_index(folder)[0])


@pytest.mark.parametrize("at", [0, 200, 700, 1800, 0.5, -1])
def test_one_flipped_byte_is_named(folder, at):
    """kills: a check of the size alone, or of the headers' own checksums."""
    shard = read_index(folder)[0]
    content = bytearray(shard.path.read_bytes())
    content[int(len(content) * at) if isinstance(at, float) else at] ^= 0x10
    shard.path.write_bytes(content)
    with pytest.raises(ShardError, match=re.escape(str(shard.path)) + " is corrupt"):
        read_shard(shard)


def test_one_shard_in_anothers_place_is_named(folder):
    """kills: a checksum that is not compared with the one of this very shard."""
    first, second = read_index(folder)[:2]
    assert first.bytes == second.bytes
    first.path.write_bytes(second.path.read_bytes())
    with pytest.raises(ShardError, match=re.escape(str(first.path))):
        read_shard(first)


def test_a_deleted_shard_is_named(folder):
    """kills: a missing shard skipped, or a bare FileNotFoundError."""
    shard = read_index(folder)[2]
    shard.path.unlink()
    with pytest.raises(ShardError, match=re.escape(str(shard.path))):
        read_shard(shard)


@pytest.mark.parametrize("claimed", [2, 4])
def test_a_wrong_count_of_samples_is_named(folder, claimed):
    """kills: a count taken on trust, on which the order of every epoch stands."""
    edited(folder, lambda index: index["shards"][0].update(samples=claimed))
    shard = read_index(folder)[0]
    with pytest.raises(ShardError, match=f"{re.escape(str(shard.path))} holds 3 of {claimed}"):
        read_shard(shard)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"{}", b"\xff\xfe", b'{"shards": 3}']
)
def test_a_malformed_index_is_named(folder, content):
    """kills: an error from inside json, or an unreadable index taken for an empty one."""
    (folder / "index.json").write_bytes(content)
    with pytest.raises(ShardError, match=re.escape(str(folder / "index.json"))):
        read_index(folder)


@pytest.mark.parametrize("field", ["name", "samples", "bytes", "sha256", "cluster"])
def test_an_index_without_a_field_is_named(folder, field):
    """kills: a default in the place of a missing field."""

    def drop(index):
        del (index if field == "cluster" else index["shards"][1])[field]

    edited(folder, drop)
    with pytest.raises(ShardError, match=re.escape(str(folder / "index.json"))):
        read_index(folder)


def test_every_flipped_bit_of_an_index_is_seen(folder):
    """kills: a cluster's label, a count or a digest that a flipped bit has made another's."""
    path = folder / "index.json"
    content, first = path.read_bytes(), read_index(folder)
    said = set()
    for i in range(len(content)):
        path.write_bytes(content[:i] + bytes([content[i] ^ 1]) + content[i + 1 :])
        try:
            said.add("as it was" if read_index(folder) == first else f"byte {i} unseen")
        except ShardError as error:
            said.add("named" if str(path) in str(error) else str(error))
    assert said == {"as it was", "named"}  # as it was: the name of the seal itself


def test_a_missing_index_is_named(tmp_path):
    """kills: a folder without an index taken for an empty cluster."""
    with pytest.raises(ShardError, match=re.escape(str(tmp_path / "index.json"))):
        read_index(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "with space",
        "a%20b",
        "a#b",
        "a{0..1}",
    ],
)
def test_a_path_is_a_path_whatever_its_characters(tmp_path, name):
    """kills: a folder's name read as a URL, a pattern or a query."""
    write_cluster(tmp_path / name, 0, SAMPLES, per_shard=4)
    assert [len(read_shard(s)["x0"]) for s in read_index(tmp_path / name)] == [4, 3]
