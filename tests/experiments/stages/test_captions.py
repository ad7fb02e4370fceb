"""Captions that several sample sets ask for are read once, and each set gets its own."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch

from experiments.stages import prompts

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Lengths:
    """A caption's states and pooled vector are its length times `scale`. It counts its calls."""

    scale: int = 1

    calls: ClassVar = []

    def encode(self, captions, device):
        self.calls.append(len(captions))
        lengths = self.scale * np.array([[len(caption)] for caption in captions], np.float32)
        return lengths[:, None], lengths


@pytest.fixture(autouse=True)
def nothing_remembered():
    prompts._remembered.cache_clear()
    Lengths.calls.clear()


def read(captions, text=Lengths()):
    return prompts.encoded(text, captions, CPU)[1][:, 0].tolist()


def test_the_same_captions_are_read_once_and_others_are_read():
    """kills: a tokenizer built for each of a table's sample sets; states of another set's captions,
    of the same in another order, or of another encoder."""
    assert [read(["a", "bb"]), read(["a", "bb"])] == [[1, 2], [1, 2]]
    assert Lengths.calls == [2]
    assert read(["bb", "a"]) == [2, 1]
    assert read(["bb", "a"], Lengths(3)) == [6, 3]
    assert Lengths.calls == [2, 2, 2]


def test_many_captions_are_not_remembered(monkeypatch):
    """kills: gigabytes of states kept by every worker at the papers' size."""
    monkeypatch.setattr(prompts, "REMEMBERED", 2)
    for _ in range(2):
        assert read(["a", "bb", "ccc"]) == [1, 2, 3]
    assert Lengths.calls == [3, 3]
