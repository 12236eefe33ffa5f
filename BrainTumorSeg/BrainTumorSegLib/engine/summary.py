"""What a run found, in one sentence."""

from __future__ import annotations

from BrainTumorSegLib.engine.result import Result


def summarise(result: Result) -> str:
    """For instance "Tumour found: 2 lesions, 42.3 mL in all, in slices 11 to 22 of 36."

    Slices are axial and count from 1, the lowest.
    """
    count = len(result.slices)
    if not result.lesions:
        return f"No tumour found in {count} slices; the segmentation is empty."
    first = min(lesion.slices[0] for lesion in result.lesions) + 1
    last = max(lesion.slices[1] for lesion in result.lesions) + 1
    lesions = "1 lesion" if len(result.lesions) == 1 else f"{len(result.lesions)} lesions"
    place = f"in slice {first}" if first == last else f"in slices {first} to {last}"
    return f"Tumour found: {lesions}, {result.volume_ml:.1f} mL in all, {place} of {count}."
