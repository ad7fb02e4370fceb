"""The judge of clips at `paper`: the metrics that papers print, by networks that others trained.

FVD against the held-out split, CLIP's similarity of frames and caption, LAION's aesthetic score,
and optical flow: of clips rounded to eight bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from datamodules.sources.source import RecordCounts, SourceError, Split, VideoSource
from experiments.pipeline.store import Context
from experiments.scores.clips import CLIP, video_distance
from experiments.scores.judge import FeatureRows, Judge, Reading, SetReading
from experiments.stages.encode import BATCH
from experiments.stages.samples import Images, Pictures
from experiments.tables.columns import Column
from metrics.networks.aesthetic import Aesthetic
from metrics.networks.clip import OpenClip
from metrics.networks.flow import Flow
from metrics.networks.i3d import I3DFeatures
from metrics.pixels import to_uint8

NETWORK = "I3D"


@dataclass(frozen=True)
class ClipNetworks:
    """Which networks judge clips. Where their files lie: --scale.judge.networks.i3d.path, …

    i3d: whose features FVD is of.  clip: how well frames fit their caption.
    aesthetic: how pleasing frames are, by CLIP's features.
    """

    i3d: I3DFeatures = I3DFeatures(Path("weights/i3d_torchscript.pt"))
    clip: OpenClip = OpenClip("ViT-L-14-quickgelu", "openai")
    aesthetic: Aesthetic = Aesthetic(Path("weights/aesthetic"))


@dataclass(frozen=True)
class PublishedClips(Judge):
    """heldout.npy: I3D's features of the first n held-out clips. SourceError if there are fewer."""

    preferred: ClassVar[Column] = CLIP
    source: VideoSource
    n: int
    networks: ClipNetworks
    flow: Flow

    @property
    def label(self) -> str:
        return f"I3D features of {self.n} held-out clips"

    def make(self, folder: Path, context: Context) -> None:
        features, counts, size = list[NDArray[np.float32]](), RecordCounts(), self._size
        for part in self.source.parts(Split.HELDOUT):
            for records in self.source.batches(Split.HELDOUT, part, size, counts):
                clips = to_uint8(records.images)
                features.append(self.networks.i3d.encode(clips, context.torch_device))
                counts.check()
            if sum(map(len, features)) >= self.n:
                break
        if (there := sum(map(len, features))) < self.n:
            raise SourceError(f"{self.n} held-out clips asked for, but {self.source} has {there}")
        np.save(folder / "heldout.npy", np.concatenate(features)[: self.n])

    @property
    def _size(self) -> int:
        """Clips read at once."""
        return max(1, BATCH // self.source.frames)

    def read(
        self, samples: Images, captions: Sequence[str], labels: NDArray[np.int64], context: Context
    ) -> Reading:
        shown, device = to_uint8(samples), context.torch_device
        moved = self.flow.scores(shown)
        numbers = {
            "clip": self.networks.clip.video_scores(shown, list(captions), device).cosine,
            "aesthetic": self.networks.aesthetic.video_scores(shown, device),
            "motion": moved.motion,
            "warping": moved.warping_error,
            "visible": moved.visible,
        }
        return Reading({NETWORK: self.networks.i3d.encode(shown, device)}, numbers)

    def read_set(
        self, features: FeatureRows, drawn: Pictures, several: Pictures, context: Context
    ) -> SetReading:
        heldout = np.load(context.store.file(self, "heldout.npy"))
        return SetReading(video_distance(features[NETWORK], heldout), {})
