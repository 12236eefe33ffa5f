from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from BrainTumorSegLib.engine.errors import GeometryError, InputError
from BrainTumorSegLib.engine.study.geometry import Geometry
from BrainTumorSegLib.engine.study.probability import read_probability

GEOMETRY = Geometry((4, 3, 2), (1.0, 1.0, 5.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))


def _written(folder: Path, values: np.ndarray, spacing_mm: tuple[float, ...] = GEOMETRY.spacing_mm) -> Path:
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(spacing_mm)
    path = folder / "probability.nrrd"
    sitk.WriteImage(image, str(path))
    return path


def test_what_was_written_is_read(tmp_path: Path) -> None:
    values = np.random.default_rng(1).random(GEOMETRY.shape_kji).astype(np.float32)
    values.flat[:2] = 0, 1
    np.testing.assert_array_equal(read_probability(_written(tmp_path, values), GEOMETRY), values)


@pytest.mark.parametrize(
    ("value", "range_"), [(np.nan, "nan to nan"), (-0.1, "-0.1 to 0.5"), (1.5, "0.5 to 1.5"), (np.inf, "0.5 to inf")]
)
def test_other_values_than_probabilities_are_refused(tmp_path: Path, value: float, range_: str) -> None:
    values = np.full(GEOMETRY.shape_kji, 0.5, np.float32)
    values[1, 2, 3] = value
    with pytest.raises(InputError, match=f"is no probability volume: its values go from {range_}, not"):
        read_probability(_written(tmp_path, values), GEOMETRY)


def test_a_volume_on_other_voxels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GeometryError):
        read_probability(_written(tmp_path, np.zeros(GEOMETRY.shape_kji, np.float32), (1.0, 1.0, 4.0)), GEOMETRY)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "probability.nrrd").write_text("no volume")
    with pytest.raises(InputError, match="can't be read. Segment the study again."):
        read_probability(tmp_path / "probability.nrrd", GEOMETRY)
