"""Image-text shards made for tests: grey pictures whose level and caption are their number."""

import io
import json
import tarfile

from PIL import Image

from datamodules.sources.imagetext import ImageText

META = {"key": "0", "status": "success", "aesthetic": 6.0, "title": " A title "}


def png(level, size=(20, 16)):
    file = io.BytesIO()
    Image.new("RGB", size, (level, level, level)).save(file, "PNG")
    return file.getvalue()


def record(i, **changed):
    """The files of a record, of which `changed` replaces or, with None, takes away some."""
    files = {"png": png(i), "txt": f"caption {i}\n".encode(), "json": json.dumps(META).encode()}
    return {k: v for k, v in {**files, **changed}.items() if v is not None}


def write(path, records, mode="w"):
    """A shard of (key, files)."""
    with tarfile.open(path, mode) as tar:
        for key, files in records:
            for suffix, content in files.items():
                info = tarfile.TarInfo(f"{key}.{suffix}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))


def write_five(root):
    """Five shards, 00000.tar with records 0 to 9, 00001.tar with 10 to 19, …"""
    for s in range(5):
        write(root / f"{s:05d}.tar", [(f"{i:09d}", record(i)) for i in range(10 * s, 10 * s + 10)])
    return root


def source(root, shards="{00000..00004}.tar", **changed):
    return ImageText(name="test", shards=shards, root=str(root), **{"image": 16, **changed})
