"""The checkpoints that experts begin with, downloaded by hand.

HDDM's with an ImageNet DiT (§2.6), Paris 2.0's with FLUX.1-dev (§3.1).
"""

import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import nn

from datamodules.encoders import hub
from experiments.pipeline.files import read_json, sha256
from experiments.pipeline.stage import Stage
from experiments.pipeline.store import Context, Store
from metrics.networks.weights import WeightsFileError, torch_file
from modules.blocks import Size
from modules.dit import XL, DiT, DiTNetwork
from modules.mmdit import MMDiT, MMDiTNetwork
from modules.objectives import Objective
from modules.timesteps import dit_time_map
from modules.weights import bfl, flux
from modules.weights.facebook_dit import convert, read_checkpoint
from modules.weights.pretrained import Transfer
from modules.weights.tensors import checkpoint_files, open_tensors

NEW = 0.02
"""Deviation of the output layer of an expert begun with a checkpoint.  (HDDM, Eq. 20 and §6.2)"""
FLUX_INDEX = "diffusion_pytorch_model.safetensors.index.json"


@dataclass(frozen=True)
class PretrainedDiT(Stage):
    """file.json: that a file of facebookresearch/DiT's is there, and which it is.

    It lies where torch.hub would keep it, below TORCH_HOME.

    url: the address that the file has.  sha256: the file's, none for whatever the address gave,
    which is then recorded.  size: its blocks'.
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
        """The file. WeightsFileError, with the command that downloads it, without it."""
        return torch_file(self.url)

    def make(self, folder: Path, context: Context) -> None:
        """WeightsFileError, with the command to download the file, if it is absent or another."""
        file = {"url": self.url, "sha256": self._checked(self.sha256)[1]}
        (folder / "file.json").write_text(json.dumps(file, indent=1) + "\n")

    def _checked(self, expected: str | None) -> tuple[Path, str]:
        """The file and its SHA-256. WeightsFileError if another was expected."""
        path = self.locate()
        digest = sha256(path)
        if expected not in (None, digest):
            raise WeightsFileError(
                f"{path} has SHA-256 {digest}, not {expected}: download it again"
            )
        return path, digest

    def shape(self, shape: DiT, objective: Objective) -> DiT:
        """`shape` as one begun with this has it: of this size, with the time map of Eq. 21."""
        return replace(shape, size=self.size, time=dit_time_map(objective))

    def begun(self, shape: DiT | MMDiT, objective: Objective) -> DiT | MMDiT:
        """`shape` of an expert begun with this, its new output layer drawn as Eq. 20 has it."""
        assert isinstance(shape, DiT)
        return self.shape(replace(shape, head_std=NEW), objective)

    def check(self, shape: DiT | MMDiT, objective: Objective) -> None:
        """ValueError for a network of this objective that reads time otherwise than Eq. 21."""
        time = shape.time if isinstance(shape, DiT) else shape
        if time != dit_time_map(objective):
            raise ValueError(
                f"begun with an ImageNet DiT, an expert of {objective} reads "
                f"{dit_time_map(objective)} (Eq. 21), not {time}"
            )

    def begin(self, network: nn.Module, what: Transfer, store: Store) -> str:
        """Copy into `network` what Eq. 20 takes, and tell of the file and of every tensor.

        Raises WeightsFileError if the file is not the one that was there, CheckpointError if it is
        of another network.
        """
        assert isinstance(network, DiTNetwork)
        path, digest = self._checked(read_json(store.file(self, "file.json"))["sha256"])
        report = convert(read_checkpoint(path), network, what)
        return f"file           {self.url}\nSHA-256        {digest}\n{report}\n"


@dataclass(frozen=True)
class PretrainedFlux(Stage):
    """file.json: that the weights of a FLUX are there, and which they are.

    name: what the weights are called, on the hub.
    weights: a folder or name on the hub whose transformer/ they are, in diffusers' names, or a file
    in its authors'.  sha256: of the file, or of the lines that sha256sum prints of several; none
    for whatever is there, which is recorded.  Identity is name and sha256, not weights.
    """

    name: str = "black-forest-labs/FLUX.1-dev"
    weights: str = field(default="black-forest-labs/FLUX.1-dev", metadata={"key": False})
    sha256: str | None = None

    @property
    def label(self) -> str:
        return self.name

    @property
    def cost(self) -> float:
        """As PretrainedDiT's."""
        return 30.0

    def locate(self) -> Path:
        """The file, or the folder of its parts. HubWeightsError, with the command, without it."""
        here = Path(self.weights).expanduser()
        if here.is_file():
            return here
        inside = here / "transformer"
        if here.is_dir():
            return inside if inside.is_dir() else here
        try:
            return hub.find_files(self.weights, [f"transformer/{FLUX_INDEX}"])
        except hub.HubWeightsError as error:
            fetch = f"hf download {self.weights} --include 'transformer/*'"
            raise hub.HubWeightsError(f"no {self.name} at {self.weights}: {fetch}") from error

    def _checked(self, expected: str | None) -> tuple[Path, str]:
        """The file or folder and its SHA-256. hub.HubWeightsError if another was expected."""
        place = self.locate()
        lines = [f"{sha256(path)}  {path.name}\n" for path in checkpoint_files(place)]
        whole = hashlib.sha256("".join(lines).encode()).hexdigest()
        digest = whole if len(lines) > 1 else lines[0].split()[0]
        if expected not in (None, digest):
            raise hub.HubWeightsError(
                f"{place} has SHA-256 {digest}, not {expected}: download it again"
            )
        return place, digest

    def make(self, folder: Path, context: Context) -> None:
        """hub.HubWeightsError if the weights are absent or others, CheckpointError if in part."""
        file = {"name": self.name, "sha256": self._checked(self.sha256)[1]}
        (folder / "file.json").write_text(json.dumps(file, indent=1) + "\n")

    def begun(self, shape: DiT | MMDiT, objective: Objective) -> DiT | MMDiT:
        """`shape` as it is: every layer of a FLUX has a place in it."""
        return shape

    def check(self, shape: DiT | MMDiT, objective: Objective) -> None:
        """ValueError for a network that is no MM-DiT."""
        if not isinstance(shape, MMDiT):
            raise ValueError(f"{self.name} begins an MM-DiT, not {shape}")

    def begin(self, network: nn.Module, what: Transfer, store: Store) -> str:
        """Copy all tensors, which `what` has no part in, one at a time; tell of the file and each.

        Raises hub.HubWeightsError if it is not the one that was there, CheckpointError if it is of
        another network.
        """
        assert isinstance(network, MMDiTNetwork)
        place, digest = self._checked(read_json(store.file(self, "file.json"))["sha256"])
        wanted = network.transformer.state_dict()
        tensors = bfl.renamed(open_tensors(place), network.shape.size, wanted, str(place))
        report = flux.initialise(tensors, network, str(place))
        return f"file      {self.name}\nSHA-256   {digest}\n{report}\n"
