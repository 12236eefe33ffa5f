"""How much memory a study takes, and how much there is: told before the work begins.

Measured by ``benchmarks/memory.py``, which prints both sides; ``tests/engine/test_memory.py`` holds them together.
"""

from __future__ import annotations

import math
from pathlib import Path

from BrainTumorSegLib.engine.errors import MemoryExhaustedError

PROGRAM_BYTES = 600_000_000
"""Python, its libraries, the networks and what they compute on one batch of slices."""
_BYTES_PER_VOXEL = 4
_SLICE_BYTES = 5 * 256 * 256 * 4
"""What networks see of a slice (three sequences), and two maps of what they say of it."""

_CGROUP = Path("/sys/fs/cgroup")


def needed_bytes(size_ijk: tuple[int, ...], sequences: int) -> int:
    """The most memory that segmenting takes, on the CPU, for so many sequences on FLAIR's grid.

    Beside the sequences there is always one more volume: what a sequence's scale is found from, then the probability.
    Whatever the slices' direction: their number is taken for that of the longest axis.
    """
    volume = math.prod(size_ijk) * _BYTES_PER_VOXEL
    return PROGRAM_BYTES + (sequences + 1) * volume + max(size_ijk) * _SLICE_BYTES


def usable_bytes() -> int:
    """What this process has or may still get: free main memory and swap, within its container's limit."""
    # Only here: doctor tells that it is missing.
    import psutil

    own = psutil.Process().memory_info().rss
    return int(own + min(psutil.virtual_memory().available + psutil.swap_memory().free, _left_in_container(_CGROUP)))


def require_memory(title: str, size_ijk: tuple[int, ...], sequences: int) -> None:
    """Refuses what can't fit, before hours of swapping or an end without a word.

    title: how the message calls what has the size. Raises MemoryExhaustedError.
    """
    needed, usable = needed_bytes(size_ijk, sequences), usable_bytes()
    if needed > usable:
        raise MemoryExhaustedError(
            f"{title} has {' x '.join(map(str, size_ijk))} voxels, for which {needed / 1e9:.1f} GB of memory are "
            f"needed, but {usable / 1e9:.1f} GB are free.",
            "Close other programs, use a machine with more memory, or crop or downsample the images first.",
        )


def _left_in_container(folder: Path) -> float:
    """Bytes up to the limit of this control group (version 2, as containers have it); infinite without one."""
    try:
        limit, used = ((folder / name).read_text() for name in ("memory.max", "memory.current"))
        cached = next(line.split()[1] for line in (folder / "memory.stat").open() if line.startswith("inactive_file "))
        return int(limit) - int(used) + int(cached)
    except (OSError, ValueError, StopIteration):  # no such group, or "max": no limit
        return math.inf
