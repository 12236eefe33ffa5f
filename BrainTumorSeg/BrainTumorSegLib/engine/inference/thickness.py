"""Thin slices seen as the networks know slices: means over the thickness that they were trained on.

A training slice is the mean of some 5 mm of tissue (its partial volumes); a slice of a 1 mm study shows more contrast
and more noise than any of them. So each slice is replaced with the mean of the ``neighbour_step`` slices about it, its
slab, as an acquisition of that thickness would have measured it. What a network says of a slab holds for all of its
slices, and slabs overlap: a slice's logit is the mean over the slabs that hold it, as sliding windows are joined.
Nothing changes where slices are as far apart as the training data's.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


def to_slabs(slices: Array, neighbour_step: int) -> None:
    """Replaces each slice of [S, H, W] with the mean of its slab; the stack's ends repeat."""
    _replace_with_means(slices, neighbour_step // 2, (neighbour_step - 1) // 2)


def from_slabs(logits: Array, neighbour_step: int) -> None:
    """Replaces each slab's logits [S, H, W] with a slice's: the mean over the slabs that hold it; the ends repeat."""
    _replace_with_means(logits, (neighbour_step - 1) // 2, neighbour_step // 2)


def thin_slice_warnings(neighbour_step: int, slice_distance_mm: float) -> tuple[str, ...]:
    """A warning where slabs take the place of slices: such studies are unlike the training data."""
    if neighbour_step == 1:
        return ()
    return (
        f"FLAIR's slices are {slice_distance_mm:.1f} mm apart, thinner than what the model learned from: it was shown "
        f"means of {neighbour_step} of them. It was measured on few such studies, so check the outline with care.",
    )


def _replace_with_means(values: Array, below: int, above: int) -> None:
    """Each of the first axis becomes the mean of itself and those so far below and above it."""
    if below == above == 0:
        return
    padded = np.pad(values, ((below, above), (0, 0), (0, 0)), mode="edge")
    for index, mean in enumerate(values):
        padded[index : index + below + above + 1].mean(axis=0, out=mean)
