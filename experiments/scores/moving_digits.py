"""The judge of moving digits, trained on digits that no other stage reads."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.sources.digits import WORDS
from datamodules.sources.moving_digits import MOTIONS, MovingDigits
from datamodules.sources.source import Split, record_shape
from experiments.pipeline.files import read_json
from experiments.pipeline.store import Context, Store
from experiments.scores.clips import video_distance
from experiments.scores.judge import FeatureRows, Judge, Reading, SetReading
from experiments.stages.run import load_trained
from experiments.stages.samples import Images, Pictures
from experiments.tables.columns import NOT_NEGATIVE, Column, percent
from metrics.clip_judge import MovingJudge, train_judge
from metrics.networks.flow import Flow
from metrics.pixels import to_uint8
from modules.weights.checkpoint import save_weights

BATCH = 64
"""Clips in a batch that the judge learns from."""
NETWORK = "moving digits"
SCENES = len({motion.scene for motion in MOTIONS})

PROMPT = percent("prompt", "Prompt accuracy, %")
DIGIT = percent("digit", "Digit accuracy, %")
MOVES = percent("moves", "Motion accuracy, %")
SPEED = Column("motion", "Motion of edges, px/frame", 3, lies=NOT_NEGATIVE)
LEGIBLE = percent("legible", "Legibility, %")
"""The judge's confidence in whatever digit it sees: how clear a clip is, whatever was asked."""
CONFIDENCE = percent("confidence", "Prompt confidence, %")
"""The judge's probability of the digit that was asked for times that of the motion."""


@dataclass(frozen=True)
class MovingDigitsJudge(Judge):
    """weights.safetensors of the judge, judge.json: how far it can be trusted, and heldout.npy: its
    features of the held-out clips. It learns from digits that no other stage reads."""

    preferred: ClassVar[Column] = CONFIDENCE
    source: MovingDigits
    steps: int
    flow: Flow
    seed: int = 0

    @property
    def label(self) -> str:
        return "judge of moving digits"

    @property
    def cost(self) -> float:
        return 0.07 * self.steps

    def make(self, folder: Path, context: Context) -> None:
        shape = record_shape(self.source)
        judge = train_judge(self._batch, shape, len(WORDS), len(MOTIONS), self.steps, self.seed)
        save_weights(judge, folder / "weights.safetensors")
        heldout = self.source.read(Split.HELDOUT)
        read = judge.read(heldout.images)
        np.save(folder / "heldout.npy", read.features)
        digit, motion = np.divmod(heldout.labels, len(MOTIONS))
        trust = {
            "digit": float((read.object.argmax(1) == digit).mean()),
            "motion": float((read.motion.argmax(1) == motion).mean()),
        }
        (folder / "judge.json").write_text(json.dumps(trust) + "\n")

    def _batch(self, g: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        drawn = self.source.draw(Split.JUDGE, range(SCENES), BATCH, g)
        return drawn.clips, drawn.labels // len(MOTIONS), drawn.labels % len(MOTIONS)

    def load(self, store: Store) -> MovingJudge:
        judge = MovingJudge(record_shape(self.source), len(WORDS), len(MOTIONS))
        load_trained(judge, self, store)
        return judge.eval().requires_grad_(False)

    def columns_for(self, column: Column) -> tuple[Column, ...]:
        if column.key == "fvd":
            return (replace(column, title="FVD (moving-digit features)"),)
        others = {
            "clip": (PROMPT, DIGIT, MOVES, CONFIDENCE),
            "aesthetic": (LEGIBLE,),
            "motion": (SPEED,),
        }
        return others.get(column.key, (column,))

    def read(
        self, samples: Images, captions: Sequence[str], labels: NDArray[np.int64], context: Context
    ) -> Reading:
        answers = self.load(context.store).read(samples)
        digit, motion = np.divmod(labels, len(MOTIONS))
        rows = np.arange(len(labels))
        shown, moves = answers.object.argmax(1) == digit, answers.motion.argmax(1) == motion
        moved = self.flow.scores(to_uint8(samples))
        numbers = {
            "prompt": shown & moves,
            "digit": shown,
            "moves": moves,
            "legible": answers.object.max(axis=1),
            "confidence": answers.object[rows, digit] * answers.motion[rows, motion],
            "motion": moved.speed,
            "warping": moved.warping_error,
            "visible": moved.visible,
        }
        each = {key: x.astype(np.float64) for key, x in numbers.items()}
        return Reading({NETWORK: answers.features}, each)

    def read_set(
        self, features: FeatureRows, drawn: Pictures, several: Pictures, context: Context
    ) -> SetReading:
        heldout = np.load(context.store.file(self, "heldout.npy"))
        return SetReading(video_distance(features[NETWORK], heldout), {})

    def remarks(self, store: Store) -> tuple[str, ...]:
        trust = read_json(store.file(self, "judge.json"))
        return (
            f"The judge reads the digit of {trust['digit']:.1%} and the motion of "
            f"{trust['motion']:.1%} of the held-out clips rightly.",
        )
