"""Fashion-MNIST and CIFAR-10 from torchvision, with captions made from their classes' names."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from datamodules.sources.pictures import scaled
from datamodules.sources.reading import read_all
from datamodules.sources.source import RecordCounts, Records, SourceError, Split

PART = 5_000
"""Pictures in a part."""
DOWNLOAD_TIMEOUT = 30.0
"""Seconds without an answer after which a download fails; torchvision itself sets no limit."""
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Classed:
    """A dataset with classes; subclasses name it. Both its files are shuffled already.

    Each part reads its whole file again, at most 150 MB, and converts one batch at a time.

    train, judge: the training file's first pictures, and the next.  heldout: the test file's first.
        ValueError if the files do not have as many.
    data_root: the folder that torchvision reads.  download: fetch missing files.
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
    """The folder of torchvision's files below `data_root`."""
    files: ClassVar[tuple[int, int]]
    """Pictures in the training file and in the test file."""
    class_names: ClassVar[tuple[str, ...]]
    """The classes as captions name them, with an article."""
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
        """Pixels [N, C, 32, 32], uint8, and labels [N] of the training or the test file.

        Raises whatever torchvision raises.
        """
        raise NotImplementedError

    def caption(self, index: int, label: int) -> str:
        """The caption of a file's picture `index`: one of four phrasings in turn."""
        return self.phrasings[index % len(self.phrasings)].format(self.class_names[label])

    @property
    def _root(self) -> Path:
        return Path(self.data_root).expanduser()

    def locate(self) -> None:
        """Raise SourceError if the files are missing and `download` is off."""
        folder = self._root / self.folder
        if not self.download and not folder.is_dir():
            raise SourceError(
                f"no {self.title} in {folder}: --scale.data.source.download true fetches it, "
                "--scale.data.source.data_root says where else it lies"
            )

    def expected(self, split: Split) -> int:
        start, stop = self._range(split)
        return stop - start

    def parts(self, split: Split) -> Sequence[str]:
        start, stop = self._range(split)
        return tuple(f"{i:05d}" for i in range(start, stop, PART))

    def batches(
        self, split: Split, part: str, size: int, counts: RecordCounts
    ) -> Iterator[Records]:
        if part not in self.parts(split):
            raise ValueError(f"{part} is no part of the {split.value} split of {self.title}")
        return self._batches(split, int(part), size, counts)

    def read(self, split: Split) -> Records:
        return read_all(self, split)

    def _range(self, split: Split) -> tuple[int, int]:
        if split is Split.HELDOUT:
            return 0, self.heldout
        return (0, self.train) if split is Split.TRAIN else (self.train, self.train + self.judge)

    def _batches(
        self, split: Split, first: int, size: int, counts: RecordCounts
    ) -> Iterator[Records]:
        with self._reading():
            pixels, labels = self.load(split is not Split.HELDOUT)
        end = min(first + PART, self._range(split)[1])
        if len(pixels) < end:
            raise SourceError(
                f"{self.title} under {self.data_root} holds {len(pixels)} pictures, not "
                f"{self.files[split is Split.HELDOUT]}: delete it and download it again"
            )
        file = "test" if split is Split.HELDOUT else "train"
        for start in range(first, end, size):
            indices = range(start, min(start + size, end))
            chosen = slice(indices.start, indices.stop)
            counts.kept += len(indices)
            yield Records(
                keys=[f"{file}-{i:05d}" for i in indices],
                images=scaled(pixels[chosen]),
                labels=labels[chosen],
                captions=[self.caption(i, int(labels[i])) for i in indices],
            )

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Limit the time of a download, and raise any failure as a SourceError."""
        before = socket.getdefaulttimeout()
        socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
        try:
            yield
        except MemoryError:
            raise
        except Exception as error:  # torchvision checks files with assertions
            reason = (str(error) or type(error).__name__).splitlines()[0]
            advice = "check the network" if self.download else "put it there, or ask for download"
            root = self._root.resolve()
            raise SourceError(
                f"cannot read {self.title} under {root} ({reason}): {advice}"
            ) from error
        finally:
            socket.setdefaulttimeout(before)


@dataclass(frozen=True)
class FashionMNIST(Classed):
    """Fashion-MNIST, 28 x 28, padded to 32 x 32 with its background, 0."""

    title, name, preparation = "Fashion-MNIST", "fashion-mnist", "pad32"
    folder = "FashionMNIST/raw"
    files = (60_000, 10_000)
    channels = 1
    class_names = (
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
        """Pixels [N, C, 32, 32], uint8, and labels [N] of the training or the test file."""
        from torchvision import datasets

        data = datasets.FashionMNIST(self._root, train=training, download=self.download)
        pixels = np.pad(data.data.numpy(), ((0, 0), (2, 2), (2, 2)))
        return pixels[:, None], data.targets.numpy().astype(np.int64)


@dataclass(frozen=True)
class CIFAR10(Classed):
    """CIFAR-10, 32 x 32, in colour."""

    train: int = 40_000

    title, name, preparation = "CIFAR-10", "cifar-10", "32px"
    folder = "cifar-10-batches-py"
    files = (50_000, 10_000)
    channels = 3
    class_names = (
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
        """Pixels [N, C, 32, 32], uint8, and labels [N] of the training or the test file."""
        from torchvision import datasets

        data = datasets.CIFAR10(self._root, train=training, download=self.download)
        return data.data.transpose(0, 3, 1, 2), np.array(data.targets, dtype=np.int64)
