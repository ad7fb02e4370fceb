"""The checkpoint that HDDM's experts begin with: an ImageNet DiT, downloaded by hand.  (§2.6)"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from experiments.files import read_json, sha256
from experiments.identity import Context, Stage
from experiments.store import Store
from metrics.weights import WeightsError, torch_file
from modules.blocks import Size
from modules.dit import XL, DiT, DiTNetwork
from modules.facebook_dit import convert, read
from modules.objectives import Objective
from modules.pretrained import Transfer
from modules.timesteps import eq_21


@dataclass(frozen=True)
class PretrainedDiT(Stage):
    """file.json: that a file of facebookresearch/DiT's is there, and which it is.

    It lies where torch.hub would keep it, below TORCH_HOME.  sha256: the file's, none for whatever
    the address gave, which is then recorded.  size: its blocks'.
    """

    url: str = "https://dl.fbaipublicfiles.com/DiT/models/DiT-XL-2-256x256.pt"
    sha256: str | None = None
    size: Size = XL

    @property
    def label(self) -> str:
        return self.url.rsplit("/", 1)[1]

    @property
    def cost(self) -> float:
        """Before all data: a file that is not there is better known at once than after days."""
        return 30.0

    def locate(self) -> Path:
        """The file. WeightsError, with the command that downloads it, without it."""
        return torch_file(self.url)

    def make(self, folder: Path, context: Context) -> None:
        """WeightsError, with the command that downloads the file, if it is absent or another."""
        told = {"url": self.url, "sha256": self._found(self.sha256)[1]}
        (folder / "file.json").write_text(json.dumps(told, indent=1) + "\n")

    def _found(self, digest: str | None) -> tuple[Path, str]:
        path = self.locate()
        found = sha256(path)
        if digest not in (None, found):
            raise WeightsError(f"{path} has SHA-256 {found}, not {digest}: download it again")
        return path, found

    def shape(self, shape: DiT, objective: Objective) -> DiT:
        """`shape` as one begun with this has it: of this size, with the time map of Eq. 21."""
        return replace(shape, size=self.size, time=eq_21(objective))

    def check(self, shape: DiT, objective: Objective) -> None:
        """ValueError for a network of this objective that reads time otherwise than Eq. 21."""
        if shape.time != eq_21(objective):
            raise ValueError(
                f"begun with an ImageNet DiT, an expert of {objective} reads {eq_21(objective)} "
                f"(Eq. 21), not {shape.time}"
            )

    def begin(self, network: DiTNetwork, what: Transfer, store: Store) -> str:
        """Copy into `network` what Eq. 20 takes, and tell of the file and of every tensor.

        Raises WeightsError if the file is not the one that was there, CheckpointError if it is of
        another network.
        """
        path, found = self._found(read_json(store.file(self, "file.json"))["sha256"])
        report = convert(read(path), network, what)
        return f"file           {self.url}\nSHA-256        {found}\n{report}\n"
