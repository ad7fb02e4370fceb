"""Fashion-MNIST and CIFAR-10 by torchvision, with captions from the names of their classes."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torchvision import datasets

from datamodules.sources.pictures import scaled
from datamodules.sources.source import Records, Refused, SourceError, Split, read_all

PART = 5_000
"""Pictures to a part."""
PATIENCE = 30.0
"""Seconds without an answer after which a download is given up; torchvision itself sets no end."""
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Classed:
    """The first `train` pictures of the training file, the next `judge`, and of the test file the
    first `heldout`. ValueError if the files do not hold them.

    Subclasses are the datasets. Both files come shuffled, so none is shuffled here. Each part
    reads its whole file again, 150 MB of bytes at most, and makes floats of a batch at a time.

    data_root: the folder that torchvision reads. download: fetch what is not there.
    """

    train: int = 50_000
    judge: int = 10_000
    heldout: int = 10_000
    data_root: str = field(default="data", metadata={"key": False})
    download: bool = field(default=False, metadata={"key": False})

    title: ClassVar[str]
    name: ClassVar[str]
    preparation: ClassVar[str]
    folder: ClassVar[str]
    """Where torchvision keeps the files below `data_root`."""
    files: ClassVar[tuple[int, int]]
    """How many pictures the training and the test file hold."""
    things: ClassVar[tuple[str, ...]]
    """The classes as captions name them, article included."""
    phrasings: ClassVar[tuple[str, ...]]
    channels: ClassVar[int]

    image = 32
    classes = 10

    def __post_init__(self) -> None:
        first, second = self.files
        sizes = (self.train, self.judge, self.heldout)
        if min(sizes) < 2 or self.train + self.judge > first or self.heldout > second:
            raise ValueError(
                f"splits of {sizes} pictures of {self.title}: each needs two, the first two have "
                f"{first} between them and the last {second}"
            )

    def load(self, training: bool) -> tuple[Pixels, NDArray[np.int64]]:
        """Pixels [N, C, 32, 32] and labels [N] of a file, as torchvision reads it."""
        raise NotImplementedError

    def caption(self, index: int, label: int) -> str:
        """One of four phrasings in turn, by the picture's place in its file."""
        return self.phrasings[index % len(self.phrasings)].format(self.things[label])

    def locate(self) -> None:
        """SourceError, before anything is run, if the files are not there and not to be fetched."""
        folder = Path(self.data_root) / self.folder
        if not self.download and not folder.is_dir():
            raise SourceError(
                f"no {self.title} in {folder}: --scale.source.download true fetches it, "
                "--scale.source.data_root says where else it lies"
            )

    def expected(self, split: Split) -> int:
        start, stop = self._range(split)
        return stop - start

    def parts(self, split: Split) -> Sequence[str]:
        start, stop = self._range(split)
        return tuple(f"{i:05d}" for i in range(start, stop, PART))

    def batches(self, split: Split, part: str, size: int, refused: Refused) -> Iterator[Records]:
        if part not in self.parts(split):
            raise ValueError(f"{part} is no part of the {split.value} split of {self.title}")
        return self._batches(split, int(part), size, refused)

    def read(self, split: Split) -> Records:
        return read_all(self, split)

    def _range(self, split: Split) -> tuple[int, int]:
        if split is Split.HELDOUT:
            return 0, self.heldout
        return (0, self.train) if split is Split.TRAIN else (self.train, self.train + self.judge)

    def _batches(self, split: Split, first: int, size: int, refused: Refused) -> Iterator[Records]:
        with self._explained():
            pixels, labels = self.load(split is not Split.HELDOUT)
        end = min(first + PART, self._range(split)[1])
        if len(pixels) < end:
            raise SourceError(
                f"{self.title} under {self.data_root} holds {len(pixels)} pictures, not "
                f"{self.files[split is Split.HELDOUT]}: delete it and download it again"
            )
        file = "test" if split is Split.HELDOUT else "train"
        for start in range(first, end, size):
            places = range(start, min(start + size, end))
            chosen = slice(places.start, places.stop)
            refused.kept += len(places)
            yield Records(
                keys=[f"{file}-{i:05d}" for i in places],
                images=scaled(pixels[chosen]),
                labels=labels[chosen],
                captions=[self.caption(i, int(labels[i])) for i in places],
            )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        before = socket.getdefaulttimeout()
        socket.setdefaulttimeout(PATIENCE)
        try:
            yield
        except MemoryError:
            raise
        except Exception as error:  # torchvision asserts what files are to look like
            said = (str(error) or type(error).__name__).splitlines()[0]
            todo = "check the network" if self.download else "put it there, or ask for download"
            raise SourceError(
                f"cannot read {self.title} under {Path(self.data_root).resolve()} ({said}): {todo}"
            ) from error
        finally:
            socket.setdefaulttimeout(before)


@dataclass(frozen=True)
class FashionMNIST(Classed):
    """Fashion-MNIST, 28x28 padded to 32x32 by 2 on every side with 0, its background."""

    title, name, preparation = "Fashion-MNIST", "fashion-mnist", "pad32"
    folder = "FashionMNIST/raw"
    files = (60_000, 10_000)
    channels = 1
    things = (
        "a t-shirt",
        "a pair of trousers",
        "a pullover",
        "a dress",
        "a coat",
        "a sandal",
        "a shirt",
        "a sneaker",
        "a bag",
        "an ankle boot",
    )
    phrasings = (
        "a photo of {}",
        "{} from a catalogue",
        "a grey picture of {}",
        "{} on a black background",
    )

    def load(self, training: bool) -> tuple[Pixels, NDArray[np.int64]]:
        data = datasets.FashionMNIST(self.data_root, train=training, download=self.download)
        pixels = np.pad(data.data.numpy(), ((0, 0), (2, 2), (2, 2)))
        return pixels[:, None], data.targets.numpy().astype(np.int64)


@dataclass(frozen=True)
class CIFAR10(Classed):
    """CIFAR-10, 32x32 in colour."""

    train: int = 40_000

    title, name, preparation = "CIFAR-10", "cifar-10", "32px"
    folder = "cifar-10-batches-py"
    files = (50_000, 10_000)
    channels = 3
    things = (
        "an airplane",
        "a car",
        "a bird",
        "a cat",
        "a deer",
        "a dog",
        "a frog",
        "a horse",
        "a ship",
        "a truck",
    )
    phrasings = (
        "a photo of {}",
        "{} in a photo",
        "a small picture of {}",
        "a picture that shows {}",
    )

    def load(self, training: bool) -> tuple[Pixels, NDArray[np.int64]]:
        data = datasets.CIFAR10(self.data_root, train=training, download=self.download)
        return data.data.transpose(0, 3, 1, 2), np.array(data.targets, dtype=np.int64)
