"""A store as a person writes it, `--store store` or `--store s3://bucket/prefix`, opened."""

import hashlib
import os
import tempfile
from pathlib import Path

from experiments.pipeline.files import StoreError
from experiments.pipeline.storage.addresses import AddressPlace
from experiments.pipeline.storage.cache import GB, Cache
from experiments.pipeline.storage.places import FolderPlace, place_of
from experiments.pipeline.storage.remote import Remote
from experiments.pipeline.store import Store

CACHE_GB = 50.0


def open_store(store: str, cache: Path | None = None, cache_gb: float = CACHE_GB) -> Store:
    """The store in a folder or at an address of fsspec, as a person writes it.

    cache: the folder of copies of what lies at an address; by default one below ~/.cache.
    cache_gb: what it may hold.  Raises StoreError for no name, as of a variable that is not set,
    and for an address of HTTP; one of no kind that is known raises it when it is first asked.
    """
    if not store.strip():
        raise StoreError("the store has no name: give a folder or an address")
    place = place_of(store)
    if isinstance(place, FolderPlace):
        return Store(place.root)
    assert isinstance(place, AddressPlace)
    if cache is None:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        cache = Path(base, "heterogeneous-ddm")
    root = cache.expanduser() / hashlib.sha256(str(place).encode()).hexdigest()[:12]
    return Store(root, Remote(place, Cache(root, round(cache_gb * GB))))


def check_store(store: Store, writing: bool) -> None:
    """StoreError, before anything is made, for a store that is a file or an address at which
    nothing answers, or, if something is to be kept, a folder that may not be written."""
    place = store.place
    try:
        if isinstance(place, FolderPlace):
            there = next(each for each in (place.root, *place.root.parents) if each.exists())
            with tempfile.TemporaryFile(dir=there) if writing else os.scandir(there):
                pass
        else:
            place.names("making")
    except OSError as error:
        why = error.strerror or error
        raise StoreError(f"the store {place} can keep nothing: {why}") from error
