"""Colours that are told apart: of lesions, and of results that lie over each other."""

from __future__ import annotations

import colorsys
from collections.abc import Collection

Colour = tuple[float, float, float]
"""RGB, 0-1."""

_HUE_STEP = 0.618
"""Golden ratio: neighbours in a list get hues far from each other."""
_SAME = 0.02


def otherColour(first: Colour, number: int) -> Colour:
    """The colour number ``number`` beside the first one, as light and as strong; 0 is the first itself."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*first)
    return colorsys.hls_to_rgb((hue + _HUE_STEP * number) % 1.0, lightness, saturation)


def freeColour(wanted: Colour, taken: Collection[Colour]) -> Colour:
    """The wanted colour, or the first beside it that is not taken."""
    number = 0
    while any(_isSame(otherColour(wanted, number), each) for each in taken):
        number += 1
    return otherColour(wanted, number)


def _isSame(first: Colour, second: Colour) -> bool:
    return all(abs(one - other) < _SAME for one, other in zip(first, second, strict=True))
