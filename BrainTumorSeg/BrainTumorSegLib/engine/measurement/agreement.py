"""How far two labelmaps agree, as numbers: light enough for Slicer's own process."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Comparison:
    """Two labelmaps side by side; everything but the volumes on the first one's grid.

    dice: 2 |A and B| / (|A| + |B|), 1 where both are empty (Dice 1945). hd95_mm: 95th percentile of the distances from
    each surface to the other, the larger of the two ways; None where either is empty. first_ml, second_ml: volumes,
    each on its own grid. change_ml: second less first; change_percent: of the first, None where that is empty. both_ml,
    only_first_ml, only_second_ml: on the first one's grid. outside_ml: of the second, outside the first one's field of
    view, and so in no other number but its volume.
    """

    dice: float
    hd95_mm: float | None
    first_ml: float
    second_ml: float
    change_ml: float
    change_percent: float | None
    both_ml: float
    only_first_ml: float
    only_second_ml: float
    outside_ml: float
