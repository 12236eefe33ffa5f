from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from brain_tumor_training.metrics import charts as plots

COUNTS = {"true_negatives": 8, "false_positives": 2, "false_negatives": 1, "true_positives": 5}
POINTS = [{"probability": 0.1, "frequency": 0.2, "count": 5}, {"probability": 0.9, "frequency": 0.7, "count": 5}]
OTHER_POINTS = [{"probability": 0.1, "frequency": 0.1, "count": 5}, {"probability": 0.9, "frequency": 0.9, "count": 5}]
ESTIMATE = {"value": 0.8, "low": 0.7, "high": 0.85}


def _pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(png)).convert("RGB"))


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        (
            lambda: plots.curves({"a": {"training": ([1, 2], [0.9, 0.5])}}, "epoch", "loss"),
            lambda: plots.curves({"a": {"training": ([1, 2], [0.9, 0.5])}}, "epoch", "loss"),
            lambda: plots.curves({"a": {"training": ([1, 2], [0.5, 0.9])}}, "epoch", "loss"),
        ),
        (
            lambda: plots.bars(["x", "y"], {"a": [0.5, None], "b": [0.4, 0.3]}, "t"),
            lambda: plots.bars(["x", "y"], {"a": [0.5, None], "b": [0.4, 0.3]}, "t"),
            lambda: plots.bars(["x", "y"], {"a": [0.5, 0.5], "b": [0.4, 0.3]}, "t"),
        ),
        (
            lambda: plots.confusions({"a": COUNTS}),
            lambda: plots.confusions({"a": COUNTS}),
            lambda: plots.confusions({"a": COUNTS | {"true_positives": 50}}),
        ),
        (
            lambda: plots.reliability_diagram({"a": POINTS}, "t"),
            lambda: plots.reliability_diagram({"a": POINTS}, "t"),
            lambda: plots.reliability_diagram({"a": OTHER_POINTS}, "t"),
        ),
        (
            lambda: plots.estimates({"a": ESTIMATE}, {"a": [0.7, 0.9]}, "t"),
            lambda: plots.estimates({"a": ESTIMATE}, {"a": [0.7, 0.9]}, "t"),
            lambda: plots.estimates({"a": ESTIMATE | {"low": 0.2}}, {"a": [0.7, 0.9]}, "t"),
        ),
    ],
    ids=["curves", "bars", "confusions", "reliability", "estimates"],
)
def test_a_picture_is_the_same_for_the_same_figures_and_another_for_others(one, same, other) -> None:
    """The same to the byte: bundles are."""
    assert one() == same()
    first, second = _pixels(one()), _pixels(other())
    assert first.shape != second.shape or (first != second).any()
    assert first.std() > 5
