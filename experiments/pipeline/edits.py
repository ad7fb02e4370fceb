"""What edits of the code mean for a store: what is made anew, and what is not though it could be.

What a config names, as an objective, has its code in the key: edited, it makes its stages anew.
Code that all stages of a kind share has not, until their `version` is raised.
"""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from experiments.pipeline import code, key
from experiments.pipeline.files import StoreError, read_json, read_sealed
from experiments.pipeline.provenance import commit, covers
from experiments.pipeline.stage import Stage
from experiments.pipeline.storage.places import artifacts
from experiments.pipeline.storage.remote import CONFIG, MARKER
from experiments.pipeline.store import Store

LOOKED_AT = 500
"""Artifacts of a kind, at an address, whose provenance is asked for: a request each."""


def made_anew(missing: Sequence[Stage], store: Store) -> str | None:
    """Which of these stages the store has of the same config but of other code, in one line."""
    there = {kind: _by_uncoded(store, kind) for kind in {stage.kind for stage in missing}}
    each = {stage: _edited(stage, store, there[stage.kind]) for stage in missing}
    changed = {stage: classes for stage, classes in each.items() if classes}
    if not changed:
        return None
    names = sorted(set().union(*changed.values()))
    return f"the code of {', '.join(names)} changed: made anew are {_counted(list(changed))}"


def outdated(stages: Sequence[Stage], store: Store) -> str | None:
    """Which of these artifacts were made by other code of their own stage, in one line."""
    old = [stage for stage in stages if not _as_made(stage, store.provenance(stage))]
    if not old:
        return None
    return (
        f"kept, though their stages' own code has changed since they were made: {_counted(old)}; "
        "a stage's raised version, or an empty store, makes them anew"
    )


def _as_made(stage: Stage, made: Mapping[str, Any]) -> bool:
    """Whether the stage's own code is that which made it. At one commit it is; digests take long.

    An uncommitted edit makes another commit.
    """
    kind: type = type(stage)
    if made.get("commit") == commit() and covers(kind):
        return True
    return bool(made.get("code") == code.digest(kind))


def _by_uncoded(store: Store, kind: str) -> dict[str, list[str]]:
    """The artifacts of one kind by their key without code; of an address the first LOOKED_AT."""
    there: dict[str, list[str]] = {}
    most = None if store.remote is None else LOOKED_AT
    for artifact in itertools.islice(artifacts(store.place, kind), most):
        path = _copy(store, artifact, MARKER)
        if path.exists():
            there.setdefault(str(read_sealed(path).get("uncoded")), []).append(artifact)
    return there


def _copy(store: Store, artifact: str, file: str) -> Path:
    """Where a file of an artifact lies on this machine, if there is such a file."""
    if store.remote is not None:
        with suppress(StoreError):  # it is being sent
            store.remote.fetch(artifact, file)
    return store.root / artifact / file


def _edited(stage: Stage, store: Store, there: Mapping[str, Sequence[str]]) -> set[str]:
    """The classes whose code alone sets an artifact that is there apart from this stage."""
    alike = there.get(key.key(stage, coded=False), ()) if there else ()
    edits = list[set[str]]()
    for artifact in alike:
        was = key.codes(read_json(_copy(store, artifact, CONFIG)))
        now = key.codes(stage.config)
        edits.append({name for name in was.keys() & now.keys() if was[name] != now[name]})
    return min(edits, key=len, default=set())


def _counted(stages: Sequence[Stage]) -> str:
    """How many there are of each kind, as "2 trainexpert, 1 score"."""
    return ", ".join(f"{n} {kind}" for kind, n in Counter(stage.kind for stage in stages).items())
