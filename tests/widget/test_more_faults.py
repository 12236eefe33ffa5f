"""Faults of the computer, met through the panel by real processes on real disks: a message, then a click that works."""

from __future__ import annotations

import resource
import site
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from installed_extension import MODEL, MODEL_FILE, fill, install, mounted
from slow_engine import STAGES

MODULE = Path(__file__).parents[2] / "BrainTumorSeg"

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an installed module; a mirror with its model is beside it."""
    return install(MODULE, tmp_path_factory.mktemp("extension"))


@pytest.fixture
def home(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this user's models are: whole so far. The children run the installed module and use its mirror."""
    folder = tmp_path / "home"
    (folder / "models").mkdir(parents=True)
    (folder / "models" / MODEL_FILE).write_bytes((installed.parent / "mirror" / MODEL_FILE).read_bytes())
    monkeypatch.setenv("BRAINTUMORSEG_HOME", str(folder))
    monkeypatch.setenv("BRAINTUMORSEG_MIRROR", str(installed.parent / "mirror"))
    monkeypatch.setattr("BrainTumorSegLib.client.slicerPython.MODULE_FOLDER", installed)
    return folder


@pytest.fixture
def open_panel(
    shell: Any, module: Any, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], Any]]:
    """Opens the panel over the real engine and the installed index."""
    from BrainTumorSegLib.engine.models.index import read_index

    entries = read_index(installed / "Resources" / "Models.json").models
    monkeypatch.setattr(module.BrainTumorSegWidget, "_modelEntries", lambda _self: entries)
    monkeypatch.setattr("BrainTumorSegLib.widget.computerPanel.missingPackages", lambda _path: ())
    opened = []

    def open_one() -> Any:
        opened.append(shell.open(module.BrainTumorSegWidget))
        return opened[-1]

    yield open_one
    for each in opened:
        each.cleanup()


@pytest.fixture
def segment(shell: Any) -> Callable[[Any], str]:
    """``segment(panel)`` clicks, waits for the end and returns what the panel says."""

    def click(panel: Any) -> str:
        assert panel.ui.segmentButton.enabled, panel.ui.segmentButton.toolTip
        panel.ui.segmentButton.click()
        shell.processEventsUntil(lambda: not panel.controller.isRunning, 120)
        assert panel.ui.segmentButton.text == "Segment tumour"
        return str(panel.ui.statusLabel.text)

    return click


@pytest.fixture
def study(study: dict[str, Any]) -> dict[str, Any]:
    """The ball in a head that is not of one grey: the real engine refuses an image without contrast."""
    rng = np.random.default_rng(0)
    for node in study.values():
        voxels = slicer.util.arrayFromVolume(node)
        voxels += rng.integers(0, 40, voxels.shape).astype(voxels.dtype)
        slicer.util.arrayFromVolumeModified(node)
    return study


def damage(path: Path) -> None:
    """Change one byte in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(bytes(content))


def test_a_damaged_model_is_named_with_its_checksum_and_mended_by_the_next_click(
    shell: Any, open_panel: Any, home: Path, segment: Any, study: dict[str, Any]
) -> None:
    panel = open_panel()
    panel.controller._areModelsKnown = True  # it was whole when the panel looked
    damage(home / "models" / MODEL_FILE)
    said = segment(panel)
    for part in (f"Model {MODEL} failed its check", "SHA-256", "click 'Segment tumour' again", "'Import file...'"):
        assert part in said
    assert panel.ui.segmentationSelector.currentNode() is None
    assert "Tumour found" in segment(panel)
    assert "is damaged" in shell.dialogs.shown[-1]


def test_a_damaged_model_that_is_not_replaced_is_not_used(
    shell: Any, open_panel: Any, home: Path, segment: Any, study: dict[str, Any]
) -> None:
    damage(home / "models" / MODEL_FILE)
    panel = open_panel()
    shell.dialogs.answer = False
    assert segment(panel) == "Nothing was segmented: the model on this computer is damaged."
    assert "is damaged" in shell.dialogs.shown[-1]
    assert panel.logic.lastJob is None


@pytest.fixture
def packages(tmp_path: Path, module: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the children's Python has installed: all that this one has, but no torch until it is linked there."""
    folder = tmp_path / "packages"
    folder.mkdir()
    for path in Path(site.getsitepackages()[0]).iterdir():
        if path.suffix != ".pth" and not path.name.startswith(("torch", "functorch")):
            (folder / path.name).symlink_to(path)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    # -S: this Python's own site-packages stay out.
    command = [sys.executable, "-S", "-m", "BrainTumorSegLib", "worker"]
    monkeypatch.setattr(module, "engineCommand", lambda *_: command)
    return folder


