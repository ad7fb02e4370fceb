"""A scale's dials as options at any depth: --scale.train.steps 3000, --scale.data.source.name x.

A parser reads options from types, but a dial may hold any source or encoder: here a scale becomes a
type of its own, whose fields have the types of what they hold, and comes back from it.
"""

import dataclasses
import importlib
from typing import Any, cast, get_type_hints

from datamodules.sources.source import Source
from experiments.cli.described import docstring
from experiments.recipes.scale import ScaleT


def form(scale: Any, source: type[Source] | None = None) -> type:
    """The type to read options as: `scale` where none is given, with another class of source."""
    return _kind(scale, {} if source is None else {"data.source": source})


def filled(parsed: Any, scale: ScaleT) -> ScaleT:
    """The scale that was read: of `scale` what has no options. ValueError for unfit values."""
    read: ScaleT = _back(parsed, scale)
    study = read.study.with_source(scale.data.source, read.data.source)
    return dataclasses.replace(read, study=study)


RENAMED = {
    **{name: f"data.{name}" for name in (
        "source", "latents", "features", "text", "clustering", "clusters", "fine", "per_shard",
    )},
    **{name: f"expert.{name}" for name in (
        "size", "patch", "text_std", "text_dropout", "pretrained", "times",
    )},
    **{name: f"train.{name}" for name in (
        "steps", "batch", "accumulate", "lr", "warmup", "final_lr", "ema", "ema_start", "precision",
    )},
    **{f"router_{name}": f"router.train.{name}" for name in (
        "steps", "batch", "accumulate", "lr", "final_lr",
    )},
    **{f"router.{name}": f"router.size.{name}" for name in ("width", "depth", "heads")},
    **{"look": "router.frame_feature", "look_share": "router.given_share"},
    **{"judge_steps": "judge.steps", "judge_lpips": "judge.lpips", "flow": "judge.flow"},
    **{f"judge.{name}": f"judge.networks.{name}" for name in (
        "inception", "dinov2", "clip", "i3d", "aesthetic",
    )},
    **{"reference": "judge.reference", "samples": "draw.samples", "sample_batch": "draw.batch"},
    **{"solver_steps": "draw.steps", "guidance": "draw.guidance"},
    **{name: f"study.{name}" for name in (
        "matched", "init_steps", "pair", "pair_batch", "conversion_samples", "threshold_samples",
        "conversion_steps", "conversion_guidance", "aligned_steps", "aligned_guidance",
        "diversity_prompts", "diversity_each", "later", "prompts", "probe",
    )},
}  # fmt: skip
"""What a dial was called before dials stood in groups, and what it is called now."""


def renamed(option: str) -> str | None:
    """The present name of an option such as --scale.steps=3; None where it is not an old one."""
    name, _, _ = option.removeprefix("--scale.").partition("=")
    for old in (name, ".".join(name.split(".")[:2]), name.split(".")[0]):
        if option.startswith("--scale.") and old in RENAMED:
            return f"--scale.{RENAMED[old]}{name.removeprefix(old)}"
    return None


SOURCE = (
    *("name", "preparation", "image", "channels", "classes"),
    *("parts", "batches", "read", "expected"),
)
"""What a class must have to be a source of pictures or clips."""


def source_class(path: str) -> type[Source]:
    """The class package.module.Class. ValueError if there is none, or it is no source."""
    module, _, name = path.rpartition(".")
    if not module:
        raise ValueError(
            f"{path!r}: package.module.Class is wanted, as datamodules.sources.folder.Folder"
        )
    try:
        source = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"no class {path}: {error}") from error
    if not isinstance(source, type) or not dataclasses.is_dataclass(source):
        raise ValueError(f"{path} is no source: a frozen dataclass is wanted")
    there = {field.name for field in dataclasses.fields(source)} | {*dir(source)}
    if lacking := [name for name in SOURCE if name not in there]:
        raise ValueError(f"{path} is no source: it lacks {', '.join(lacking)}")
    return cast(type[Source], source)


def _kind(value: Any, others: dict[str, type], path: str = "") -> type:
    """A dataclass with the value's fields, each of the type of what it holds, and that as default;
    but for `others`, by their dotted names, which have a type and no default."""
    hints, fields = get_type_hints(type(value)), list[tuple[str, Any, Any]]()
    for field in dataclasses.fields(value):
        held, hint, name = getattr(value, field.name), hints[field.name], f"{path}{field.name}"
        if name in others:
            fields.append((field.name, others[name], dataclasses.field()))
            continue
        if dataclasses.is_dataclass(held):
            hint = _kind(held, others, f"{name}.")
            if not dataclasses.fields(hint):
                continue  # a value without options, at any depth
            if any(other.startswith(f"{name}.") for other in others):
                fields.append((field.name, hint, dataclasses.field()))
                continue
            held = hint()
        fields.append((field.name, hint, dataclasses.field(default=held)))
    name, doc = type(value).__name__, {"__doc__": docstring(type(value))}
    return dataclasses.make_dataclass(name, fields, namespace=doc, frozen=True, kw_only=True)


def _back(parsed: Any, value: Any) -> Any:
    """What was read, in the types of `value`; what is of a class of its own stays."""
    if not dataclasses.is_dataclass(parsed) or type(parsed).__module__ != "types":
        return parsed
    read = {f.name: getattr(parsed, f.name) for f in dataclasses.fields(parsed)}
    return dataclasses.replace(value, **{n: _back(x, getattr(value, n)) for n, x in read.items()})
