"""Stages that hold stages, for keys and the store."""

from dataclasses import dataclass
from enum import Enum

from experiments.pipeline.stage import Stage


class Colour(Enum):
    RED = 1
    BLUE = 2


@dataclass(frozen=True)
class Inner:
    rate: float = 0.5
    colour: Colour = Colour.RED


class Other(Inner):
    pass


@dataclass(frozen=True)
class Part(Stage):
    name: str = "a"
    inner: Inner = Inner()

    def make(self, folder, context):
        (folder / "part.txt").write_text(self.name)


@dataclass(frozen=True)
class Whole(Part):
    parts: tuple[Part, ...] = (Part("a"), Part("b"))
    first: Part = Part("c")
    kind_of: type = int
