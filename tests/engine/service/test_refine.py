"""Strokes from files to a file, as the worker does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from BrainTumorSegLib.engine.errors import GeometryError, InputError
from BrainTumorSegLib.engine.service.requests import WorkerCommands
from BrainTumorSegLib.engine.study.geometry import Volume
from result_phantoms import GRIDS, ellipsoid

GRID = GRIDS["oblique"]
LESION = ellipsoid(GRID, (4.0, -8.0, 24.0), (6.0, 6.0, 7.0))


def write(path: Path, array: np.ndarray, geometry: object = GRID) -> str:
    sitk.WriteImage(Volume(array, geometry).to_image(), str(path))  # type: ignore[arg-type]
    return str(path)


@pytest.fixture
def request_(tmp_path: Path) -> dict[str, Any]:
    """A lesion that was missed, and a dot in it."""
    flair = np.where(LESION, 300, 150).astype(np.float32)
    strokes = ellipsoid(GRID, (4.0, -8.0, 24.0), (2.0, 2.0, 4.0)).astype(np.uint8)
    return {
        **{"id": "1", "command": "refine", "flair": write(tmp_path / "flair.nrrd", flair)},
        "probability": write(tmp_path / "p.nrrd", np.where(LESION, 0.35, 0.02).astype(np.float32)),
        "labelmap": write(tmp_path / "l.seg.nrrd", np.zeros(GRID.shape_kji, np.uint8)),
        "strokes": write(tmp_path / "s.nrrd", strokes),
        "output": str(tmp_path / "out.nrrd"),
    }


def ask(request: dict[str, Any]) -> dict[str, Any]:
    events: list[tuple[str, dict[str, Any]]] = []
    WorkerCommands().table()["refine"](request, lambda event, **content: events.append((event, content)), bool)
    ((event, content),) = events
    assert event == "done"
    return content


def test_worker_writes_the_lesion_that_was_pointed_at(request_: dict[str, Any]) -> None:
    content = ask(request_)
    found = sitk.ReadImage(request_["output"])
    array = sitk.GetArrayFromImage(found) > 0
    assert Volume.of_image(found).geometry.is_close_to(GRID, 1e-4)
    assert 2 * (array & LESION).sum() / (array.sum() + LESION.sum()) > 0.9
    assert content == {"changed_voxels": int(array.sum()), "files": {"labelmap": request_["output"]}}


def test_worker_leaves_reviewed_slices_alone(request_: dict[str, Any]) -> None:
    ask({**request_, "reviewed": [8]})
    array = sitk.GetArrayFromImage(sitk.ReadImage(request_["output"]))
    assert not array[8].any()
    assert array.any()


def test_worker_leaves_out_what_becomes_smaller_than_a_lesion(request_: dict[str, Any], tmp_path: Path) -> None:
    """Erased but for one voxel, which nothing in the image speaks against."""
    mask = ellipsoid(GRID, (16.0, 2.0, 20.0), (3.0, 3.0, 4.0)) & ~LESION
    voxels = np.argwhere(mask)
    erased = mask.copy()
    erased[tuple(voxels[0])] = False
    request = request_ | {
        "flair": write(tmp_path / "bright.nrrd", np.where(erased, 150, np.where(mask, 300, 140)).astype(np.float32)),
        "probability": write(tmp_path / "sure.nrrd", np.where(mask & ~erased, 0.9, 0.02).astype(np.float32)),
        "labelmap": write(tmp_path / "mask.seg.nrrd", mask.astype(np.uint8)),
        "strokes": write(tmp_path / "erased.nrrd", 2 * erased.astype(np.uint8)),
    }
    assert ask(request)["changed_voxels"] == mask.sum() - 1
    assert ask(request | {"min_volume_ml": 2 * GRID.voxel_volume_ml})["changed_voxels"] == mask.sum()


def test_files_of_other_voxels_are_refused(request_: dict[str, Any], tmp_path: Path) -> None:
    other = GRIDS["axial"]
    strokes = write(tmp_path / "other.nrrd", np.ones(other.shape_kji, np.uint8), other)
    with pytest.raises(GeometryError, match="are not those of the images"):
        ask({**request_, "strokes": strokes})
    (tmp_path / "p.nrrd").write_bytes(b"no image")
    with pytest.raises(InputError, match="probability volume .* can't be read"):
        ask(request_)


@pytest.mark.parametrize("reviewed", [["8"], [8.5], 8])
def test_slices_are_whole_numbers(request_: dict[str, Any], reviewed: object) -> None:
    with pytest.raises(InputError, match="'reviewed' is"):
        ask({**request_, "reviewed": reviewed})
