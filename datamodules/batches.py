"""What every data module does with a batch on its way to the device."""

import lightning as L
import torch
from torch import Tensor


class Batches(L.LightningDataModule):
    """A data module whose batches carry their own number, `step`, by which numbers are drawn."""

    def transfer_batch_to_device(
        self, batch: dict[str, Tensor], device: torch.device, dataloader_idx: int
    ) -> dict[str, Tensor]:
        """All but the step: it is read where numbers are drawn, and a GPU would be waited for."""
        return {
            key: x if key == "step" else x.to(device, non_blocking=True) for key, x in batch.items()
        }
