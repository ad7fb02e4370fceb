"""The batches of several trainings, step by step beside each other."""

from collections.abc import Iterable, Iterator, Sequence

import lightning as L
import torch

from datamodules.latents import Arrays


class StackedBatches(L.LightningDataModule):
    """Lists of batches, one of each part; each part reads its own files and no other's.

    Validation batches are the first part's: only a training by itself is validated.
    """

    def __init__(self, parts: Sequence[L.LightningDataModule]) -> None:
        super().__init__()
        self.parts = list(parts)

    def train_dataloader(self) -> "InStep":
        """Lists of E batches, from the trainer's step on."""
        for part in self.parts:
            part.trainer = self.trainer
        return InStep([part.train_dataloader() for part in self.parts])

    def val_dataloader(self) -> "InStep":
        """Lists of one validation batch."""
        return InStep([self.parts[0].val_dataloader()])

    def transfer_batch_to_device(
        self, batch: list[Arrays], device: torch.device, dataloader_idx: int
    ) -> list[Arrays]:
        """Each part's batch, as it moves it."""
        return [
            part.transfer_batch_to_device(own, device, dataloader_idx)
            for part, own in zip(self.parts, batch, strict=False)
        ]

    def on_after_batch_transfer(self, batch: list[Arrays], dataloader_idx: int) -> list[Arrays]:
        """What each part makes of its batch on the device."""
        return [
            part.on_after_batch_transfer(own, dataloader_idx)
            for part, own in zip(self.parts, batch, strict=False)
        ]


class InStep:
    """Iterables, one item of each at a time, until one ends."""

    def __init__(self, iterables: Sequence[Iterable[Arrays]]) -> None:
        self.iterables = iterables

    def __iter__(self) -> Iterator[list[Arrays]]:
        return map(list, zip(*self.iterables, strict=False))
