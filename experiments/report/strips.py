"""Samples as the page moves them: through their denoising, or as clips that play.

`denoising` and `clips` draw them, one prompt and noise a column. A strip is one method's: a line of
pictures for each moment, from noise above to the sample below, or for each frame; the page shows
one line at a time. A json file beside the pictures says what they show.
"""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from experiments.pipeline.files import StoreError, write_whole
from experiments.report.embedded import data_uri

FOLDER, CLIPS = "denoising", "clips"
Files = Mapping[str, bytes]
"""Pictures by the names of their files."""
Shown = TypeVar("Shown")


class View(Enum):
    """What of a sample is shown at a moment; values are parts of file names."""

    ESTIMATE = "x0"
    STATE = "xt"
    SAMPLE = "sample"


@dataclass(frozen=True)
class SliderStop:
    """t: the time.  asked: evaluations of the field before it."""

    t: float
    asked: int


@dataclass(frozen=True)
class Turn:
    """From this t on, down to the next turn, this expert has the most weight."""

    t: float
    expert: int


@dataclass(frozen=True)
class RoutingMap:
    """Which experts each prompt's sample was made by.

    file: a picture of weights, a block for each prompt: experts from top to bottom, evaluations
    from left to right.  leaders: of each prompt, who had the most weight in turn.
    """

    file: str
    experts: int
    leaders: Sequence[Sequence[Turn]]


@dataclass(frozen=True)
class Strip:
    """A method's pictures.  obeyed: estimates that show what their prompt names, at each moment, as
    the judge reads them; none where it cannot tell.  keys: of the networks that drew them.
    routing: None of a method that has one network."""

    name: str
    files: dict[str, str]
    obeyed: Sequence[int]
    keys: Sequence[str]
    routing: RoutingMap | None = None

    def shown(self, view: View) -> str:
        return self.files[view.value]


@dataclass(frozen=True)
class Denoising:
    """width, height: of a line of pictures, in their own pixels."""

    scale: str
    seed: int
    commit: str
    captions: Sequence[str]
    moments: Sequence[SliderStop]
    width: int
    height: int
    strips: Sequence[Strip]

    def write(self, folder: Path, files: Files) -> Path:
        return _write(folder / FOLDER, self, files)

    @property
    def through(self) -> list[float]:
        """How far through its evaluations each moment is, from 0 to 1."""
        return [moment.asked / self.moments[-1].asked for moment in self.moments]

    @property
    def routed(self) -> list[Strip]:
        """The strips of methods that ask several experts."""
        return [strip for strip in self.strips if strip.routing is not None]


@dataclass(frozen=True)
class Clips:
    """width, height: of a line of frames, in their own pixels."""

    scale: str
    seed: int
    commit: str
    captions: Sequence[str]
    frames: int
    width: int
    height: int
    strips: Sequence[Strip]

    def write(self, folder: Path, files: Files) -> Path:
        return _write(folder / CLIPS, self, files)


def denoising(results: Path) -> Denoising | None:
    """What was drawn, its files as the page carries them; None where nothing was. StoreError for
    what cannot be read."""

    def read(record: dict[str, Any], folder: Path) -> Denoising:
        moments = [SliderStop(**each) for each in record["moments"]]
        size = record["width"], record["height"] * len(moments)
        made = _strips(record, folder, size, (View.ESTIMATE, View.STATE))
        return Denoising(**{**record, "moments": moments, "strips": made})

    return _read(results / FOLDER, read)


def clips(results: Path) -> Clips | None:
    """Likewise of clips."""

    def read(record: dict[str, Any], folder: Path) -> Clips:
        size = record["width"], record["height"] * record["frames"]
        made = _strips(record, folder, size, (View.SAMPLE,))
        return Clips(**{**record, "strips": made})

    return _read(results / CLIPS, read)


def _write(folder: Path, shown: Denoising | Clips, files: Files) -> Path:
    """Write pictures, and last what they show: whoever is interrupted leaves pictures that nothing
    shows, never new ones under an old record. Returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / f"{folder.name}.json"
    record.unlink(missing_ok=True)
    for name, content in files.items():
        write_whole(folder / name, content)
    text = json.dumps(asdict(shown), indent=1, ensure_ascii=False)
    write_whole(record, f"{text}\n".encode())
    return folder


def _read(folder: Path, read: Callable[[dict[str, Any], Path], Shown]) -> Shown | None:
    path = folder / f"{folder.name}.json"
    if not path.exists():
        return None
    try:
        return read(json.loads(path.read_text()), folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"cannot read {path}: {error}") from error


def _strips(
    record: dict[str, Any], folder: Path, size: tuple[int, int], views: Sequence[View]
) -> list[Strip]:
    """The strips of a record, with the files of these views, which have this size. ValueError where
    one has another, or there is nothing to show."""
    if not (record["strips"] and all(isinstance(each, str) for each in record["captions"])):
        raise ValueError("it has no strips, or captions that are no text")
    return [_strip(each, folder, size, views) for each in record["strips"]]


def _strip(
    record: Mapping[str, Any], folder: Path, size: tuple[int, int], views: Sequence[View]
) -> Strip:
    names = {view.value: record["files"][view.value] for view in views}
    files = {view: _carried(folder / Path(name).name, size) for view, name in names.items()}
    routing = None
    if (routed := record.get("routing")) is not None:
        leaders = [[Turn(**turn) for turn in turns] for turns in routed["leaders"]]
        if not all(leaders):
            raise ValueError(f"{record['name']} has a prompt that nobody leads")
        picture = _carried(folder / Path(routed["file"]).name)
        routing = RoutingMap(picture, routed["experts"], leaders)
    return Strip(**{**record, "files": files, "routing": routing})


def _carried(path: Path, size: tuple[int, int] | None = None) -> str:
    """A picture as the page carries it. ValueError for one that is none, or of another size."""
    from PIL import Image

    content = path.read_bytes()
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        if size is not None and image.size != size:
            raise ValueError(f"{path.name} has {image.size} pixels, not {size}")
    return data_uri("image/webp", content)
