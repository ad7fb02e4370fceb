"""k-means over mapped features: seconds, memory, and how near to full k-means.  HDDM §6.1

A million features of a planted mixture stand for the 11M of the paper, and what those would take is
projected. small: 10 core-minutes for one seed.
"""

import sys
from importlib.util import find_spec

import numpy as np

from datamodules.clusters import Faiss, FineMethod, Lloyd, MiniBatch
from experiments.cli.main import main
from experiments.measures.clustering import Clustered, Planted
from experiments.recipes import scores
from experiments.recipes.images import SCALES, ImageScale
from experiments.tables.columns import NOT_NEGATIVE, Column
from experiments.tables.results import Results, Table
from experiments.tables.rows import Row

WIDTH, PARTS = 64, 16
FULL, MINI = "full k-means", "mini-batch"
PAPER_N, PAPER_WIDTH, PAPER_FINE, PAPER_BYTES = 11_000_000, 1024, 1024, 2
"""Pictures, DINOv2-L's features, fine centroids (HDDM, §6.1), and float16."""


def methods(fine: int, whole: bool) -> dict[str, FineMethod]:
    """By name. 16 features of a batch for each centroid are what 16,384 give 1,024 of them."""
    by_name: dict[str, FineMethod] = {MINI: MiniBatch()}
    if whole:
        by_name[f"{MINI}, 16 a centroid"] = MiniBatch(batch=16 * fine)
    return {**by_name, "faiss": Faiss()} if find_spec("faiss") else by_name


def rows(scale: ImageScale, seed: int) -> list[Row]:
    fine, table_rows = 4 * scale.data.fine, []
    planted = Planted(PARTS, 256 * fine, WIDTH, 4 * fine, scale.data.clusters, 1.0, 1.0, seed)
    for parts in (PARTS // 8, PARTS // 4, PARTS // 2, PARTS):
        full = Clustered(planted, parts, fine, scale.data.clusters, Lloyd(1, 100), seed)
        others = {
            name: Clustered(planted, parts, fine, scale.data.clusters, method, seed, full)
            for name, method in methods(fine, parts == PARTS).items()
        }
        for name, measured in {FULL: full, **others}.items():
            table_rows.append(
                Row({"Features": f"{parts * planted.rows:,}", "Method": name}, measured)
            )
    return table_rows


SECONDS = Column("seconds", "Core-seconds", 1, lies=NOT_NEGATIVE)
HELD = Column("bytes", "Most memory held, MB", 0, factor=1e-6, lies=NOT_NEGATIVE)
COLUMNS = [
    SECONDS,
    HELD,
    Column("fine", "Distance to a fine centroid", 4, lies=NOT_NEGATIVE),
    Column("fine_ratio", "over full k-means", 4, lies=NOT_NEGATIVE),
    Column("coarse", "Distance to one of K", 4, lies=NOT_NEGATIVE),
    Column("coarse_ratio", "over full k-means, K", 4, lies=NOT_NEGATIVE),
    Column("balance", "Largest cluster / smallest", 2, lies=NOT_NEGATIVE),
]


def tests(results: Results) -> list[str]:
    """How the mini-batch's costs grow with N, and what that makes of the paper's size."""
    part = results.where("Method", MINI)
    n = [float(row.names["Features"].replace(",", "")) for row in part.rows[0]]
    seconds, held = ([part.mean(i, c).mean for i in range(len(n))] for c in (SECONDS, HELD))
    if None in seconds:
        return []
    each, once = np.polyfit(n, np.array(seconds, dtype=float), 1)
    measured = part.rows[0][0].measured
    assert isinstance(measured, Clustered)
    wider = PAPER_WIDTH / WIDTH
    times = wider * PAPER_FINE / measured.fine
    lines = [
        f"Projected, not measured: the mini-batch's seconds are {once:.1f} and {1e6 * each:.1f} a "
        f"million features (least squares). If both grow with width and fine centroids, "
        f"{PAPER_N:,} x {PAPER_WIDTH} into {PAPER_FINE:,} take "
        f"{times * (once + each * PAPER_N) / 3600:.1f} hours of this core, beside reading "
        f"{PAPER_N * PAPER_WIDTH * PAPER_BYTES / 1e9:.1f} GB from disk four times."
    ]
    first, last = held[0], held[-1]
    if first is not None and last is not None:
        lines += [
            f"From {n[0]:,.0f} to {n[-1]:,.0f} features the memory that the mini-batch holds goes "
            f"from {first:.0f} to {last:.0f} MB. If it grows with the width alone, {PAPER_WIDTH} "
            f"ask for {wider * last / 1e3:.1f} GB at any N (projected)."
        ]
    return lines


TABLE = Table(
    name="clustering",
    title="Clustering mapped features (HDDM §6.1)",
    columns=COLUMNS,
    rows=rows,
    scales=SCALES,
    judge=scores.judge,
    baseline=None,
    tests=tests,
    notes=[
        f"Features: float16, {WIDTH} wide, parts mapped from disk, around directions of unequal "
        f"weight, four for each fine centroid, in K groups. {PARTS * 256:,} features for each fine "
        "centroid, of which there are four times the scale's: at small 256 and a million features, "
        "and as wide as lets full k-means take minutes on one core.",
        "Full k-means is scikit-learn's, one start of up to 100 iterations over all features in "
        "memory. The mini-batch goes through them three times, from the best of four k-means of "
        "three batches. A row of faiss is there where it is installed; the lock has none.",
        "Core-seconds: processor time of one thread, for fine and coarse centroids and assignment, "
        "files in the page cache. Another run gives others.",
        "Memory: the highest RssAnon of a process that does nothing else, seen every 5 ms, less "
        "that before it began; mapped features and the streamed assignment are files' pages.",
        "Distance: 1 - cosine, mean over features. The coarse stage is the same for all methods.",
    ],
)

if __name__ == "__main__":
    sys.exit(main(TABLE))
