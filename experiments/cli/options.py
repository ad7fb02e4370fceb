"""The command line of every table script, read: a scale, its dials, seeds, workers, devices."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from jsonargparse import ArgumentError, ArgumentParser

from experiments.cli import config, dials, engines
from experiments.cli.bounds import seeds_refused
from experiments.cli.refusals import plain
from experiments.pipeline.address import CACHE_GB
from experiments.pipeline.hardware import Device, Hardware, Strategy
from experiments.pipeline.launch.task import Engine

FOLDERS = ("--results", "--out", "--cache")
"""Without a name they would be the current folder."""


class UsageError(RuntimeError):
    """A command line that cannot be read."""


@dataclass(frozen=True)
class Options:
    """The command line, read.  repeated_by: the config of the same run."""

    scale_name: str
    scale: Any
    seeds: int
    launch: Engine
    store: str
    cache: Path | None
    cache_gb: float
    results: Path
    tensorboard: bool
    wandb: bool
    device: Device
    hardware: Hardware
    plan: bool
    debug: bool
    repeated_by: str
    sweep: Any = None


def _hardware(options: dict[str, Any], engine: type[Any]) -> Hardware:
    """The dials of the hardware, taken out of `options`. ValueError for what is not there."""
    return Hardware(
        options.pop("devices"),
        Strategy(options.pop("strategy")),
        options.pop("compile"),
        options.pop("checkpointing"),
        engines.gpus(options["device"], engine),
        options.pop("stack"),
    )


def _take(option: str, arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """The value of an option, and the other arguments. UsageError if it is given twice."""
    values, rest = config.taken(option, arguments)
    if len(values) > 1:
        raise UsageError(f"{option} is given twice")
    return (values[0] if values else None), rest


def take_scale(arguments: Sequence[str], scales: Mapping[str, Any]) -> tuple[str, type, list[str]]:
    """The scale's name, the type to read its dials as, and the arguments that are left.

    Both come first: the scale fixes every dial's default, the source which dials there are.
    """
    for option in arguments:
        if (now := dials.renamed(option)) is not None:
            raise UsageError(f"{option.partition('=')[0]} is called {now} now")
    name, rest = _take("--scale", arguments)
    if name is None:
        name = "small"
    if name not in scales:
        raise UsageError(f"there is no scale {name!r} here: choose from {', '.join(scales)}")
    path, rest = _take("--source", rest)
    try:
        source = None if path is None else dials.source_class(path)
    except ValueError as error:
        raise UsageError(f"--source: {error}") from error
    return name, dials.form(scales[name], source), rest


def take_engine(arguments: Sequence[str]) -> tuple[type[Any], list[str]]:
    """Where stages are made, and the arguments that are left: its dials are options too."""
    name, rest = _take("--launch", arguments)
    if name is not None and name not in engines.ENGINES:
        raise UsageError(f"unknown --launch {name!r}: choose from {', '.join(engines.ENGINES)}")
    return engines.ENGINES["local" if name is None else name], rest


def read(
    parser: ArgumentParser,
    arguments: Sequence[str],
    name: str,
    scales: Mapping[str, Any],
) -> dict[str, Any]:
    """The options by name, `scale` among them made of the named one. UsageError for bad ones."""
    for option in FOLDERS:
        if "" in config.taken(option, arguments)[0]:
            raise UsageError(f"{option}: the name of a folder is empty")
    try:
        options = vars(parser.instantiate(parser.parse_args(arguments)))
        return {**options, "scale": dials.filled(options["scale"], scales[name])}
    except (ArgumentError, TypeError, ValueError) as error:
        known = parser.get_defaults().keys(branches=True)
        raise UsageError(plain(str(error), [f"--{name}" for name in known])) from error


def _add_sweep(parser: ArgumentParser, sweep: Any) -> None:
    """An option of one or more numbers for each field of a table's sweep."""
    hints = get_type_hints(type(sweep))
    for field in dataclasses.fields(sweep):
        hint, values = hints[field.name], getattr(sweep, field.name)
        number = get_args(hint if values else get_args(hint)[0])[0]  # tuple[float, ...], or None
        default = None if values is None else list(values)
        name, about = f"--{field.name}", "what the table goes through"
        parser.add_argument(name, type=number, nargs="+", default=default, help=about)


