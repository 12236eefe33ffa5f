import numpy as np
import pytest
from scipy import ndimage
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from brain_tumor_training.calibration.calibration import (
    calibrate,
    choose_gate,
    choose_min_volume_ml,
    choose_threshold,
    fit_temperature,
)
from brain_tumor_training.fitting.prediction import PatientLogits
from BrainTumorSegLib.engine.errors import InputError


def test_temperature_recovers_how_overconfident_the_logits_are() -> None:
    rng = np.random.default_rng(0)
    true_logits = rng.normal(0, 2, 40_000)
    truth = rng.random(true_logits.size) < expit(true_logits)
    temperature = fit_temperature((2.5 * true_logits).astype(np.float32), truth)
    assert temperature == pytest.approx(2.5, rel=0.05)
    slope = LogisticRegression(C=1e9, fit_intercept=False).fit(2.5 * true_logits[:, None], truth).coef_[0, 0]
    assert temperature == pytest.approx(1 / slope, rel=0.01)


def _segmented(shift: float) -> PatientLogits:
    """Logits whose contour is right at probability expit(shift) at temperature 2."""
    mask = np.zeros((3, 24, 24), bool)
    mask[1, 6:18, 6:18] = True
    distance = ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(~mask)
    return PatientLogits("a", (2 * (distance + shift)).astype(np.float32), mask)


def test_threshold_is_where_the_volumetric_dice_is_best() -> None:
    assert choose_threshold([_segmented(0.0)], 2.0) == 0.5
    assert choose_threshold([_segmented(-2.0)], 2.0) <= 0.25
    assert choose_threshold([_segmented(2.0)], 2.0) >= 0.75


def test_of_thresholds_that_do_equally_well_the_one_next_to_a_half_is_taken() -> None:
    sure = _segmented(0.0)
    sharp = PatientLogits("b", np.where(sure.mask, 20, -20).astype(np.float32), sure.mask)
    assert choose_threshold([sharp], 2.0) == 0.5


def _with_specks(specks: int, in_reference: bool) -> PatientLogits:
    """A tumour with specks of 0.16 mL (36 pixels) far from it, which the reference has or has not."""
    logits, mask = np.full((2, 96, 96), -5.0, np.float32), np.zeros((2, 96, 96), bool)
    logits[:, 30:60, 30:60], mask[:, 30:60, 30:60] = 5.0, True
    for speck in range(specks):
        place = (0, slice(80, 86), slice(10 * speck, 10 * speck + 6))
        logits[place], mask[place] = 5.0, in_reference
    return PatientLogits("a", logits, mask)


@pytest.mark.parametrize(
    ("in_reference", "expected"), [(False, 0.25), (True, 0.0)], ids=["false alarms", "small lesions"]
)
def test_small_pieces_are_dropped_only_where_they_are_mostly_wrong(in_reference: bool, expected: float) -> None:
    assert choose_min_volume_ml([_with_specks(3, in_reference)], 0.0) == expected


def test_gate_keeps_all_but_a_thousandth_of_the_tumour() -> None:
    mask = np.zeros((6, 40, 40), bool)
    mask[2:4] = True
    mask[5, 0, 0] = True  # one pixel of 3201 may be lost
    logits = np.array([-9, -9, 1, 2, -9, -9], np.float32)
    gate = choose_gate([PatientLogits("a", logits, mask)], 1.0)
    assert gate == pytest.approx(np.floor(1000 * expit(2.0)) / 1000)
    through = ndimage.maximum_filter1d(expit(logits.astype(float)), 3) >= gate
    assert mask[through].sum() / mask.sum() >= 0.999


def test_a_classifier_gets_a_gate_and_a_segmentation_a_threshold() -> None:
    segmented = calibrate([_segmented(0.0)])
    assert segmented.recommendation.gate == 0
    assert segmented.after.log_loss <= segmented.before.log_loss
    mask = segmented_mask = _segmented(0.0).mask
    classified = calibrate([PatientLogits("a", np.array([-1, 3, -2], np.float32), mask)])
    assert classified.recommendation.gate > 0.5
    assert classified.recommendation.threshold == 0.5
    assert segmented_mask.any()


def test_nothing_to_calibrate_on_is_said() -> None:
    with pytest.raises(InputError, match=r"nothing to calibrate on.*part 'validation'"):
        calibrate([])
