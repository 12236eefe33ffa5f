import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score, roc_auc_score

from brain_tumor_training.metrics.bootstrap import Estimate
from brain_tumor_training.metrics.slice_classification import (
    ScoredSlices,
    classifier_metrics,
    operating_point,
    roc_auc,
    sensitivity_at_specificity,
)


@pytest.fixture
def patients() -> list[ScoredSlices]:
    rng = np.random.default_rng(2)
    made = []
    for _ in range(6):
        truth = rng.random(30) < 0.4
        made.append(ScoredSlices(np.clip(rng.normal(0.3 + 0.4 * truth, 0.2), 0, 1), truth))
    return made


def test_roc_auc_is_the_share_of_pairs_in_the_right_order(patients: list[ScoredSlices]) -> None:
    scores = np.concatenate([p.scores for p in patients])
    truth = np.concatenate([p.with_tumour for p in patients])
    statistic = stats.mannwhitneyu(scores[truth], scores[~truth]).statistic
    assert roc_auc(patients) == pytest.approx(statistic / (truth.sum() * (~truth).sum()))


def test_measures_are_those_of_scikit_learn(patients: list[ScoredSlices]) -> None:
    scores = np.round(np.concatenate([p.scores for p in patients]), 1)  # with ties
    truth = np.concatenate([p.with_tumour for p in patients])
    found = classifier_metrics([ScoredSlices(scores, truth)], [0.45], seed=0)
    at = found["at_threshold"]["0.45"]
    assert found["roc_auc"].value == pytest.approx(roc_auc_score(truth, scores))
    assert at["accuracy"].value == pytest.approx(accuracy_score(truth, scores >= 0.45))
    assert at["sensitivity"].value == pytest.approx(recall_score(truth, scores >= 0.45))
    assert at["specificity"].value == pytest.approx(recall_score(~truth, scores < 0.45))
    assert at["precision"].value == pytest.approx(precision_score(truth, scores >= 0.45))
    assert at["f1"].value == pytest.approx(f1_score(truth, scores >= 0.45))


def test_a_case_counted_by_hand() -> None:
    slices = ScoredSlices(np.array([0.9, 0.8, 0.3, 0.6, 0.2, 0.1]), np.array([True, True, True, False, False, False]))
    found = classifier_metrics([slices], [0.5], seed=0)["at_threshold"]["0.5"]
    assert found["confusion"] == {
        "true_negatives": 2,
        "false_positives": 1,
        "false_negatives": 1,
        "true_positives": 2,
    }
    values = {name: found[name].value for name in ("accuracy", "sensitivity", "specificity", "precision", "f1")}
    assert values == pytest.approx(dict.fromkeys(values, 2 / 3))


def test_a_score_at_the_threshold_counts_as_tumour() -> None:
    slices = ScoredSlices(np.array([0.5, 0.4]), np.array([True, False]))
    assert classifier_metrics([slices], [0.5], seed=0)["at_threshold"]["0.5"]["accuracy"].value == 1


def test_operating_point_is_the_best_that_its_own_threshold_gives(patients: list[ScoredSlices]) -> None:
    point = operating_point(patients)
    scores = np.concatenate([p.scores for p in patients])
    truth = np.concatenate([p.with_tumour for p in patients])
    reached = []
    for threshold in np.unique(scores):
        if (scores[~truth] < threshold).mean() >= 0.9:
            reached.append((scores[truth] >= threshold).mean())
    assert point["sensitivity"] == pytest.approx(max(reached))
    assert (scores[truth] >= point["threshold"]).mean() == pytest.approx(point["sensitivity"])
    assert (scores[~truth] < point["threshold"]).mean() == pytest.approx(point["specificity"])


def test_intervals_are_drawn_over_patients_not_slices() -> None:
    """Two patients, one perfect and one inverted: whole patients drawn make AUC 0 and 1 possible."""
    truth = np.array([True, False] * 20)
    good = ScoredSlices(truth.astype(float), truth)
    bad = ScoredSlices(1.0 - truth, truth)
    auc = classifier_metrics([good, bad], [0.5], seed=0)["roc_auc"]
    assert auc == Estimate(0.5, 0.0, 1.0)


@pytest.mark.parametrize("digits", [1, 3], ids=["with ties", "without ties"])
def test_the_fast_sensitivity_is_that_of_the_operating_point(patients: list[ScoredSlices], digits: int) -> None:
    rounded = [ScoredSlices(np.round(one.scores, digits), one.with_tumour) for one in patients]
    for some in (rounded, rounded[:2], rounded[3:4]):
        assert sensitivity_at_specificity(some) == pytest.approx(operating_point(some)["sensitivity"])


def test_slices_of_one_kind_have_no_sensitivity_at_a_specificity() -> None:
    assert np.isnan(sensitivity_at_specificity([ScoredSlices(np.array([0.5]), np.array([True]))]))


def test_a_gate_counts_for_its_own_patient() -> None:
    """The same scores: above the first patient's gate, below the second's."""
    scores, truth = np.array([0.4, 0.1]), np.array([True, False])
    found = classifier_metrics([ScoredSlices(scores, truth, 0.3), ScoredSlices(scores, truth, 0.5)], [0.5], seed=0)
    assert found["at_gate"]["sensitivity"].value == 0.5
    assert classifier_metrics([ScoredSlices(scores, truth)], [0.5], seed=0)["at_gate"] is None
