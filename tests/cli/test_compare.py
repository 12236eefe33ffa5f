from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from BrainTumorSegLib.cli.main import main
from BrainTumorSegLib.engine.study.geometry import Volume
from result_phantoms import GRIDS, ellipsoid

GRID = GRIDS["oblique"]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    found = []
    for name, radius in (("a.seg.nrrd", 7.0), ("b.nii.gz", 9.0)):
        mask = ellipsoid(GRID, (4.0, -8.0, 25.0), (radius, radius, radius))
        sitk.WriteImage(Volume(mask, GRID).to_image(), str(tmp_path / name))
        found.append(str(tmp_path / name))
    return found


def test_numbers_are_printed_with_their_units(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *files]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()[:2])
    assert 0.4 < float(lines["Dice"]) < 0.9
    assert lines["HD95"].endswith(" mm")


def test_json_holds_every_number(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "--json", *files]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["change_ml"] == pytest.approx(found["second_ml"] - found["first_ml"])
    assert found["change_ml"] > 0


def test_no_change_has_no_minus(files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One voxel of 2.5 mm3 less: rounded, that is nothing."""
    image = sitk.ReadImage(files[0])
    array = sitk.GetArrayFromImage(image)
    array[tuple(index[0] for index in array.nonzero())] = 0
    one_less = sitk.GetImageFromArray(array)
    one_less.CopyInformation(image)
    sitk.WriteImage(one_less, str(tmp_path / "less.nrrd"))
    assert main(["compare", files[0], str(tmp_path / "less.nrrd")]) == 0
    assert "+0.00 mL (-0.2 %)" in capsys.readouterr().out


def test_a_segmentation_that_lies_beside_the_other_s_field_of_view_is_not_called_empty(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half of the fields of view is common to both, and B lies in the other half."""
    grid = GRID.moved(np.array([[1, 0, 0, 0.5 * GRID.size_ijk[0] * GRID.spacing_mm[0]], *np.eye(4)[1:]]))
    mask = np.zeros(grid.shape_kji, bool)
    mask[4:8, 4:8, -4:] = True
    sitk.WriteImage(Volume(mask, grid).to_image(), str(tmp_path / "beside.nrrd"))
    assert main(["compare", files[0], str(tmp_path / "beside.nrrd")]) == 0
    said = capsys.readouterr().out
    assert "HD95          none, for one has nothing in the field of view of A" in said
    assert "outside A     " in said


def test_missing_file_is_one_line(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", files[0], "gone.nrrd"]) == 2
    assert capsys.readouterr().err == "braintumorseg: The labelmap gone.nrrd does not exist. Check the path.\n"
