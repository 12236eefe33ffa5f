"""What sorting millions of values would bring to one place, without sorting them."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

_SAMPLE = 16_384
_DEVIATIONS = 4.0
"""How far from where the sample sees a place, in standard deviations, it is looked for at first."""
_WIDER = 4.0


def value_at(values: npt.NDArray[np.float32], place: float) -> np.float64:
    """What sorting values [N], N > 0, would bring to a place (0 to N - 1; linear between two), as NumPy's quantile.

    Selection by sampling (Floyd and Rivest, CACM 18, 1975): a sorted sample tells between which values the place lies,
    and only those are looked through. NumPy's own selection takes four to eight times as long on processors whose
    AVX-512 is slow at compressed stores (AMD's Zen 4), and reorders the values. Raises ValueError if there is a NaN.
    """
    below = int(place)
    above = min(below + 1, len(values) - 1)
    step = -(-len(values) // _SAMPLE)
    sample = np.sort(values[::step])
    share = below / len(values)
    margin = 1 + _DEVIATIONS * math.sqrt(len(sample) * share * (1 - share))
    while True:
        low, high = _bracket(sample, below / step - margin, above / step + margin)
        under = np.count_nonzero(values < low)
        inside = values[(values >= low) & (values <= high)]
        if under <= below and above < under + len(inside):
            inside.partition([below - under, above - under])
            pair = np.array([inside[below - under], inside[above - under]])
            return np.float64(np.quantile(pair, [place - below])[0])
        if len(inside) < len(values) and np.isinf([low, high]).all():
            raise ValueError("There is a NaN among the values.")
        margin *= _WIDER  # the sample was unlike the rest: each of its values may lie in one column of an image


def _bracket(sample: npt.NDArray[np.float32], first: float, last: float) -> tuple[np.float32, np.float32]:
    """The values at two places of a sorted sample; infinite beyond its ends."""
    low = sample[int(first)] if first >= 0 else np.float32(-np.inf)
    high = sample[math.ceil(last)] if last <= len(sample) - 1 else np.float32(np.inf)
    return low, high
