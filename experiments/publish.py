"""Publish trained experts and a router, one a folder with its card, for whoever has the others.

    python -m experiments.publish --clusters 0 3 --licence CC-BY-4.0 --out published

Experts are those that the tables of a scale train, by cluster, seed and objective; they go to
<out>/expert_<k>, a router to <out>/router. Nothing is published over; `experiments.sample` draws.
With --archive FILE all networks of Table 1 become one .tar.gz, such as a release may carry.
"""

import gzip
import hashlib
import io
import os
import shutil
import sys
import tarfile
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from jsonargparse import ArgumentParser

from experiments.cli import main as cli
from experiments.cli.main import BAD_INPUT
from experiments.cli.options import UsageError, add_store, read, take_scale
from experiments.hddm import settings
from experiments.hddm.variants import OBJECTIVES, ROUTERS
from experiments.pipeline import build
from experiments.pipeline.address import open_store
from experiments.pipeline.cores import cores
from experiments.pipeline.files import StoreError, read_json, write_whole
from experiments.pipeline.launch.local import Local
from experiments.pipeline.stage import Stage
from experiments.pipeline.store import Context, Store
from experiments.recipes import experts
from experiments.recipes.images import SCALES, ImageScale
from experiments.stages import publishable
from experiments.stages.corpus import Shards
from experiments.stages.experts import TrainExpert, TrainRouter
from experiments.stages.routers import Calibrated
from modules.codec import encode
from modules.dit import DiTNetwork
from modules.routing import RouterNetwork
from modules.weights.cards import ExpertCard, Origin, RouterCard
from modules.weights.published import save_expert, save_router


@dataclass(frozen=True)
class PublishOptions:
    """The command line, read. router: of ROUTERS, or none.  archive: of Table 1, or none."""

    scale: ImageScale
    clusters: tuple[int, ...]
    objective: str
    router: str | None
    calibrated: bool
    seed: int
    licence: str
    data: str | None
    store: str
    cache: Path | None
    cache_gb: float
    out: Path
    archive: Path | None
    train: bool
    workers: int

    def wanted(self) -> dict[str, Stage]:
        """The folders and what shall lie in them."""
        if self.archive is not None:
            return self._table1()
        module, scale = OBJECTIVES[self.objective], self.scale.of_seed(self.seed)
        stages: dict[str, Stage] = {
            f"expert_{k}": experts.expert(scale, module, k, self.seed) for k in self.clusters
        }
        if self.router is not None:
            router = experts.calibrated if self.calibrated else experts.router
            stages["router"] = router(scale, ROUTERS[self.router], self.seed)
        return stages

    def _table1(self) -> dict[str, Stage]:
        """Experts of all clusters, both routers and the monolith, each group in its own folder."""
        scale, module = settings.matched(self.scale).of_seed(self.seed), OBJECTIVES[self.objective]
        each = experts.mixed(scale, module, {}, self.seed)
        routers = {
            f"router-{form}": experts.router(scale, reads_text, self.seed)
            for form, reads_text in ROUTERS.items()
        }
        trained = {f"experts/expert_{k}": stage for k, stage in enumerate(each)}
        return {**trained, **routers, "monolith": experts.monolith(scale, module, self.seed)}


