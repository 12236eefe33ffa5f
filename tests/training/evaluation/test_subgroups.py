import numpy as np
import pytest

from brain_tumor_training.evaluation.outcome import PatientOutcome
from brain_tumor_training.evaluation.subgroups import subgroups
from brain_tumor_training.metrics.overlap import count_slices


def _outcome(name: str, reference_ml: int, found_ml: int, sequences: tuple[str, ...]) -> PatientOutcome:
    """A reference of so many voxels of 1 mL, of which the first were found."""
    reference = np.arange(100).reshape(1, 10, 10) < reference_ml
    predicted = np.arange(100).reshape(1, 10, 10) < found_ml
    return PatientOutcome(name, count_slices(predicted, reference), None, np.ones(1), 1.0, None, {}, 1.0, sequences)


def test_patients_are_grouped_by_fold_site_size_and_sequences() -> None:
    found = subgroups(
        [
            _outcome("TCGA_CS_1_20000101", 5, 5, ("flair", "t1", "t1c")),
            _outcome("TCGA_CS_2_20000101", 20, 10, ("flair", "t1c")),
            _outcome("brats", 60, 0, ("flair", "t1c")),
        ],
        {"TCGA_CS_1_20000101": 0, "TCGA_CS_2_20000101": 1},
    )
    assert set(found) == {
        "fold 0",
        "fold 1",
        "site CS",
        "reference under 10 mL",
        "reference 10 to 40 mL",
        "reference from 40 mL",
        "sequences: flair, t1, t1c",
        "sequences: flair, t1c",
    }
    assert found["site CS"]["patients"] == 2
    assert found["site CS"]["mean"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["sequences: flair, t1c"]["minimum"] == 0
