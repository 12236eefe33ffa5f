"""From a slice classifier's logits to slice scores and to what the gate looks at: slices are judged with neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.special import expit


def slice_probabilities(
    logits: npt.NDArray[np.floating[Any]], neighbour_step: int, temperature: float
) -> npt.NDArray[np.float32]:
    """Tumour probability float32 [S] of a stack's slices, from the classifier's logits [S], calibrated.

    neighbour_step: see AxialSlices. temperature: see Recommendation.
    """
    return expit(between_slices(logits, neighbour_step) / temperature).astype(np.float32)


def between_slices(logits: npt.NDArray[np.floating[Any]], neighbour_step: int) -> npt.NDArray[np.float32]:
    """Logits float32 [S] of a whole stack, each the weighted mean of those within two neighbour distances.

    A tumour goes through several slices, so that what the neighbours show is evidence too. The weights fall in a
    straight line from the slice's own (with a neighbour_step of 1 they are 1, 2, 1); the stack's ends repeat.
    """
    reach = 2 * neighbour_step
    weights = reach - np.abs(np.arange(1 - reach, reach))
    smoothed = ndimage.correlate1d(np.asarray(logits, np.float64), weights / weights.sum(), mode="nearest")
    return smoothed.astype(np.float32)


def highest_nearby(probabilities: npt.NDArray[np.float32], neighbour_step: int) -> npt.NDArray[np.float32]:
    """The highest of the probabilities [S] of each slice and of those up to a neighbour distance below and above.

    A slice is left out only where this is below the gate.
    """
    highest: npt.NDArray[np.float32] = ndimage.maximum_filter1d(probabilities, 2 * neighbour_step + 1, mode="nearest")
    return highest


def through_gate(
    scores: npt.NDArray[np.float32] | None, gate: float, neighbour_step: int, slices: int
) -> npt.NDArray[np.bool_]:
    """Which slices to segment: all but those that are, with their neighbours on both sides, below the gate."""
    if scores is None:
        return np.ones(slices, np.bool_)
    return highest_nearby(scores, neighbour_step) >= gate
