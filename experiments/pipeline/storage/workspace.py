"""The folders in which artifacts are made, `making/<kind>-<key>`, and who goes on in which."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from experiments.pipeline.files import StoreError
from experiments.pipeline.storage.leases import Lease, State, leased
from experiments.pipeline.storage.places import StorePlace


@contextmanager
def workspace(
    place: StorePlace, making: Path, artifact: str, inputs: tuple[str, ...], resumes: bool
) -> Iterator[Path]:
    """A folder to make an artifact, kind-key, in: what a killed run left, or an empty one.

    It is gone after the block, but after an error, so that a stage that resumes finds it.
    Raises StoreError if another host took it over meanwhile.
    """
    making.mkdir(parents=True, exist_ok=True)
    with leased(place, artifact, inputs, patient=resumes) as lease:
        folder = _taken(making, lease)
        if folder.exists() and not resumes:
            shutil.rmtree(folder)
        folder.mkdir(exist_ok=True)
        try:
            yield folder
        except BaseException as error:
            _leave(folder, lease)
            if isinstance(error, OSError) and lease.lost:
                raise StoreError(
                    f"{place} took {artifact} for abandoned, having heard nothing from here for "
                    "too long: another process makes it"
                ) from error
            raise
        shutil.rmtree(folder, ignore_errors=True)  # still there if another was first
        Path(making, f"{artifact}.lock").unlink(
            missing_ok=True
        )  # of stores before there were leases


def _taken(making: Path, lease: Lease) -> Path:
    """The folder to work in, what others left having been cleared away."""
    for left, _ in lease.left:
        if left.state is State.APART:  # nobody goes on in it
            shutil.rmtree(making / left.folder, ignore_errors=True)
            lease.place.remove(left.file, touched=True)
    if not lease.holds:
        return making / lease.folder
    before = [(left, dead) for left, dead in lease.left if left.state is not State.APART]
    names = (*(left.folder for left, _ in before), lease.artifact)
    folder = next((making / name for name in names if (making / name).exists()), making / names[-1])
    if not all(dead for _, dead in before):
        # A process that was only silent must not go on in the same folder: it finds it gone.
        fenced = making / f"{lease.artifact}.{lease.token}"
        lease.write(State.HOLDING, fenced.name)
        if folder.exists():
            folder.rename(fenced)
        folder = fenced
    elif folder.name != lease.artifact:
        lease.write(State.HOLDING, folder.name)
    for left, _ in before:
        lease.place.remove(left.file, touched=True)
    return folder


def _leave(folder: Path, lease: Lease) -> None:
    """After an error: a folder apart goes, one that is held stays where the next looks for it."""
    rest = folder.with_name(lease.artifact)
    if not lease.holds:
        shutil.rmtree(folder, ignore_errors=True)
    elif folder != rest and not rest.exists():
        with suppress(OSError):
            folder.rename(rest)
