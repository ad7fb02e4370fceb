"""The container's share of a machine: over made trees of both versions, and in a real group."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.pipeline import cores
from tests.helpers.files import ROOT

REAL = Path("/sys/fs/cgroup")
V2 = {"cgroup.controllers": "cpu io memory\n"}


def lay(folder, membership, files):
    """A tree of groups and the list of a process's groups: what `share` is given."""
    for name, text in files.items():
        path = folder / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "self").write_text(membership)
    return folder / "cgroup", folder / "self"


def v1(group, quota, period=100_000, mount="cpu,cpuacct"):
    place = f"{mount}/{group}".rstrip("/")
    return {f"{place}/cpu.cfs_quota_us": f"{quota}\n", f"{place}/cpu.cfs_period_us": f"{period}\n"}


@pytest.mark.parametrize(
    ("membership", "files", "share"),
    [
        # docker run --cpus 2, version 2: the container's own root, or the host's path
        ("0::/\n", {**V2, "cpu.max": "200000 100000\n"}, 2.0),
        ("0::/docker/ab\n", {**V2, "cpu.max": "200000 100000\n"}, 2.0),
        ("0::/\n", {**V2, "cpu.max": "max 100000\n"}, None),
        ("0::/\n", V2, None),
        # systemd: the slice above binds more than the service
        (
            "0::/a.slice/b.service\n",
            {**V2, "a.slice/cpu.max": "150000 100000\n", "a.slice/b.service/cpu.max": "4 1\n"},
            1.5,
        ),
        (
            "0::/a/b\n",
            {**V2, "a/cpu.max": "8 1\n", "a/b/cpu.max": "3 1\n", "c/cpu.max": "1 1\n"},
            3,
        ),
        # version 1: another period, no bound, the host's path, a mount of its own
        ("4:cpu,cpuacct:/docker/ab\n", v1("docker/ab", 100_000, 50_000), 2.0),
        ("4:cpu,cpuacct:/docker/ab\n", v1("", 400_000), 4.0),
        ("4:cpu,cpuacct:/\n", v1("", -1), None),
        ("1:cpu:/x\n9:cpuset:/y\n", v1("x", 250_000, mount="cpu"), 2.5),
        ("9:cpuset:/x\n", v1("x", 100_000, mount="cpuset"), None),
        # both side by side
        ("1:cpu:/x\n0::/\n", {**v1("x", 300_000, mount="cpu"), "unified/cgroup.procs": "1\n"}, 3.0),
        ("1:cpu:/\n0::/a\n", {**v1("", -1, mount="cpu"), "unified/a/cpu.max": "7 2\n"}, 3.5),
    ],
)
def test_the_share_is_that_of_the_tightest_group(tmp_path, membership, files, share):
    """kills: one version alone, a period taken for granted, the own group alone or the outermost,
    another's group, or "max" read as a number."""
    assert cores.share(*lay(tmp_path, membership, files)) == share


def test_where_there_are_no_groups_there_is_no_bound(tmp_path):
    assert cores.share(tmp_path / "none", tmp_path / "none") is None


@pytest.mark.parametrize(
    ("quota", "allowed", "found"), [(2.0, 64, 2), (1.5, 64, 1), (0.5, 64, 1), (8.0, 4, 4)]
)
def test_cores_are_whole_and_those_that_may_be_run_on(monkeypatch, quota, allowed, found):
    """kills: workers for a share that is not there, none at all, more than the affinity."""
    monkeypatch.setattr(cores.sys, "platform", "linux")
    monkeypatch.setattr(cores.os, "sched_getaffinity", lambda _: range(allowed), raising=False)
    monkeypatch.setattr(cores, "share", lambda *_: quota)
    assert cores.cores() == found
    monkeypatch.setattr(cores, "share", lambda *_: None)
    assert cores.cores() == allowed


@pytest.fixture
def group():
    """A real group with three quarters of a processor, of whichever version is there."""
    cpu = REAL / "cpu"
    folder = (cpu if cpu.is_dir() else REAL) / f"ddm-test-{os.getpid()}"
    try:
        folder.mkdir()
        if cpu.is_dir():
            (folder / "cpu.cfs_period_us").write_text("100000")
            (folder / "cpu.cfs_quota_us").write_text("75000")
        else:
            (folder / "cpu.max").write_text("75000 100000")
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    yield folder
    folder.rmdir()


@pytest.mark.longest  # not for its length: a real group was once refused to a run of everything
def test_a_process_reads_its_real_group(group):
    """kills: groups looked for where this system has none."""
    code = (
        "import os, pathlib, sys\n"
        "pathlib.Path(sys.argv[1], 'cgroup.procs').write_text(str(os.getpid()))\n"
        "from experiments.pipeline import cores\n"
        "print(cores.share(cores.CGROUPS, cores.MEMBERSHIP), cores.cores())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(group)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0.75", "1"]
