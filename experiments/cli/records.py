"""What became of records that could not be used, told to whoever gave them."""

from collections.abc import Iterator, Sequence

from datamodules.sources.source import RecordCounts
from experiments.pipeline import build
from experiments.pipeline.stage import Stage
from experiments.pipeline.store import Store
from experiments.stages.encode import Encode, record_counts


def bad_records(stages: Sequence[Stage], store: Store) -> Iterator[str]:
    """A line for each encoded split of which records are bad, and where all of them are listed."""
    for stage, told in _counted(stages, store):
        if told.bad:
            key, why = told.bad[0]
            yield (
                f"{stage.label}: {len(told.bad)} of {told.total} records are bad and left out, the "
                f"first {key}: {why}; all are in "
                f"{store.place}/{stage.kind}/{stage.key}/refused.json"
            )


def unused(stage: Stage, store: Store | None) -> str:
    """What became of records that a failed stage was to be made from, where many were left out:
    too few pictures is a riddle to whoever has given enough."""
    for made, told in _counted(build.behind([stage]), store) if store is not None else ():
        if told.left_out.total() > told.kept:
            filters = ", ".join(f"{n} for {why}" for why, n in told.left_out.items())
            return f" ({made.label}: {told.kept} are kept, left out are {filters})"
    return ""


def _counted(stages: Sequence[Stage], store: Store) -> Iterator[tuple[Encode, RecordCounts]]:
    """The encoded splits among stages that the store has, and what became of their records."""
    for stage in stages:
        if isinstance(stage, Encode) and store.has(stage):
            yield stage, record_counts(stage, store)
