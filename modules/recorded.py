"""What a selection answers along a trajectory, kept."""

from torch import Tensor

from modules.selection import Selection


class Recorded(Selection):
    """A selection that keeps what it answers for a batch's first n rows, which see their captions.

    answers: at each evaluation of the field (t [n], p [n, K], w [n, K]), on the CPU.
    """

    def __init__(self, selection: Selection, n: int) -> None:
        self.selection, self.n = selection, n
        self.answers: list[tuple[Tensor, Tensor, Tensor]] = []

    def weights(self, p: Tensor, t: Tensor) -> Tensor:
        """w [B, K] of p [B, K] at t [B], as the selection itself has it."""
        w = self.selection.weights(p, t)
        self.answers.append((t[: self.n].cpu(), p[: self.n].cpu(), w[: self.n].cpu()))
        return w
