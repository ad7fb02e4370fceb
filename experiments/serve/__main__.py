"""Serve a published ensemble: each expert and the router in a process of its own, and a page.

    python -m experiments.serve --weights published friends/expert_3
    python -m experiments.serve --weights published --resident 2
    python -m experiments.serve bench --url http://127.0.0.1:8000

Experts run as Ray actors, here or on the cluster that RAY_ADDRESS names; only those that the router
selects are asked. --resident keeps all in this process, and few on its device at once. bench prints
what 1, 8 and 32 clients see of a running server.
"""

import argparse
import socket
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path

import uvicorn

from experiments.cli import main as cli
from experiments.cli.bounds import port_refused
from experiments.cli.main import BAD_INPUT
from experiments.sample.selections import selection
from experiments.serve import clients
from experiments.serve.actors import ActorsError, ActorShare
from experiments.serve.drawers import Drawer, behind_actors, here
from experiments.serve.engine import DrawingEngine
from experiments.serve.web import app, in_url
from modules.selection import Top

PROG = "serve"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROG, description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--weights", required=True, nargs="+", type=Path, help="folders of published networks")
    add("--select", type=selection, default=Top(2), help="top1, top2, …, full, expert0, …")
    add("--resident", type=int, help="no actors: at most so many experts on one device")
    add("--memory", type=int, help="megabytes that each actor may take beyond an empty process")
    add("--gpus", type=float, default=0.0, help="share of a GPU that each actor gets")
    add("--batch", type=int, default=16, help="pictures drawn at once, at most")
    add(
        "--host", default="127.0.0.1", help="where to listen; others than this machine must be told"
    )
    add("--name", action="append", default=[], help="another name under which it may be called")
    add("--port", type=int, default=8000, help="0 for a free one")
    return parser


def bound(host: str, port: int) -> list[socket.socket]:
    """A socket at the port for each address of the host, at a free one for 0; none listens yet.

    OSError, naming the dials, if the port is taken or the host has no address here.
    """
    sockets = list[socket.socket]()
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((x[0], x[4]) for x in found):
            there = socket.socket(family, socket.SOCK_STREAM)
            sockets.append(there)
            there.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                there.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            same = port or sockets[0].getsockname()[1]
            there.bind((address[0], same, *address[2:]))
    except OSError as error:
        for there in sockets:
            there.close()
        place = f"{in_url(host)}:{port} (--host, --port)"
        raise OSError(f"cannot listen at {place}: {error}") from error
    return sockets


def serve(options: argparse.Namespace, sockets: list[socket.socket]) -> None:
    """Until it is interrupted.  sockets: at which it listens once all weights are there."""
    place = ActorShare(None if options.memory is None else options.memory << 20, options.gpus)
    opened: AbstractContextManager[Drawer]
    if options.resident is None:
        opened = behind_actors(options.weights, options.select, place)
    else:
        opened = nullcontext(here(options.weights, options.select, options.resident))
    with opened as drawer:
        engine = DrawingEngine(drawer, options.batch)
        names = (*LOOPBACK, options.host, *options.name)
        page = app(engine, len(drawer.ensemble.experts), names)
        print(f"http://{in_url(options.host)}:{sockets[0].getsockname()[1]}", flush=True)
        uvicorn.Server(uvicorn.Config(page, log_level="warning")).run(sockets=sockets)


def bench(arguments: Sequence[str]) -> int:
    """The command `bench`."""
    parser = argparse.ArgumentParser(prog=f"{PROG} bench", allow_abbrev=False)
    add = parser.add_argument
    add("--url", default="http://127.0.0.1:8000")
    add("--clients", type=int, nargs="+", default=[1, 8, 32])
    add("--requests", type=int, default=64, help="for each number of clients")
    add("--steps", type=int, default=25)
    add("--prompt", action="append", default=[])
    options = parser.parse_args(arguments)
    if min(*options.clients, options.requests, options.steps) < 1:
        return cli.say(f"{PROG} bench", "--clients, --requests and --steps must be at least 1", 2)
    prompts = options.prompt or ["the digit three", "a handwritten eight", "the digit zero"]
    try:
        clients.measure(options.url, 1, 1, prompts, options.steps)  # the first is slower
        print(clients.HEADER)
        for n in options.clients:
            asked = options.url, n, max(n, options.requests), prompts, options.steps
            print(clients.measure(*asked).row, flush=True)
    except OSError as error:  # urllib's own are some too
        return cli.say(PROG, f"{options.url}: {error}", 1)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when it was ended, 2 for a bad command line, 1 for weights that cannot serve."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["bench"]:
        return bench(given[1:])
    options = parser().parse_args(given)
    if options.batch < 1 or (options.resident is not None and options.resident < 1):
        return cli.say(PROG, "--batch and --resident must be at least 1", 2)
    if (wrong := port_refused(options.port)) is not None:
        return cli.say(PROG, wrong, 2)
    some_memory = options.memory is None or options.memory >= 1
    whole_or_share = options.gpus >= 0 and (options.gpus < 1 or options.gpus.is_integer())
    if not (some_memory and whole_or_share):
        wrong = "--memory must be at least 1, --gpus a share of one GPU or a whole number"
        return cli.say(PROG, wrong, 2)
    cli.hear_interrupts()
    try:
        with ExitStack() as stack:
            sockets = bound(options.host.strip("[]"), options.port)
            for there in sockets:
                stack.enter_context(there)
            serve(options, sockets)
    except KeyboardInterrupt:
        return 0
    except (ActorsError, *BAD_INPUT) as error:
        for line in str(error).splitlines():
            cli.say(PROG, line, 1)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
