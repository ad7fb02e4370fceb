"""Samples at moments of their denoising, as `denoising` draws them: one prompt and noise a column.

denoising.json beside the pictures says what they show. A strip is one method's: a line of pictures
for each moment, from noise above to the sample below, of which the page shows one line at a time.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path

from experiments.pipeline.files import StoreError, write_whole
from experiments.report.embedded import data_uri

FOLDER, FILE = "denoising", "denoising.json"


class View(Enum):
    """What of a sample is shown at a moment; values are parts of file names."""

    ESTIMATE = "x0"
    STATE = "xt"


@dataclass(frozen=True)
class SliderStop:
    """t: the time.  asked: evaluations of the field before it."""

    t: float
    asked: int


@dataclass(frozen=True)
class Strip:
    """A method's pictures.  obeyed: estimates that show what their prompt names, at each moment, as
    the judge reads them; none where it cannot tell.  keys: of the networks that drew them."""

    name: str
    files: dict[str, str]
    obeyed: Sequence[int]
    keys: Sequence[str]

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

    def write(self, folder: Path) -> None:
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False)
        write_whole(folder / FOLDER / FILE, f"{text}\n".encode())


def read(results: Path) -> Denoising | None:
    """What was drawn, its files as the page carries them; None where nothing was. StoreError for
    what cannot be read."""
    path = results / FOLDER / FILE
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_text())
        moments = [SliderStop(**each) for each in record.pop("moments")]
        strips = [Strip(**each) for each in record.pop("strips")]
        carried = [_carried(strip, path.parent) for strip in strips]
        return Denoising(**record, moments=moments, strips=carried)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"cannot read {path}: {error}") from error


def _carried(strip: Strip, folder: Path) -> Strip:
    files = {
        view: data_uri("image/webp", (folder / Path(name).name).read_bytes())
        for view, name in strip.files.items()
    }
    return Strip(strip.name, files, strip.obeyed, strip.keys)
