"""Eight experts, each in a process under a memory in which they do not fit together, and in one.

    python -m experiments.serve.bench        results/bench/served.csv and .md

The networks are untrained: what is measured is where they are asked, not what they draw. Both ways
are asked for the same pictures first, which have to be the same files. Seconds are of a machine;
run it where nothing else runs.
"""

import argparse
import csv
import io
import multiprocessing
import re
import socket
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import sleep

import psutil
import torch

from datamodules.encoders.encoder import PixelLatents, TinyClipText
from experiments.bench.ratio_table import Where
from experiments.cli.bounds import named_folder
from experiments.measures.clustering import anonymous
from experiments.pipeline.files import write_whole
from experiments.pipeline.provenance import ROOT
from experiments.serve import clients
from experiments.serve.actors import limit_memory
from experiments.stages import publishable
from modules.blocks import AdaLN, Size
from modules.dit import DiT, TextShape
from modules.objectives import Epsilon, Velocity
from modules.routing import RouterNetwork
from modules.schedules import Cosine, Linear
from modules.weights.cards import ExpertCard, Origin, RouterCard
from modules.weights.published import load_expert, save_expert, save_router

TEXT = TinyClipText(6, 8)
SHAPE = DiT(Size(576, 4, 4), 8, 1, 4, text=TextShape(6, 8, 8), text_std=0.5, head_std=0.1)
KINDS = [(Epsilon(), Cosine()), (Velocity(), Linear())]
PROMPTS = ("the digit three", "a handwritten eight", "the digit zero")
CLIENTS = (1, 8, 32)
HEAD = ("Experts in", "Clients", "Requests a second", "p50, ms", "p99, ms", "Experts called a step")


class ServedError(Exception):
    """What was to be measured is not what runs."""


@dataclass(frozen=True)
class Load:
    """experts: how many.  memory: MB that each process may take beyond an empty one.  pictures: as
    many are compared.  requests: for each number of clients, of so many steps."""

    experts: int = 8
    memory: int = 240
    pictures: int = 6
    requests: int = 128
    steps: int = 10


def publish(place: Path, k: int) -> None:
    """k untrained experts of two objectives, of 95 MB each, and a router, in folders of a place."""
    come = Origin(
        "by hand", k, publishable.written(PixelLatents()), publishable.written(TEXT), "none", "CC0"
    )
    torch.manual_seed(0)
    for i in range(k):
        objective, schedule = KINDS[i % 2]
        card = ExpertCard(objective, schedule, (i,), 1, come)
        save_expert(place / f"expert_{i}", SHAPE.build(), card)
    network = RouterNetwork(DiT(Size(16, 1, 2), 8, 1, 4, AdaLN.ZERO, text=None), k, 8)
    last = network.head[-1]
    assert isinstance(last, torch.nn.Linear)
    torch.nn.init.normal_(last.weight)
    torch.nn.init.normal_(last.bias)
    save_router(place / "router", network, RouterCard(Linear(), 8, 1.0, come))


def fitting(folders: Sequence[Path], memory: int | None) -> int:
    """How many of these experts one process holds at once that may take so many MB."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_held, folders, memory).result()


def _held(folders: Sequence[Path], memory: int | None) -> int:
    held = list[object]()
    if memory is not None:
        limit_memory(memory << 20)
    try:
        for folder in folders:
            held.append(load_expert(folder))
    except (MemoryError, RuntimeError, OSError):
        if memory is None:
            raise
    return len(held)


@dataclass(frozen=True)
class Server:
    """A running server: its address, and its process."""

    url: str
    process: psutil.Process

    def picture(self, number: int, steps: int) -> bytes:
        query = {"prompt": PROMPTS[number % len(PROMPTS)], "seed": number, "steps": steps}
        there = f"{self.url}/picture?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(there, timeout=clients.TIMEOUT) as answer:
            content: bytes = answer.read()
        return content

    def actors(self) -> list[psutil.Process]:
        """Its processes that hold a network."""
        below = self.process.children(recursive=True)
        return [each for each in below if re.match(r"ray::_Server", " ".join(each.cmdline()))]


@contextmanager
def serving(place: Path, *options: str) -> Iterator[Server]:
    """`python -m experiments.serve` until it is left. ServedError if it ends before."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "experiments.serve", "--weights", str(place), *options]
    process = psutil.Popen([*command, "--port", str(port)], cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        while not _answers(url):
            if process.poll() is not None:
                raise ServedError(f"the server ended with status {process.poll()}")
            sleep(0.2)
        yield Server(url, process)
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10):
            return True
    except OSError:
        return False


