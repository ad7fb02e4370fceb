"""Every reading of every claim as JSON, which pages and the report are made from."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from experiments.tables.claim import Judged


def detail(papers: Mapping[str, Sequence[Judged]]) -> str:
    """Every reading of every paper, as JSON; claims are numbered through all papers."""
    claims = list(dict.fromkeys(id(r.line.claim) for readings in papers.values() for r in readings))
    records = [
        {"paper": paper, "number": claims.index(id(reading.line.claim)) + 1, **_record(reading)}
        for paper, readings in papers.items()
        for reading in readings
    ]
    return json.dumps(records, indent=1, ensure_ascii=False) + "\n"


def _record(reading: Judged) -> dict[str, object]:
    line, found = reading.line, reading.found
    test, margin = line.test, line.claim.margin
    within = found.equivalence if found else None
    return {
        "section": line.claim.section,
        "claim": line.claim.statement,
        "reading": test.reading if test else "",
        "table": test.table if test else "",
        "rows": [list(names) for names in test.contrast.rows] if test else [],
        "metric": line.metric,
        "printed": line.claim.effect,
        "mean": line.estimate.mean,
        "half_width": line.estimate.half_width,
        "n": line.estimate.n,
        "margin": sum(line.margins) / line.estimate.n if line.margins else None,
        "margin_from": margin.source if margin else "",
        "difference": asdict(found.difference) if found else None,
        "equivalence": asdict(within) if within else None,
        "detectable": found.detectable if found else None,
        "verdict": reading.verdict.value,
        "why": reading.why,
    }
