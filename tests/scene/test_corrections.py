"""What somebody has painted and erased since the last outline, on any grid, and the refined outline in its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer", reason="needs real MRML: pip install slicer-core")

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.scene.corrections import correctionsOf, isCorrected, takeRefined
from BrainTumorSegLib.scene.ownNodes import PROBABILITY, REFINED, partOf
from BrainTumorSegLib.scene.provenance import ownSegmentIds
from BrainTumorSegLib.scene.remeasure import followEdits, isMeasured
from BrainTumorSegLib.scene.resultImport import ResultFiles, importResult, readResult
from BrainTumorSegLib.scene.resultInputs import resultInputsOf
from BrainTumorSegLib.scene.review import setReviewed
from BrainTumorSegLib.scene.segmentVoxels import maskOnVolume, writeMask
from BrainTumorSegLib.scene.studyExport import exportStudy
from BrainTumorSegLib.scene.undo import SegmentationUndo
from scene.phantomScene import AXIAL, GRIDS, TRANSFORMS, addTransform, addVolume, reportOf, writeBall

PAINTED, ERASED = (2, 3, slice(4, 8)), (9, 12, slice(12, 15))
"""Outside the ball and in it."""


@pytest.fixture
def undo() -> SegmentationUndo:
    return SegmentationUndo()


@pytest.fixture
def make(scene: Any, tmp_path: Path, undo: SegmentationUndo) -> Callable[..., Any]:
    """A result of the ball on a grid, under a transform; with a T1 beside it if wanted."""

    def segment(grid: np.ndarray = AXIAL, matrix: np.ndarray | None = None, t1: Any = None) -> Any:
        flair = addVolume(scene, "FLAIR", grid, addTransform(scene, matrix))
        study = exportStudy(flair, t1, None, tmp_path)
        files: ResultFiles = writeBall(study, tmp_path)
        return importResult(readResult(files, study), reportOf(), study, flair, None, undo).segmentationNode

    return segment


def flairOf(node: Any) -> Any:
    return node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())


def maskOf(node: Any) -> np.ndarray:
    return maskOnVolume(node, ownSegmentIds(node)[0], flairOf(node))


def draw(node: Any, paint: Any = PAINTED, erase: Any = ERASED) -> np.ndarray:
    mask = maskOf(node)
    mask[paint], mask[erase] = True, False
    writeMask(node, ownSegmentIds(node)[0], mask, flairOf(node))
    return mask


PLACES = {name: (grid, None) for name, grid in GRIDS.items()} | {
    name: (AXIAL, matrix) for name, matrix in TRANSFORMS.items()
}
every_place = pytest.mark.parametrize(("grid", "matrix"), PLACES.values(), ids=PLACES)
axial_stacks = pytest.mark.parametrize(  # the made-up report is of one
    ("grid", "matrix"),
    [place for name, place in PLACES.items() if name != "sagittal"],
    ids=[name for name in PLACES if name != "sagittal"],
)


@every_place
def test_voxels_added_are_tumour_and_voxels_taken_away_are_not(make: Any, grid: np.ndarray, matrix: Any) -> None:
    node = make(grid, matrix)
    before = maskOf(node)
    now = draw(node)
    found = correctionsOf(node)
    expected = np.zeros(before.shape, np.uint8)
    expected[PAINTED] = 1
    expected[ERASED] = 2
    expected[now == before] = 0
    assert (expected == 2).any(), "the eraser met the ball"
    np.testing.assert_array_equal(found.labels, expected)
    np.testing.assert_array_equal(found.now, now)


@axial_stacks
def test_a_refined_outline_is_written_but_for_reviewed_slices(
    make: Any, undo: SegmentationUndo, grid: np.ndarray, matrix: Any
) -> None:
    node = make(grid, matrix)
    now = draw(node)
    setReviewed(node, 3, True)
    refined = np.random.default_rng(5).random(now.shape) < 0.4
    expected = refined.copy()
    # The fourth slice from the feet, by where the voxels lie in the world.
    axis, isUpward = upward(node)
    fourth = [slice(None)] * 3
    fourth[axis] = 3 if isUpward else now.shape[axis] - 4
    expected[tuple(fourth)] = now[tuple(fourth)]
    changed_ml = takeRefined(node, refined.copy(), correctionsOf(node), undo)
    np.testing.assert_array_equal(maskOf(node), expected)
    followEdits(node)
    assert isMeasured(node)
    assert isCorrected(node)
    voxel_ml = abs(np.linalg.det(worldOf(node)[:3, :3])) / 1000
    assert changed_ml == pytest.approx(np.count_nonzero(expected != now) * voxel_ml)
    undo.restore(node)
    np.testing.assert_array_equal(maskOf(node), now)
    assert partOf(node, REFINED) is None


def worldOf(node: Any) -> np.ndarray:
    from BrainTumorSegLib.scene.volumeGeometry import ijkToWorld

    return ijkToWorld(flairOf(node))


def upward(node: Any) -> tuple[int, bool]:
    """The array axis [K, J, I] along the patient's height, and whether its index grows upward."""
    height = worldOf(node)[2, :3] / np.linalg.norm(worldOf(node)[:3, :3], axis=0)
    column = int(np.abs(height).argmax())
    return 2 - column, bool(height[column] > 0)


def test_after_a_refinement_only_what_is_new_is_a_stroke_and_the_old_ones_are_held(
    make: Any, undo: SegmentationUndo
) -> None:
    node = make()
    draw(node)
    first = correctionsOf(node)
    refined = first.now.copy()
    refined[11] ^= True  # whatever the engine changes is nobody's stroke
    takeRefined(node, refined, first, undo)
    with pytest.raises(InputError, match=r"Nothing was corrected since the last outline\. Paint"):
        correctionsOf(node)
    again = (4, 4, 4)
    draw(node, paint=again, erase=(2, 3, 4))
    labels = correctionsOf(node).labels
    expected = np.where(first.labels > 0, 3, 0)
    expected[again], expected[2, 3, 4] = 1, 2
    np.testing.assert_array_equal(labels, expected)


def test_what_was_drawn_meanwhile_is_not_replaced(make: Any, undo: SegmentationUndo) -> None:
    node = make()
    draw(node)
    corrections = correctionsOf(node)
    now = draw(node, paint=(5, 5, 5))
    with pytest.raises(InputError, match="was changed while it was being refined; it is as you left it"):
        takeRefined(node, corrections.now.copy(), corrections, undo)
    np.testing.assert_array_equal(maskOf(node), now)


def test_without_its_probability_or_flair_it_is_refused(make: Any, scene: Any) -> None:
    node = make()
    draw(node)
    followEdits(node)
    scene.RemoveNode(partOf(node, PROBABILITY))
    with pytest.raises(InputError, match="can't be refined: it is no result, or its FLAIR or its probability"):
        correctionsOf(node)


def test_a_result_knows_its_inputs_as_they_were_segmented(make: Any, scene: Any) -> None:
    t1 = addVolume(scene, "T1")
    node = make(t1=t1)
    found = resultInputsOf(node)
    assert (found.flair, found.t1, found.t1c) == (flairOf(node), t1, None)
    assert (found.model, found.classifierSha256) == ("lgg", "cd" * 32)
    scene.RemoveNode(t1)
    with pytest.raises(InputError, match=r"The T1 volume that this result was made from is not in the scene any more"):
        resultInputsOf(node)
