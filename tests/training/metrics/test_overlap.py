import warnings

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from monai.losses import TverskyLoss
from monai.metrics import DiceMetric
from sklearn.metrics import accuracy_score, f1_score, jaccard_score

from brain_tumor_training.metrics import overlap as metrics
from brain_tumor_training.metrics.overlap import count_slices
from BrainTumorSegLib.engine.errors import GeometryError

SHAPE = (6, 20, 24)


def _masks(seed: int, empty_slices: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Blobs that overlap in part; the first slices are empty in the reference, the very first in both."""
    rng = np.random.default_rng(seed)
    reference = rng.random(SHAPE) < 0.2
    predicted = reference ^ (rng.random(SHAPE) < 0.08)
    reference[:empty_slices] = False
    predicted[0] = False
    return predicted, reference


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    return _masks(1)


def test_volumetric_dice_is_that_of_simpleitk(pair: tuple[np.ndarray, np.ndarray]) -> None:
    images = [sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in pair]
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(*images)
    assert metrics.volumetric_dice(count_slices(*pair)) == pytest.approx(overlap.GetDiceCoefficient())
    assert metrics.pooled_pixel_iou([count_slices(*pair)]) == pytest.approx(overlap.GetJaccardCoefficient())


@pytest.mark.parametrize("tumour_only", [True, False], ids=["tumour slices", "all slices"])
def test_mean_slice_dice_is_that_of_monai(pair: tuple[np.ndarray, np.ndarray], tumour_only: bool) -> None:
    monai_dice = DiceMetric(ignore_empty=tumour_only, reduction="none", num_classes=1)
    per_slice = monai_dice(*(torch.from_numpy(mask[:, None].astype(np.float32)) for mask in pair)).numpy()
    ours = (metrics.tumour_slice_dice if tumour_only else metrics.all_slice_dice)([count_slices(*pair)])
    assert ours == pytest.approx(np.nanmean(per_slice))


def test_pooled_pixels_are_those_of_scikit_learn() -> None:
    pairs = [_masks(1), _masks(2, empty_slices=3)]
    counts = [count_slices(*pair) for pair in pairs]
    predicted = np.concatenate([p.ravel() for p, _ in pairs])
    reference = np.concatenate([r.ravel() for _, r in pairs])
    assert metrics.pooled_pixel_dice(counts) == pytest.approx(f1_score(reference, predicted))
    assert metrics.pooled_pixel_iou(counts) == pytest.approx(jaccard_score(reference, predicted))
    assert metrics.pooled_pixel_accuracy(counts) == pytest.approx(accuracy_score(reference, predicted))


def test_tversky_index_is_that_of_monai(pair: tuple[np.ndarray, np.ndarray]) -> None:
    loss = TverskyLoss(alpha=0.3, beta=0.7, smooth_nr=0, smooth_dr=0, batch=True)
    predicted, reference = (torch.from_numpy(mask[:, None].astype(np.float64)) for mask in pair)
    assert metrics.pooled_pixel_tversky_index([count_slices(*pair)]) == pytest.approx(
        1 - float(loss(predicted, reference))
    )


def test_tumour_slice_iou_is_that_of_scikit_learn(pair: tuple[np.ndarray, np.ndarray]) -> None:
    predicted, reference = pair
    expected = [jaccard_score(r.ravel(), p.ravel()) for p, r in zip(predicted, reference, strict=True) if r.any()]
    assert metrics.tumour_slice_iou([count_slices(*pair)]) == pytest.approx(np.mean(expected))


def test_predicting_nothing_scores_the_share_of_tumour_free_slices() -> None:
    reference = np.zeros((20, 4, 4), bool)
    reference[:7, 1, 1] = True
    counts = [count_slices(np.zeros_like(reference), reference)]
    assert metrics.all_slice_dice(counts) == 13 / 20
    assert metrics.all_slice_iou(counts) == 13 / 20
    assert metrics.tumour_slice_dice(counts) == 0
    assert metrics.pooled_pixel_dice(counts) == 0
    assert metrics.pooled_pixel_accuracy(counts) == 1 - 7 / 320


def test_two_empty_masks_agree_perfectly_and_without_a_warning() -> None:
    empty = np.zeros((3, 4, 4), bool)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        counts = count_slices(empty, empty)
        assert metrics.volumetric_dice(counts) == 1
        assert metrics.all_slice_iou([counts]) == 1
        assert metrics.pooled_pixel_tversky_index([counts]) == 1
        assert np.isnan(metrics.tumour_slice_dice([counts]))


def test_a_case_counted_by_hand() -> None:
    reference = np.zeros((2, 2, 3), bool)
    predicted = np.zeros_like(reference)
    reference[1, 0] = True  # three voxels
    predicted[1, 0, :2] = True  # two of them
    predicted[1, 1, 0] = True  # and one wrong one
    predicted[0, 0, :2] = True  # two in a tumour-free slice
    counts = count_slices(predicted, reference)
    assert metrics.volumetric_dice(counts) == pytest.approx(2 * 2 / (5 + 3))
    assert metrics.tumour_slice_dice([counts]) == pytest.approx(2 * 2 / (3 + 3))
    assert metrics.all_slice_dice([counts]) == pytest.approx((0 + 2 / 3) / 2)
    assert metrics.pooled_pixel_tversky_index([counts]) == pytest.approx(2 / (2 + 0.3 * 3 + 0.7 * 1))
    assert metrics.false_positive_voxels_on_tumour_free_slices(counts) == 2


def test_slices_of_all_patients_weigh_alike() -> None:
    one = count_slices(*(np.ones((1, 2, 2), bool),) * 2)
    other = count_slices(np.zeros((3, 2, 2), bool), np.ones((3, 2, 2), bool))
    assert metrics.tumour_slice_dice([one, other]) == 0.25


def test_masks_of_different_shapes_are_refused() -> None:
    with pytest.raises(GeometryError, match=r"shape \(2, 3, 4\), its reference \(2, 4, 3\).*on FLAIR's grid"):
        count_slices(np.zeros((2, 3, 4), bool), np.zeros((2, 4, 3), bool))
