"""Why the printed, the leaky and the honest figure of a system differ, as far as the figures themselves tell."""

from __future__ import annotations

from collections.abc import Iterator

from brain_tumor_training.reproduction.protocols import HONEST, LEAKY_RUN
from brain_tumor_training.reproduction.result import COMPARABLE, Reproduced, comparable, value_of

_SMALL = 0.005
_PATIENTS_IN_ALL = 110


def explanation(reproduced: Reproduced) -> Iterator[str]:
    """Sentences with their numbers."""
    if reproduced.is_shortened:
        yield (
            "The runs were shortened or changed (see above), so that part of any distance to the printed value may be "
            "due to shorter training; the other points hold between the two runs, which were changed alike."
        )
    classifies = reproduced.result["task"] == "classification"
    yield _leak(reproduced, "accuracy" if classifies else "tumour_slice_dice")
    if not classifies:
        yield _empties(reproduced)
        yield _pixels(reproduced)
    for kind, printed in reproduced.result["reported"].items():
        if kind in COMPARABLE:
            yield _rest(reproduced, kind, printed)


def _leak(reproduced: Reproduced, key: str) -> str:
    leaky, honest = value_of(reproduced.leaky, key), value_of(reproduced.honest, key)
    name = key.replace("_", " ")
    if leaky - honest > _SMALL:
        return (
            f"Patients on both sides of the split: {name} falls from {leaky:.4f} to {honest:.4f} on held-out "
            f"patients ({leaky - honest:+.4f} is what knowing the neighbouring slices was worth)."
            + _overfitting(reproduced)
        )
    return (
        f"Patients on both sides of the split are worth {leaky - honest:+.4f} of {name} here ({leaky:.4f} against "
        f"{honest:.4f}): no gain, within what the fold's patients and a run of this length can show."
    )


def _overfitting(reproduced: Reproduced) -> str:
    """A sentence where the honest run was stopped by what the leaky one can't notice; otherwise nothing."""
    leaky, honest = (reproduced.histories[name].kept_epoch for name in (LEAKY_RUN, HONEST))
    if leaky is None or honest is None or honest >= leaky:
        return ""
    return (
        f" Part of it is when training ended: watched slices were best at epoch {honest:.3g}, and at {leaky:.3g} in "
        "the leaky run, whose watched slices have neighbours among those it learns from and can't tell overfitting."
    )


def _empties(reproduced: Reproduced) -> str:
    every, tumour = (value_of(reproduced.leaky, key) for key in ("all_slice_dice", "tumour_slice_dice"))
    nothing = reproduced.leaky["predicting_nothing"]["all_slice_dice"]
    return (
        f"Slices without tumour: the same leaky predictions score {every:.4f} over all slices and {tumour:.4f} over "
        f"those with tumour. Predicting nothing at all would score {nothing:.4f} over all slices."
    )


def _pixels(reproduced: Reproduced) -> str:
    found = value_of(reproduced.leaky, "pooled_pixel_accuracy")
    nothing = reproduced.leaky["predicting_nothing"]["pooled_pixel_accuracy"]
    return f"Background: pixel accuracy is {found:.4f}, and {nothing:.4f} for predicting nothing; it tells little."


def _rest(reproduced: Reproduced, kind: str, printed: float) -> str:
    key = comparable(reproduced, kind)
    leaky, name = value_of(reproduced.leaky, key), key.replace("_", " ")
    return (
        f"Printed {kind} {printed:.4f}: under the same protocol the nearest definition, {name}, gives {leaky:.4f} "
        f"({leaky - printed:+.4f}). What is left is open: the authors' code, seed and definition are not published, "
        f"{_patients(reproduced)}, and the points below were chosen."
    )


def _patients(reproduced: Reproduced) -> str:
    known = max(one.patients for one in reproduced.histories.values())
    return f"{known} of the data set's {_PATIENTS_IN_ALL} patients were there"
