"""Comparison of two files by the worker: where a study lies elsewhere it is registered first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from BrainTumorSegLib.engine.errors import GeometryError, InputError
from BrainTumorSegLib.engine.service.requests import WorkerCommands
from BrainTumorSegLib.engine.study.geometry import Geometry, Volume
from head_phantom import head
from result_phantoms import ellipsoid

SIZE, SPACING = (60, 64, 40), (3.0, 3.0, 4.0)


def ask(**request: str) -> dict[str, Any]:
    """What the worker's last event holds."""
    events: list[tuple[str, dict[str, Any]]] = []
    given = {"id": "1", "command": "compare", **request}
    WorkerCommands().table()["compare"](given, lambda name, **content: events.append((name, content)), bool)
    name, content = events[-1]
    assert name == "done"
    return content


@pytest.fixture
def studies(tmp_path: Path) -> dict[str, str]:
    """A head with a lesion, and both again after a known motion of their headers."""
    image = head(SIZE, SPACING)
    geometry = Geometry.of_image(image)
    centre = geometry.affine_lps @ [30, 20, 22, 1]
    lesion = Volume(ellipsoid(geometry, tuple(centre[:3].tolist()), (14.0, 18.0, 12.0)), geometry).to_image()
    motion = sitk.Euler3DTransform((0.0, 0.0, 0.0), 0.1, 0.0, 0.15, (9.0, -7.0, 5.0))
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = np.reshape(motion.GetMatrix(), (3, 3)), motion.GetTranslation()
    files = {}
    for name, place in (("first", geometry), ("second", geometry.moved(matrix))):
        for kind, source in ((name, lesion), (f"{name}_image", image)):
            files[kind] = str(tmp_path / f"{kind}.nrrd")
            sitk.WriteImage(Volume(sitk.GetArrayFromImage(source), place).to_image(), files[kind])
    return files


def test_moved_grid_is_itk_s() -> None:
    """Each voxel's place by SimpleITK, moved by its transform."""
    image = head((20, 24, 10), (8.0, 7.0, 15.0))
    geometry = Geometry.of_image(image)
    motion = sitk.Euler3DTransform((3.0, 2.0, 1.0), 0.2, -0.1, 0.3, (4.0, 5.0, 6.0))
    matrix = np.eye(4)
    matrix[:3, 3] = motion.TransformPoint((0.0, 0.0, 0.0))
    matrix[:3, :3] = np.transpose([motion.TransformPoint(tuple(unit)) for unit in np.eye(3)]) - matrix[:3, 3:]
    moved = Volume(sitk.GetArrayFromImage(image), geometry.moved(matrix)).to_image()
    for index in ((0, 0, 0), (19, 3, 7), (5, 23, 9)):
        expected = motion.TransformPoint(image.TransformIndexToPhysicalPoint(index))
        assert moved.TransformIndexToPhysicalPoint(index) == pytest.approx(expected, abs=1e-6)


def test_without_images_the_headers_are_believed(studies: dict[str, str]) -> None:
    found = ask(first=studies["first"], second=studies["second"])
    assert found["motion"] is None
    assert found["comparison"]["dice"] < 0.8


def test_study_that_lies_elsewhere_is_registered_first(studies: dict[str, str]) -> None:
    found = ask(**studies)
    assert found["comparison"]["dice"] > 0.93
    assert found["comparison"]["hd95_mm"] <= 4.0
    assert found["motion"]["angle_degrees"] == pytest.approx(10.3, abs=1.0)
    assert found["comparison"]["change_ml"] == pytest.approx(0.0, abs=1e-6)


def test_register_off_leaves_it(studies: dict[str, str]) -> None:
    assert ask(**studies, register="off") == ask(first=studies["first"], second=studies["second"])


def test_unknown_word_is_refused(studies: dict[str, str]) -> None:
    with pytest.raises(InputError, match="registration is .perhaps."):
        ask(**studies, register="perhaps")


def test_studies_without_a_place_in_common_are_refused(studies: dict[str, str], tmp_path: Path) -> None:
    image = sitk.ReadImage(studies["second"])
    image.SetOrigin((900.0, 0.0, 0.0))
    sitk.WriteImage(image, str(tmp_path / "far.nrrd"))
    with pytest.raises(GeometryError, match="no place in common"):
        ask(first=studies["first"], second=str(tmp_path / "far.nrrd"))