def parse(arguments: Sequence[str]) -> PublishOptions:
    """UsageError for an unknown scale or option, a bad value, or nothing to publish."""
    scale, form, rest = take_scale(arguments, SCALES)
    parser = ArgumentParser(
        prog="publish",
        usage="%(prog)s [--scale NAME] [--clusters K …] [--router FORM] --licence NAME …",
        description=__doc__.split(".")[0],
        exit_on_error=False,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--scale", type=form)
    add("--clusters", type=int, nargs="+", default=[], help="whose experts")
    add("--objective", choices=list(OBJECTIVES), default="fm", help="theirs")
    add("--router", choices=list(ROUTERS), help="which router, if any")
    add("--calibrated", type=bool, default=False, help="the router at its fitted temperature")
    add("--seed", type=int, default=0, help="training seed")
    add("--licence", required=True, help="of the weights, such as CC-BY-4.0")
    add("--data", help="what was trained on, in your words; else the source's name and dials")
    add_store(parser)
    add("--out", type=Path, default=Path("published"), help="folder of the folders")
    add("--archive", type=Path | None, help="all of Table 1 as this .tar.gz instead")
    add("--train", type=bool, default=False, help="first train what the store lacks")
    add("--workers", type=int, default=cores(), help="processes at once, to train")
    options_by_name = read(parser, rest, scale, SCALES)
    options_by_name["clusters"] = tuple(dict.fromkeys(options_by_name["clusters"]))
    options = PublishOptions(**options_by_name)
    if not (options.clusters or options.router or options.archive):
        raise UsageError("nothing to publish: name --clusters, a --router, or an --archive")
    if options.archive and (options.clusters or options.router or options.calibrated):
        raise UsageError("--archive has all of Table 1: name no --clusters and no --router")
    if not {*options.clusters} <= {*range(options.scale.data.clusters)}:
        raise UsageError(f"--clusters must lie between 0 and {options.scale.data.clusters - 1}")
    if options.seed < 0 or options.workers < 1 or not options.licence.strip():
        raise UsageError("--seed must not be negative, --workers at least 1, --licence not empty")
    return options


def origin(shards: Shards, licence: str, data: str | None) -> Origin:
    """Where networks of these shards come from. ValueError for encoders that no stranger has."""
    return Origin(
        partition=f"{shards.clusters.kind}/{shards.clusters.key}",
        experts=shards.clusters.k,
        latents=publishable.written(shards.latents),
        captions=publishable.written(shards.text),
        data=data or encode(shards.source),
        licence=licence,
    )


def save(stage: Stage, store: Store, folder: Path, licence: str, data: str | None) -> None:
    """One stage's network and its card. StoreError or CheckpointError if it is damaged."""
    if isinstance(stage, TrainExpert):
        samples = int(read_json(store.file(stage, "card.json"))["samples"])
        come = origin(Shards.of(stage.shards), licence, data)
        objective = stage.module.objective
        card = ExpertCard(objective, stage.schedule, stage.clusters, samples, come)
        expert = stage.load(store).network
        assert isinstance(expert, DiTNetwork)  # of shards of pictures
        save_expert(folder, expert, card)
        return
    temperature = stage.temperature(store) if isinstance(stage, Calibrated) else 1.0
    router = stage.router if isinstance(stage, Calibrated) else stage
    assert isinstance(router, TrainRouter)
    pooled = router.shards.text.pooled if router.reads_text else None
    come = origin(Shards.of(router.shards), licence, data)
    network = router.load(store).network
    assert isinstance(network, RouterNetwork)
    save_router(folder, network, RouterCard(router.schedule, pooled, temperature, come))


@contextmanager
def whole(folder: Path) -> Iterator[Path]:
    """A folder to fill aside, in its place when it is whole."""
    aside = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        yield aside
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def run(options: PublishOptions) -> Iterator[Path]:
    """Publish what is asked, and give the folders. FileExistsError, before any is written, if one
    is there; StoreError if the store lacks a network and none is to be trained."""
    store = open_store(options.store, options.cache, options.cache_gb)
    wanted, archive = options.wanted(), options.archive
    places = [options.out / name for name in wanted] if archive is None else [archive]
    there = [place for place in places if place.exists()]
    if there:
        raise FileExistsError(f"{there[0]} is there already, and nothing is published over")
    missing = [stage for stage in wanted.values() if not store.has(stage)]
    if missing and not options.train:
        raise StoreError(
            f"{options.store} lacks the {missing[0].label} ({missing[0].kind}/{missing[0].key}): "
            "the same command with --train true trains it first"
        )
    build.ensure(missing, Context(store), Local(options.workers))
    if archive is not None:
        with TemporaryDirectory() as folder:
            for name, stage in wanted.items():
                save(stage, store, Path(folder, name), options.licence, options.data)
            pack(Path(folder), archive)
        yield archive
        return
    for name, stage in wanted.items():
        with whole(options.out / name) as folder:
            save(stage, store, folder, options.licence, options.data)
        yield options.out / name


def pack(folder: Path, archive: Path) -> None:
    """Everything in a folder as one .tar.gz, with SHA256SUMS, under the archive's own name.

    The same files give the same bytes: nothing is kept of whose they are or when they were made.
    """
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    sums = [f"{hashlib.sha256(held).hexdigest()}  {name}\n" for name, held in files.items()]
    files["SHA256SUMS"] = "".join(sums).encode()
    content = io.BytesIO()
    packed = gzip.GzipFile(fileobj=content, mode="wb", mtime=0)
    with packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for name, held in files.items():
            member = tarfile.TarInfo(f"{archive.name.removesuffix('.tar.gz')}/{name}")
            member.size = len(held)
            tar.addfile(member, io.BytesIO(held))
    archive.parent.mkdir(parents=True, exist_ok=True)
    write_whole(archive, content.getvalue())


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the folders are there, 2 for a bad command line, 1 for a store that cannot serve."""
    cli.hear_interrupts()
    try:
        options = parse(sys.argv[1:] if arguments is None else arguments)
    except UsageError as error:
        return cli.say("publish", str(error), 2)
    try:
        for folder in run(options):
            print(folder)
    except (KeyboardInterrupt, BrokenProcessPool):
        return cli.say("publish", "interrupted; the same command goes on from here", 130)
    except (build.StagesFailed, *BAD_INPUT) as error:
        if cli.is_bug(error):
            raise
        return cli.say("publish", " ".join(cli.reason(error, options.store).split()), 1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