def measure(load: Load, counts: Sequence[int]) -> tuple[list[dict[str, object]], str]:
    """A line for each way and number of clients, and what was checked. ServedError unless the
    experts do not fit together, each has its own process, and pictures are alike."""
    lines = list[dict[str, object]]()
    with tempfile.TemporaryDirectory(prefix="served-") as folder:
        place = Path(folder)
        publish(place, load.experts)
        folders = [place / f"expert_{i}" for i in range(load.experts)]
        alone = fitting(folders, load.memory)
        if not 0 < alone < load.experts or fitting(folders, None) != load.experts:
            raise ServedError(f"{alone} of {load.experts} fit into {load.memory} MB")
        together, apart = ("--resident", str(load.experts)), ("--memory", str(load.memory))
        with serving(place, *together) as server:
            expected = [server.picture(i, load.steps) for i in range(load.pictures)]
            lines += _asked("one process", server, load, counts)
            whole = anonymous(server.process.pid)
        with serving(place, *apart) as server:
            if expected != [server.picture(i, load.steps) for i in range(load.pictures)]:
                raise ServedError("the pictures of the two ways differ")
            if len(actors := server.actors()) != load.experts + 1:
                raise ServedError(f"{len(actors)} actors for {load.experts} experts and a router")
            lines += _asked("a process each", server, load, counts)
            largest = max(anonymous(actor.pid) for actor in actors)
    with torch.device("meta"):
        size = sum(x.numel() * x.element_size() for x in SHAPE.build().parameters())
    return lines, (
        f"{load.experts} experts of {size / 1e6:.0f} MB, Top-2 of them, {load.steps} steps, "
        f"guidance 2. A process that may take {load.memory} MB beyond an empty one (RLIMIT_DATA) "
        f"holds {alone} of them, so {load.experts} do not fit into it; behind actors each has such "
        f"a process, and so has the router: {len(actors)} processes, of which the largest held "
        f"{largest / 1e6:.0f} MB in all, where the one process held {whole / 1e6:.0f}. "
        f"{load.pictures} of {load.pictures} pictures, each asked for alone, are the same files. "
        f"Times are of {load.requests} requests for each number of clients."
    )


def _asked(
    way: str, server: Server, load: Load, counts: Sequence[int]
) -> Iterator[dict[str, object]]:
    for n in counts:
        asked = server.url, n, max(n, load.requests), PROMPTS, load.steps
        found = clients.measure(*asked)
        numbers = (
            way, n, f"{len(found.seconds) / found.whole:.2f}",
            *(f"{1000 * found.quantile(share):.0f}" for share in (0.5, 0.99)), f"{found.asked:.2f}",
        )  # fmt: skip
        print(*numbers, sep="\t", file=sys.stderr)
        yield dict(zip(HEAD, numbers, strict=True))


def write(lines: Sequence[dict[str, object]], checked: str, where: Where, folder: Path) -> None:
    """served.csv and served.md in the folder."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [*HEAD, *asdict(where)], lineterminator="\n")
    writer.writeheader()
    writer.writerows({**line, **asdict(where)} for line in lines)
    rows = [HEAD, ["---"] * len(HEAD), *(line.values() for line in lines)]
    table = ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    notes = [
        checked,
        "A batch of requests asks each expert that any of its rows selects. The router is "
        "untrained and reads no caption.",
        f"{where.machine}; load before {where.load}; commit {where.commit}.",
    ]
    page = ["# Experts served apart", "", *table, "", *(f"- {note}" for note in notes), ""]
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "served.csv", text.getvalue().encode())
    write_whole(folder / "served.md", "\n".join(page).encode())


def main(arguments: Sequence[str] | None = None) -> int:
    """0, or 1 where what runs is not what was to be measured."""
    parser = argparse.ArgumentParser("python -m experiments.serve.bench", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--results", type=named_folder, default=Path("results"))
    parser.add_argument("--requests", type=int, default=Load.requests)
    parser.add_argument("--experts", type=int, default=Load.experts)
    parser.add_argument("--clients", type=int, nargs="+", default=[*CLIENTS])
    options = parser.parse_args(arguments)
    where = Where.here()
    try:
        load = Load(experts=options.experts, requests=options.requests)
        lines, checked = measure(load, options.clients)
    except (ServedError, OSError) as error:
        print(f"served: {error}", file=sys.stderr)
        return 1
    write(lines, checked, where, options.results / "bench")
    print(options.results / "bench" / "served.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
