"""Whether the head in FLAIR has the size of a human one, by the voxel spacing that its header says."""

from __future__ import annotations

LEAST_MM, MOST_MM = 70.0, 350.0
"""Of a head's longer side in axial slices: a newborn's brain is longer, no adult's head is."""


def head_size_warnings(head_mm: tuple[float, float]) -> tuple[str, ...]:
    """A warning where no human head is as large as this. head_mm: how far it reaches along both axes of its slices."""
    if LEAST_MM <= max(head_mm) <= MOST_MM:
        return ()
    return (
        f"What FLAIR shows measures {head_mm[0]:.0f} x {head_mm[1]:.0f} mm in its axial slices, which no human head "
        "does. If the voxel spacing in its header is wrong, so are the outline and every volume and length.",
    )
