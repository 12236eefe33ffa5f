"""Work through a volume in slabs, so that what is computed on the way never takes much memory beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator

SLAB_VOXELS = 1 << 22
"""Of one slab, unless a single layer has more: 16 MB in float32, some sixteen slices of 512 x 512."""


def slabs(shape: tuple[int, ...]) -> Iterator[slice]:
    """Parts of the first axis of an array of this shape, in order and without gap, of SLAB_VOXELS voxels at most.

    >>> list(slabs((40, 512, 512)))
    [slice(0, 16, None), slice(16, 32, None), slice(32, 40, None)]
    """
    layers = max(1, SLAB_VOXELS // max(1, math.prod(shape[1:])))
    for start in range(0, shape[0], layers):
        yield slice(start, min(start + layers, shape[0]))