def _take_sweep(read: dict[str, Any], sweep: Any) -> Any:
    """The sweep of the fields in `read`, which are taken out. UsageError for unfit values."""
    names = [field.name for field in dataclasses.fields(sweep)]
    values = {name: read.pop(name) for name in names}
    try:
        return type(sweep)(**{name: x if x is None else tuple(x) for name, x in values.items()})
    except ValueError as error:
        raise UsageError(str(error)) from error


def add_store(parser: ArgumentParser) -> None:
    """Where artifacts lie, and the cache of what lies at an address."""
    add = parser.add_argument
    add("--store", type=str, default="store", help="folder or address of artifacts")
    add("--cache", type=Path | None, help="folder of copies, if --store is an address")
    add("--cache-gb", type=float, default=CACHE_GB, help="what the cache may hold")


def parse(
    prog: str, about: str, arguments: Sequence[str], scales: Mapping[str, Any], sweep: Any = None
) -> Options:
    """Read a command line. UsageError for an unknown scale or option, or a bad value.

    sweep: of a table whose numbers are options too.
    """
    try:
        asked = config.expanded(arguments)
    except ValueError as error:
        raise UsageError(str(error)) from error
    name, form, rest = take_scale(asked, scales)
    engine, rest = take_engine(rest)
    names = ",".join(scales)
    parser = ArgumentParser(
        prog=prog,
        usage=f"%(prog)s [--config FILE] [--scale {{{names}}}] [--source CLASS] [--seeds N] "
        f"[--workers N] [--launch {{{','.join(engines.ENGINES)}}}] [--scale.DIAL VALUE …]",
        description=f"{about}. The dials' defaults are those of scale {name}.",
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument("--scale", type=form)
    parser.add_argument("--seeds", type=int, default=3, help="training seeds 0 … n - 1")
    engines.add(parser, engine)
    add_store(parser)
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of tables")
    parser.add_argument("--tensorboard", type=bool, default=False, help="also log to TensorBoard")
    parser.add_argument("--wandb", type=bool, default=False, help="also log to Weights & Biases")
    parser.add_argument("--device", type=Device, default="auto", help="where to train and sample")
    parser.add_argument("--devices", type=int, default=1, help="GPUs that train one stage")
    how = "what each of these GPUs has: a copy of the networks, or a part"
    parser.add_argument("--strategy", type=Literal["ddp", "fsdp"], default="ddp", help=how)
    parser.add_argument("--compile", type=bool, default=False, help="compile networks")
    parser.add_argument(
        "--checkpointing", type=bool, default=False, help="memory for time: run blocks again"
    )
    parser.add_argument("--stack", type=int, default=4, help="small experts trained at once")
    parser.add_argument("--plan", type=bool, default=False, help="say what it takes, run nothing")
    parser.add_argument("--debug", type=bool, default=False, help="show tracebacks")
    if sweep is not None:
        _add_sweep(parser, sweep)
    options = read(parser, rest, name, scales)
    if sweep is not None:
        options["sweep"] = _take_sweep(options, sweep)
    if (wrong := seeds_refused(options["seeds"])) is not None:
        raise UsageError(wrong)
    if options["wandb"] and find_spec("wandb") is None:
        raise UsageError("--wandb true: it is not installed here; pip install wandb")
    try:
        hardware = _hardware(options, engine)
        launch = engines.taken(options, engine, hardware)
    except ValueError as error:
        raise UsageError(str(error)) from error
    again = config.repeats(asked, name, options["seeds"])
    return Options(scale_name=name, hardware=hardware, launch=launch, repeated_by=again, **options)
