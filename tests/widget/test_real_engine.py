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
from BrainTumorSegLib.scene.segmentVoxels import maskOnVolume

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


SEQUENCES = (("FLAIR", "flair"), ("T1", "t1"), ("T1 post contrast", "t1c"))


@pytest.fixture
def real_panel(shell: Any, module: Any, scene: Any) -> Iterator[Any]:
    panel = shell.open(module.BrainTumorSegWidget)
    yield panel
    panel.cleanup()


def test_a_click_outlines_the_sample_tumour(
    shell: Any, sample: dict[str, Any], real_panel: Any, monkeypatch: pytest.MonkeyPatch
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
    dice = 2 * np.sum(mask & sample["reference"]) / (mask.sum() + sample["reference"].sum())
    assert dice > 0.5
    assert "Segmenting" in stages
    assert "torch" not in set(sys.modules) - loaded_before
    real_panel.ui.segmentButton.click()
    shell.processEventsUntil(lambda: not real_panel.controller.isRunning, 300)
    assert "Tumour found" in real_panel.ui.statusLabel.text
