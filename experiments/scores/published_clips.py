"""The judge of clips at `paper`: the metrics that papers print, by networks that others trained.

FVD against the held-out split, CLIP's similarity of frames and caption, LAION's aesthetic score,
and optical flow: of clips rounded to eight bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.sources.source import RecordCounts, SourceError, Split, VideoSource
from experiments.pipeline.store import Context
from experiments.scores.clips import ClipJudging, Each
from experiments.stages.encode import BATCH
from experiments.stages.samples import Images
from experiments.tables.columns import Column
from metrics.networks.aesthetic import Aesthetic
from metrics.networks.clip import OpenClip
from metrics.networks.flow import Flow
from metrics.networks.i3d import I3DFeatures
from metrics.pixels import to_uint8


@dataclass(frozen=True)
class ClipNetworks:
    """Which networks judge clips. Where their files lie: --scale.judge.i3d.path and the like."""

    i3d: I3DFeatures = I3DFeatures(Path("weights/i3d_torchscript.pt"))
    clip: OpenClip = OpenClip("ViT-L-14-quickgelu", "openai")
    aesthetic: Aesthetic = Aesthetic(Path("weights/aesthetic"))


@dataclass(frozen=True)
class PublishedClips(ClipJudging):
    """heldout.npy: I3D's features of the first n held-out clips. SourceError if there are fewer."""

    source: VideoSource
    n: int
    networks: ClipNetworks
    flow: Flow

    @property
    def label(self) -> str:
        return f"I3D features of {self.n} held-out clips"

    def make(self, folder: Path, context: Context) -> None:
        found, refused, size = list[NDArray[np.float32]](), RecordCounts(), self._size
        for part in self.source.parts(Split.HELDOUT):
            for records in self.source.batches(Split.HELDOUT, part, size, refused):
                clips = to_uint8(records.images)
                found.append(self.networks.i3d.encode(clips, context.torch_device))
                refused.check()
            if sum(map(len, found)) >= self.n:
                break
        if (there := sum(map(len, found))) < self.n:
            raise SourceError(f"{self.n} held-out clips asked for, but {self.source} has {there}")
        np.save(folder / "heldout.npy", np.concatenate(found)[: self.n])

    @property
    def _size(self) -> int:
        """Clips read at once."""
        return max(1, BATCH // self.source.frames)

    def columns_for(self, column: Column) -> tuple[Column, ...]:
        return (column,)

    def read(
        self, clips: Images, captions: Sequence[str], labels: NDArray[np.int64], context: Context
    ) -> tuple[NDArray[np.floating], Each]:
        seen, device = to_uint8(clips), context.torch_device
        moved = self.flow.scores(seen)
        return self.networks.i3d.encode(seen, device), {
            "clip": self.networks.clip.video_scores(seen, list(captions), device).cosine,
            "aesthetic": self.networks.aesthetic.video_scores(seen, device),
            "motion": moved.motion,
            "warping": moved.warping_error,
            "visible": moved.visible,
        }

    def reference(self, context: Context) -> NDArray[np.floating]:
        return np.load(context.store.file(self, "heldout.npy"))
