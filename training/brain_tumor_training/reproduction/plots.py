"""The pictures of a reproduction: training curves, printed against leaky against honest, confusion matrices."""

from __future__ import annotations

from collections.abc import Sequence

from brain_tumor_training.metrics import charts
from brain_tumor_training.metrics.overlap import SLICE_METRICS
from brain_tumor_training.reproduction.result import COMPARABLE, Reproduced, value_of

_CLASSIFIER_METRICS = ("roc_auc", "accuracy", "sensitivity", "specificity", "precision", "f1")


def pictures(reproduced: Reproduced) -> dict[str, bytes]:
    """PNG by kind: bars and curves, of a classifier confusion matrices too."""
    drawn = {"bars": _bars(reproduced)}
    panels = {
        name: {
            "training": (history.training_loss.epochs, history.training_loss.values),
            "watched slices": (history.validation_loss.epochs, history.validation_loss.values),
        }
        for name, history in reproduced.histories.items()
    }
    drawn["curves"] = charts.curves(panels, "epoch", "loss")
    if reproduced.result["task"] == "classification":
        drawn["confusion"] = charts.confusions(
            {
                name: measured["at_threshold"]["0.5"]["confusion"]
                for name, measured in (("leaky", reproduced.leaky), ("honest", reproduced.honest))
            }
        )
    return drawn


def _bars(reproduced: Reproduced) -> bytes:
    classifies = reproduced.result["task"] == "classification"
    keys = list(_CLASSIFIER_METRICS if classifies else SLICE_METRICS)
    printed = {key: value for kind, value in reproduced.result["reported"].items() for key in COMPARABLE.get(kind, ())}
    series: dict[str, Sequence[float | None]] = {
        "printed (definition not said)": [printed.get(key) for key in keys],
        "leaky": [value_of(reproduced.leaky, key) for key in keys],
        "honest": [value_of(reproduced.honest, key) for key in keys],
    }
    return charts.bars([key.replace("_", "\n") for key in keys], series, reproduced.recipe)
