"""Which slices a person should look at first, and why: from what is known of every slice, without looking at voxels.

The standard library alone, so that Slicer can order the slices anew after every change.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

SHARE_TO_REVIEW = 0.2
"""Of a study's slices; benchmarks/review_order.py measures how many of the wrong voxels lie in them."""
# Above this probability of a slice the classifier says tumour.
_SAYS_TUMOUR = 0.5
# A tumour that ends with more than this part of its largest area ends abruptly; a rounded one tapers off.
_ABRUPT_SHARE = 0.4
# How much of an area may be wrong for each reason: round numbers, chosen by benchmarks/review_order.py. Most of what is
# wrong lies along an uncertain outline.
_CLASSIFIER_WEIGHT = 0.25
_LONE_WEIGHT = 0.25
_ABRUPT_WEIGHT = 0.08
_EDGE_WEIGHT = 0.05


class SliceEvidence(Protocol):
    """What is known of one axial slice; ``SliceScore`` is it, and says what the fields are."""

    @property
    def tumour_probability(self) -> float: ...  # noqa: D102
    @property
    def area_mm2(self) -> float: ...  # noqa: D102
    @property
    def doubtful_area_mm2(self) -> float: ...  # noqa: D102
    @property
    def reaches_edge(self) -> bool: ...  # noqa: D102


class Reason(StrEnum):
    """Why a slice should be looked at."""

    UNCERTAIN = "uncertain"
    MISSED = "missed"
    CONTRADICTED = "contradicted"
    LONE = "lone"
    GAP = "gap"
    ABRUPT = "abrupt"
    EDGE = "edge"
    CLEAR = "clear"


@dataclass(frozen=True)
class ReviewNeed:
    """How much a slice should be looked at.

    index: from 0, the lowest. need_mm2: area that may be wrong in it, for all reasons together; not calibrated, larger
    is more. reason: the weightiest one. sentence: that reason in plain words, which name slices from 1.
    """

    index: int
    need_mm2: float
    reason: Reason
    sentence: str


def review_order(slices: Sequence[SliceEvidence]) -> tuple[ReviewNeed, ...]:
    """Every axial slice, given inferior first, in the order in which it needs a look; equal ones inferior first."""
    needs = (_need(slices, index) for index in range(len(slices)))
    return tuple(sorted(needs, key=lambda each: -each.need_mm2))


def worth_a_look(order: Sequence[ReviewNeed]) -> tuple[ReviewNeed, ...]:
    """Those of all slices, in the order of ``review_order``, that a person should look at twice.

    A fifth of the study, without slices that nothing speaks against.
    """
    most = math.ceil(SHARE_TO_REVIEW * len(order))
    return tuple(need for need in order[:most] if need.reason is not Reason.CLEAR)


_Doubt = tuple[float, Reason, str]
"""Area in mm2 that may be wrong, why, and that as a sentence."""


def _need(slices: Sequence[SliceEvidence], index: int) -> ReviewNeed:
    doubts = [*_own_doubts(slices, index), *_doubts_by_neighbours(slices, index)]
    total = sum(area for area, _, _ in doubts)
    if total <= 0:
        return ReviewNeed(index, 0.0, Reason.CLEAR, "Nothing speaks against this slice.")
    _, reason, sentence = max(doubts, key=lambda each: each[0])
    return ReviewNeed(index, total, reason, sentence)


def _own_doubts(slices: Sequence[SliceEvidence], index: int) -> Iterator[_Doubt]:
    one = slices[index]
    yield (
        one.doubtful_area_mm2,
        Reason.UNCERTAIN,
        f"The outline is uncertain here: about {one.doubtful_area_mm2:,.0f} mm² may be wrong.",
    )
    if one.area_mm2 <= 0 and one.tumour_probability >= _SAYS_TUMOUR:
        yield (
            _CLASSIFIER_WEIGHT * one.tumour_probability * _typical_area(slices),
            Reason.MISSED,
            f"The slice classifier finds tumour here (probability {one.tumour_probability:.2f}), "
            "but nothing is outlined.",
        )
    if one.area_mm2 > 0 and one.tumour_probability < _SAYS_TUMOUR:
        yield (
            _CLASSIFIER_WEIGHT * (1 - one.tumour_probability) * one.area_mm2,
            Reason.CONTRADICTED,
            f"Tumour is outlined here, but the slice classifier finds none (probability {one.tumour_probability:.2f}).",
        )
    if one.area_mm2 > 0 and one.reaches_edge:
        yield (
            _EDGE_WEIGHT * one.area_mm2,
            Reason.EDGE,
            "The outline reaches the edge of the field of view: part of the tumour may lie outside.",
        )


def _doubts_by_neighbours(slices: Sequence[SliceEvidence], index: int) -> Iterator[_Doubt]:
    area = slices[index].area_mm2
    around = {side: slices[index + step].area_mm2 for side, step in _SIDES if 0 <= index + step < len(slices)}
    if not around:
        return
    if area > 0 and not any(around.values()):
        yield (
            _LONE_WEIGHT * area,
            Reason.LONE,
            "Tumour is outlined in this slice alone, between clear slices.",
        )
        return
    if area <= 0 and len(around) == len(_SIDES) and all(around.values()):
        yield (
            _LONE_WEIGHT * min(around.values()),
            Reason.GAP,
            "Nothing is outlined here, though the slices below and above have tumour.",
        )
        return
    for side, beside in around.items():
        larger, smaller = max(area, beside), min(area, beside)
        if smaller <= 0 < larger and larger >= _ABRUPT_SHARE * max(one.area_mm2 for one in slices):
            here, there = f"{area:,.0f} mm² here" if area > 0 else "nothing here", f"{beside:,.0f} mm²"
            yield (
                _ABRUPT_WEIGHT * larger,
                Reason.ABRUPT,
                f"The tumour ends abruptly: {here}, {there if beside > 0 else 'nothing'} in the slice {side}.",
            )


_SIDES = (("below", -1), ("above", 1))


def _typical_area(slices: Sequence[SliceEvidence]) -> float:
    """Median area of the slices with tumour; 100 mm2, a lesion 11 mm across, where there are none."""
    areas = sorted(one.area_mm2 for one in slices if one.area_mm2 > 0)
    return areas[len(areas) // 2] if areas else 100.0
