"""The cores that this process may fill: those it may run on, and its container's share of them."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def cores() -> int:
    """One or more. A container of `--cpus 2` on 64 cores has 2, and one of 1.5 has 1."""
    here = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    shares = share(CGROUPS, MEMBERSHIP)
    return here if shares is None else max(1, min(here, int(shares)))


def share(cgroups: Path, membership: Path) -> float | None:
    """Processors' worth of time that the control groups of this process have; None for no bound.

    A group has no more than any group above it. Both versions are read, side by side too.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return None
    bounds = list[float]()
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for mount in _mounts(cgroups, controllers.split(",") if controllers else None):
            # In a container the path may be the host's, and the mount its end.
            relative = Path(path.lstrip("/"))
            groups = [mount / relative, *(mount / parent for parent in relative.parents)]
            bounds += [x for group in groups if (x := _bound(group)) is not None]
    return min(bounds, default=None)


def _mounts(cgroups: Path, controllers: list[str] | None) -> Iterator[Path]:
    """Where the hierarchy of these controllers is mounted; of None that of version 2."""
    if controllers is None:
        yield from (cgroups, cgroups / "unified")
    elif "cpu" in controllers and cgroups.is_dir():
        yield from (path for path in cgroups.iterdir() if "cpu" in path.name.split(","))


def _bound(group: Path) -> float | None:
    """What a group's own files grant, of either version."""
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota = (group / "cpu.cfs_quota_us").read_text()
            period = (group / "cpu.cfs_period_us").read_text()
        return int(quota) / int(period) if int(quota) > 0 else None
    except (OSError, ValueError):  # no such group, or "max"
        return None
