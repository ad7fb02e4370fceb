"""The least memory of a piece of work, under limits of the kernel's."""

import mmap
import time

import pytest

from experiments.bench.commands.limits import Groups, ends, forget, least
from experiments.bench.pairing import RefusedError

MB = 1 << 20


def holding():
    """64 MB of its own."""
    assert len(b"x" * (64 * MB)) == 64 * MB


def sleeping():
    time.sleep(60)


def failing():
    raise ValueError("of its own")


def reading(path):
    """64 MB of a file's pages, mapped, each looked at once."""

    def read():
        forget([path])
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as held:
            assert sum(held[i] for i in range(0, len(held), 4096)) == 0

    return read


@pytest.mark.usefixtures("limits")
def test_what_is_held_needs_room_and_what_a_file_backs_does_not(tmp_path):
    """kills: a limit that is not set, or set for nobody; bisection to the wrong side; pages that
    the parent read, which no fork is charged for."""
    path = tmp_path / "file"
    path.write_bytes(bytes(64 * MB))
    assert 64 * MB <= least(holding, 256 * MB, 4 * MB, Groups.here()) <= 80 * MB
    assert least(reading(path), 256 * MB, 4 * MB, Groups.here()) <= 16 * MB


@pytest.mark.usefixtures("limits")
def test_what_takes_too_long_or_fails_of_itself_has_not_ended():
    """kills: patience that nobody has; a failure that is called too little memory."""
    begun = time.monotonic()
    assert not ends(sleeping, 256 * MB, Groups.here(), 0.2)
    assert time.monotonic() - begun < 30
    with pytest.raises(RefusedError, match="ended with 1"):
        ends(failing, 256 * MB, Groups.here(), 60.0)
    with pytest.raises(RefusedError, match="bytes are too few"):
        least(holding, 8 * MB, 4 * MB, Groups.here())


def test_groups_of_both_versions_are_found(tmp_path):
    """kills: another controller's group; a group of version 2 that no controller limits."""
    first = "9:name=systemd:/\n4:cpu,memory:/own\n0::/\n"
    assert Groups.of(first, tmp_path) == Groups(tmp_path / "memory/own", "memory.limit_in_bytes")
    second = "0::/user/own\n"
    with pytest.raises(RefusedError, match="no control group"):
        Groups.of(second, tmp_path)
    (tmp_path / "user").mkdir()
    (tmp_path / "user/cgroup.subtree_control").write_text("cpu memory pids\n")
    assert Groups.of(second, tmp_path) == Groups(tmp_path / "user", "memory.max")
