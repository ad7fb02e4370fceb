"""What the page carries inside itself: its pictures, and the library that draws on request.

Pictures go in as lossless WebP, a third of the PNG's bytes with every pixel the same. Plotly's
whole bundle has 4.8 MB, and its parts are on no registry of Python's. Gzipped it takes 2 MB of the
page, and a browser unpacks it for whoever asks for a plot.
"""

import base64
import functools
import gzip
import io
from dataclasses import dataclass
from pathlib import Path

from experiments.report.captions import caption


@dataclass(frozen=True)
class Embedded:
    """A picture in the page.  uri: its pixels.  alt: what it shows, in words."""

    name: str
    uri: str
    width: int
    height: int
    alt: str


def embedded(path: Path, title: str) -> Embedded:
    """A PNG of results, for the page.  title: of its table, for a picture without a caption."""
    uri, width, height = _pixels(path, path.stat().st_mtime_ns)
    return Embedded(path.stem, uri, width, height, caption(path.stem, title))


@functools.cache
def _pixels(path: Path, written: int) -> tuple[str, int, int]:
    """written: when, so that a picture that is drawn again is read again."""
    from PIL import Image

    with Image.open(path) as image:
        packed = io.BytesIO()
        image.convert("RGB").save(packed, "WEBP", lossless=True, quality=60, method=3)
        return data_uri("image/webp", packed.getvalue()), *image.size


def data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


@functools.cache
def plotly() -> str:
    """Plotly's bundle of the installed version, gzipped, in base64."""
    from plotly.offline import get_plotlyjs

    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), 9, mtime=0)).decode()
