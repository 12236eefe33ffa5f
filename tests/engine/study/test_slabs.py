"""Slabs cover every layer once and stay small."""

from __future__ import annotations

import math

import numpy as np
import pytest

from BrainTumorSegLib.engine.study.slabs import SLAB_VOXELS, slabs


@pytest.mark.parametrize("seed", range(20))
def test_slabs_cover_an_array_once_and_none_is_larger_than_it_must_be(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(1, (300, 3000, 3000)[: rng.integers(1, 4)]))
    parts = list(slabs(shape))
    assert [n for part in parts for n in range(part.start, part.stop)] == list(range(shape[0]))
    layer = math.prod(shape[1:])
    assert all((part.stop - part.start) * layer <= max(SLAB_VOXELS, layer) for part in parts)


def test_an_array_without_layers_has_no_slab() -> None:
    assert list(slabs((0, 5, 5))) == []
