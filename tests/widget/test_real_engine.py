"""The whole way with nothing replaced: real worker, released model, the synthetic study whose tumour is known."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import slicer

from BrainTumorSegLib.scene.provenance import ownSegmentIds
from BrainTumorSegLib.scene.review import setReviewed
from BrainTumorSegLib.scene.segmentVoxels import maskOnVolume, writeMask

REPOSITORY = Path(__file__).parents[2]

pytestmark = pytest.mark.timeout(600)


def add_volume(scene: Any, path: Path, name: str) -> Any:
    """A file as a volume node, as Slicer's reader gives it."""
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(str(path))
    storage.SetCenterImage(False)
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    assert storage.ReadData(node)
    return node


@pytest.fixture
def sample(scene: Any, tmp_path: Path) -> dict[str, Any]:
    """The synthetic study in the scene, and its reference mask."""
    from BrainTumorSegLib.engine.sample.study import write_sample

    paths = write_sample(tmp_path)
    nodes = {name: add_volume(scene, getattr(paths, key), name) for name, key in SEQUENCES}
    return {**nodes, "reference": sitk.GetArrayFromImage(sitk.ReadImage(str(paths.reference))) > 0}


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return 2 * float(np.sum(first & second)) / float(first.sum() + second.sum())


def refine_slice(panel: Any, node: Any, sample: dict[str, Any], index: int, reviewed: int) -> None:
    """What is no tumour is erased in one slice; its neighbours follow, but for one that was reviewed."""
    flair, (segmentId,) = sample["FLAIR"], ownSegmentIds(node)
    found = maskOnVolume(node, segmentId, flair)
    drawn = found.copy()
    drawn[index] &= sample["reference"][index]
    writeMask(node, segmentId, drawn, flair)
    setReviewed(node, reviewed, True)
    panel.logic.refine(node)
    refined = maskOnVolume(node, segmentId, flair)
    assert dice(refined, sample["reference"]) > dice(found, sample["reference"])
    assert not refined[index][found[index] & ~drawn[index]].any()
    np.testing.assert_array_equal(refined[reviewed], drawn[reviewed])
    assert (refined != drawn).any()


SEQUENCES = (("FLAIR", "flair"), ("T1", "t1"), ("T1 post contrast", "t1c"))


@pytest.fixture
def real_panel(shell: Any, module: Any, scene: Any) -> Iterator[Any]:
    panel = shell.open(module.BrainTumorSegWidget)
    yield panel
    panel.cleanup()


def test_a_click_outlines_the_sample_tumour_and_strokes_refine_it(
    shell: Any, sample: dict[str, Any], real_panel: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shell.app, "testingEnabled", lambda: True)
    # Other tests of this session may have imported torch; only a new import would be this module's.
    loaded_before = set(sys.modules)
    real_panel.ui.guessButton.click()
    stages = []
    real_panel.ui.segmentButton.click()

    def note() -> bool:
        text = real_panel.ui.statusLabel.text.split(",")[0]
        if text not in stages:
            stages.append(text)
        return not real_panel.controller.isRunning

    shell.processEventsUntil(note, 300)
    node = real_panel.ui.segmentationSelector.currentNode()
    assert node is not None, real_panel.ui.statusLabel.text
    mask = maskOnVolume(node, ownSegmentIds(node)[0], sample["FLAIR"])
    assert dice(mask, sample["reference"]) > 0.5
    lookedAt = real_panel.logic.explain(node, 16)
    refine_slice(real_panel, node, sample, index=12, reviewed=13)
    assert "Segmenting" in stages
    assert "torch" not in set(sys.modules) - loaded_before
    np.testing.assert_allclose(lookedAt, explanation_of(tmp_path, 16), atol=1e-4)
    real_panel.ui.segmentButton.click()
    shell.processEventsUntil(lambda: not real_panel.controller.isRunning, 300)
    assert "Tumour found" in real_panel.ui.statusLabel.text


def explanation_of(folder: Path, index: int) -> np.ndarray:
    """The engine's own, of the study's files."""
    from BrainTumorSegLib.engine.inference.explanation import explain_slice
    from BrainTumorSegLib.engine.models.bundle import load_bundle
    from BrainTumorSegLib.engine.models.store import ModelStore
    from BrainTumorSegLib.engine.study.reading import StudyPaths, read_study

    paths = StudyPaths(*(folder / f"{key}.nii.gz" for _name, key in SEQUENCES))
    store = ModelStore.default()
    classifier = store.index.needed(None)[1]
    return explain_slice(read_study(paths), load_bundle(store.path(classifier.name)), index)


def test_the_result_is_compared_and_handed_over(
    shell: Any, sample: dict[str, Any], scene: Any, real_panel: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Dice against the known tumour by numpy, HD95 by MONAI; the page tells of the model that made it."""
    import torch  # here, for the test above looks whether the module itself has loaded it
    from monai.metrics import compute_hausdorff_distance

    monkeypatch.setattr(shell.app, "testingEnabled", lambda: True)
    node = real_panel.logic.segment(sample["FLAIR"], sample["T1"], sample["T1 post contrast"])
    known = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "known")
    known.SetReferenceImageGeometryParameterFromVolumeNode(sample["FLAIR"])
    known.CreateDefaultDisplayNodes()
    writeMask(known, known.GetSegmentation().AddEmptySegment(), sample["reference"], sample["FLAIR"])
    found = real_panel.logic.compare(known, node)
    mask = maskOnVolume(node, ownSegmentIds(node)[0], sample["FLAIR"])
    overlap = np.sum(mask & sample["reference"])
    assert found.dice == pytest.approx(2 * overlap / (mask.sum() + sample["reference"].sum()), abs=1e-6)
    first, second = (torch.from_numpy(each)[None, None] for each in (sample["reference"], mask))
    spacing = sample["FLAIR"].GetSpacing()[::-1]
    distance = compute_hausdorff_distance(first, second, include_background=True, percentile=95, spacing=spacing)
    assert found.hd95_mm == pytest.approx(float(distance), rel=1e-4)
    folder = tmp_path / "handed over"
    folder.mkdir()
    report = real_panel.logic.lastJob.report
    paths = real_panel.logic.handOver(node, folder, documents=("pdf", "html"))
    assert [path.suffix for path in paths] == [".html", ".pdf"]
    page = paths[0].read_text(encoding="utf-8")
    assert report["models"]["segmentation"]["sha256"] in page
    assert report["summary"] in page