def test_without_torch_the_message_says_how_to_install_it_also_offline(
    open_panel: Any, home: Path, segment: Any, study: dict[str, Any], packages: Path
) -> None:
    panel = open_panel()
    said = segment(panel)
    assert "torch is not installed" in said
    assert "pip install 'torch>=" in said
    assert "'Install from folder...'" in said
    for path in Path(site.getsitepackages()[0]).glob("torch*"):
        (packages / path.name).symlink_to(path)
    assert "Tumour found" in segment(panel)


def test_memory_that_runs_out_is_said_and_the_next_click_takes_a_fresh_process(
    open_panel: Any, home: Path, segment: Any, study: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system itself refuses the real engine memory, by a limit set on its process from outside.

    Where the refusal meets native code that doesn't check, the process dies of it or hangs instead of saying so: then
    the panel must end it and name memory as the likely cause.
    """
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "65536")  # freed arrays go back to the system, so the limit counts
    panel = open_panel()
    assert "Tumour found" in segment(panel)
    pid = panel.logic.session.process.pid
    used_bytes = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
    resource.prlimit(pid, resource.RLIMIT_AS, (used_bytes, resource.RLIM_INFINITY))
    with monkeypatch.context() as impatient:
        impatient.setattr("BrainTumorSegLib.client.session.ENGINE_PATIENCE_S", 20.0)
        said = segment(panel)
    ends = ("not enough memory", "The engine's process ended unexpectedly", "The engine has not answered")
    assert any(end in said for end in ends)
    assert "memory" in said
    assert "close other programs" in said.lower()
    assert panel.ui.segmentationSelector.currentNode() is not None, "the result before stays"
    assert "Tumour found" in segment(panel)
    assert panel.logic.session.process.pid != pid


@pytest.fixture
def chosen(panel: Any, study: dict[str, Any]) -> dict[str, Any]:
    """The study, chosen in the panel over the slow engine."""
    panel.ui.guessButton.click()
    return study


def test_a_full_disk_for_the_volumes_is_said(
    shell: Any, panel: Any, click: Any, chosen: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mounted(tmp_path / "disk", "size=400k") as disk:
        monkeypatch.setattr(shell.app, "temporaryPath", str(disk))
        filler = fill(disk, leave_bytes=8192)
        click(panel)
        assert "can't be written for the engine" in panel.ui.statusLabel.text
        assert "Free space" in panel.ui.statusLabel.text
        assert panel.ui.segmentationSelector.currentNode() is None
        filler.unlink()
        click(panel)
        assert "Tumour found" in panel.ui.statusLabel.text


def test_a_full_disk_for_the_result_is_said(
    shell: Any, panel: Any, click: Any, chosen: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mounted(tmp_path / "disk", "size=400k") as disk:
        monkeypatch.setattr(shell.app, "temporaryPath", str(disk))
        filler = fill(disk, leave_bytes=120_000)  # three volumes take 70 kB, and the rest is not enough
        click(panel)
        assert "the disk is full" in panel.ui.statusLabel.text
        assert panel.ui.segmentationSelector.currentNode() is None
        assert [path.name for path in disk.iterdir()] == ["filler"]
        filler.unlink()
        click(panel)
        assert "Tumour found" in panel.ui.statusLabel.text


def test_a_temporary_folder_without_write_permission_is_said(
    shell: Any, panel: Any, click: Any, chosen: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = shell.app.temporaryPath
    with mounted(tmp_path / "disk", "ro") as disk:
        monkeypatch.setattr(shell.app, "temporaryPath", str(disk))
        click(panel)
        assert "temporary folder can't be written to: Read-only file system" in panel.ui.statusLabel.text
        assert "Application Settings" in panel.ui.statusLabel.text
    monkeypatch.setattr(shell.app, "temporaryPath", usual)
    click(panel)
    assert "Tumour found" in panel.ui.statusLabel.text


def test_a_folder_for_models_that_refuses_or_is_full_is_said(
    open_panel: Any, home: Path, segment: Any, study: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mounted(tmp_path / "locked", "ro") as locked, mounted(tmp_path / "full", "size=1m") as full:
        monkeypatch.setenv("BRAINTUMORSEG_HOME", str(locked))
        panel = open_panel()
        said = segment(panel)
        assert "no permission (Read-only file system)" in said
        monkeypatch.setenv("BRAINTUMORSEG_HOME", str(full))
        said = segment(panel)
        for part in ("The model needs", "are free in"):
            assert part in said
        assert "BRAINTUMORSEG_HOME" not in said, "a clinician sets no variables"
    monkeypatch.setenv("BRAINTUMORSEG_HOME", str(home))
    assert "Tumour found" in segment(panel)


def test_after_a_death_at_any_stage_the_next_click_works(
    panel: Any, click: Any, chosen: dict[str, Any], engine: Any
) -> None:
    """Each click gets one stage further than the one before, in a process of its own, and the last to the end."""
    for stage in STAGES:
        engine(die_at=stage, stage_s=0)
        click(panel)
        assert "exit code 9" in panel.ui.statusLabel.text
        assert panel.logic.lastJob.stage == stage
    engine(stage_s=0)
    click(panel)
    assert "Tumour found" in panel.ui.statusLabel.text


@pytest.mark.parametrize(
    ("className", "kind"), [("vtkMRMLLabelMapVolumeNode", "labelmap"), ("vtkMRMLVectorVolumeNode", "vector or colour")]
)
def test_an_unsupported_type_of_volume_is_refused_before_the_click(
    panel: Any, click: Any, chosen: dict[str, Any], scene: Any, className: str, kind: str
) -> None:
    other = scene.AddNewNodeByClass(className, "Other")
    flair = panel.ui.flairSelector.currentNode()
    panel.controller.parameters.flair = other
    assert not panel.ui.segmentButton.enabled
    assert kind in panel.ui.segmentButton.toolTip
    assert "Choose a scalar volume as FLAIR" in panel.ui.segmentButton.toolTip
    panel.controller.parameters.flair = flair
    click(panel)
    assert "Tumour found" in panel.ui.statusLabel.text


def test_colour_in_a_scalar_volume_is_refused_before_the_click(
    panel: Any, click: Any, chosen: dict[str, Any], scene: Any
) -> None:
    import vtk

    picture = vtk.vtkImageData()
    picture.SetDimensions(26, 24, 18)
    picture.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Screenshot")
    node.SetAndObserveImageData(picture)
    panel.ui.flairSelector.setCurrentNode(node)
    assert not panel.ui.segmentButton.enabled
    assert "3 values per voxel" in panel.ui.segmentButton.toolTip


def test_a_localiser_is_refused_by_the_engine_in_words(
    panel: Any, click: Any, chosen: dict[str, Any], scene: Any
) -> None:
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Localiser")
    slicer.util.updateVolumeFromArray(node, np.arange(2.0 * 64 * 64).reshape(2, 64, 64))
    flair = panel.ui.flairSelector.currentNode()
    panel.ui.flairSelector.setCurrentNode(node)
    click(panel)
    assert "at least 3 slices" in panel.ui.statusLabel.text
    panel.ui.flairSelector.setCurrentNode(flair)
    click(panel)
    assert "Tumour found" in panel.ui.statusLabel.text


def test_a_volume_that_is_bent_while_the_job_runs_takes_the_result_along_and_no_further_click(
    shell: Any, panel: Any, click: Any, chosen: dict[str, Any], engine: Any, scene: Any
) -> None:
    engine(stage_s=0.1)
    panel.ui.segmentButton.click()
    shell.processEventsUntil(lambda: panel.ui.progressBar.value > 0)
    bent = scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode", "Bent")
    chosen["FLAIR"].SetAndObserveTransformNodeID(bent.GetID())
    shell.processEventsUntil(lambda: not panel.controller.isRunning)
    # The voxels were computed before; under the same transform they lie on FLAIR's as they should.
    assert panel.ui.segmentationSelector.currentNode().GetParentTransformNode() is bent
    panel.controller.update()
    assert not panel.ui.segmentButton.enabled
    assert "Harden the transform" in panel.ui.segmentButton.toolTip
    chosen["FLAIR"].SetAndObserveTransformNodeID(None)
    panel.controller.update()
    click(panel)
    assert "The segmentation lies under a non-linear transform" in panel.ui.statusLabel.text
    panel.ui.segmentationSelector.currentNode().SetAndObserveTransformNodeID(None)
    click(panel)
    assert "Tumour found" in panel.ui.statusLabel.text


def test_a_saved_and_reopened_scene_shows_its_result_and_takes_the_next(
    panel: Any, click: Any, chosen: dict[str, Any], scene: Any, tmp_path: Path
) -> None:
    from BrainTumorSegLib.scene.provenance import ownSegmentIds, readProvenance

    click(panel)
    node = panel.ui.segmentationSelector.currentNode()
    before = readProvenance(node.GetSegmentation().GetSegment(ownSegmentIds(node)[0]))
    assert scene.WriteToMRB(str(tmp_path / "study.mrb"))
    scene.Clear(0)
    scene.SetURL(str(tmp_path / "study.mrb"))
    assert scene.ReadFromMRB(str(tmp_path / "study.mrb"), True)
    panel.initializeParameterNode()
    reloaded = panel.ui.segmentationSelector.currentNode()
    assert readProvenance(reloaded.GetSegmentation().GetSegment(ownSegmentIds(reloaded)[0])) == before
    assert panel.ui.measurementsTable.item(1, 0).text() == "All"
    click(panel)
    assert "Tumour found" in panel.ui.statusLabel.text
    assert panel.ui.segmentationSelector.currentNode() is reloaded
