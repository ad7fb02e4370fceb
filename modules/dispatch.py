"""An ensemble whose experts are all asked at once, wherever they are: its selection is known first.

What `Ensemble` computes, to the bit: each expert sees the same rows, and answers are added in the
same order. Who is asked answers in any order, beside the others or after them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from modules.ensemble import Ensemble
from modules.expert import Expert
from modules.schedules import expand
from modules.text import Text


class Question(NamedTuple):
    """The rows that one expert is asked about: x [M, ...], t [M] and their captions."""

    x: Tensor
    t: Tensor
    c: Text | None


Ask = Callable[["Dispatched", Mapping[int, Question]], Mapping[int, Tensor]]
"""The velocities [M, ...] of those that are asked, by their number, on the ensemble's path."""


def in_turn(ensemble: "Dispatched", questions: Mapping[int, Question]) -> dict[int, Tensor]:
    """Every expert asked here, one after another."""
    return {k: ensemble.velocity(ensemble.experts[k], q) for k, q in questions.items()}


@dataclass(frozen=True)
class Dispatched(Ensemble):
    """An ensemble that asks all the experts of a step by one call.

    ask: of whom.
    """

    ask: Ask = in_turn

    def velocity(self, expert: Expert, question: Question) -> Tensor:
        """u [M, ...] of one expert on the ensemble's path."""
        x, t, c = question
        return expert.velocity(x, t, c, self.path, self.alignment, self.guard)

    def __call__(self, x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        w = self.weights(x, t, c)
        if w.shape[1] != len(self.experts):
            raise ValueError(f"weights for {w.shape[1]} experts, but there are {len(self.experts)}")
        expert_of, rows = w.T.nonzero().unbind(1)
        rows_of = {k: rows[expert_of == k] for k in expert_of.unique().tolist()}
        questions = {
            k: Question(x[own], t[own], None if c is None else c[own]) for k, own in rows_of.items()
        }
        answers, u = self.ask(self, questions), torch.zeros_like(x)
        for k, own in rows_of.items():
            u_k = answers[k]
            u.index_add_(0, own, expand(w[own, k], u_k) * u_k)
        return u
