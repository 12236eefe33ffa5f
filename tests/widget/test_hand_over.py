"""A result handed over by clicks: which files come, what they say, and what is said where one can't come."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
import slicer
import vtk
from phantomScene import addVolume, translation

from BrainTumorSegLib.scene.ownNodes import REPORT, SLICE_SCORES, partOf, removePart
from BrainTumorSegLib.scene.provenance import ownSegmentIds
from BrainTumorSegLib.scene.segmentVoxels import maskOnVolume, writeMask
from dicom_series import write_series
from head_phantom import head

pytestmark = pytest.mark.usefixtures("kept_engine")

STEM = "FLAIR_segmentation"
RESULT_FILES = {f"{STEM}{ending}" for ending in (".seg.nrrd", "_lesions.csv", "_slices.csv", ".json")}
BOXES = ("Result", "Pdf", "Html", "Dicom")


@pytest.fixture
def result(segmented: Any) -> Any:
    """The segmentation node after one click."""
    return segmented()


def correct(result: Any, flair: Any) -> None:
    """Take half of the tumour away, as with the eraser."""
    segmentId = ownSegmentIds(result)[0]
    mask = maskOnVolume(result, segmentId, flair)
    mask[:, :, : mask.shape[2] // 2] = False
    writeMask(result, segmentId, mask, flair)


@pytest.fixture
def export(shell: Any, panel: Any, tmp_path: Path) -> Callable[..., Path]:
    """``export("Pdf", "Dicom")`` ticks these alone, chooses a folder, waits for the end and returns the folder."""

    def run(*ticked: str) -> Path:
        folder = tmp_path / "handed over"
        folder.mkdir(exist_ok=True)
        shell.choosePath(folder)
        if not panel.ui.exportButton.checked:
            panel.ui.exportButton.click()
        for name in BOXES:
            getattr(panel.ui, f"handOver{name}CheckBox").checked = name in ticked
        panel.ui.handOverButton.click()
        shell.processEventsUntil(lambda: not panel.controller.isRunning)
        return folder

    return run


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def page(folder: Path) -> str:
    return (folder / f"{STEM}.html").read_text(encoding="utf-8")


def test_whoever_only_segments_sees_no_more_than_the_button(panel: Any, result: Any) -> None:
    assert panel.ui.exportButton.enabled
    assert not panel.ui.handOverWidget.visible
    panel.ui.exportButton.click()
    assert panel.ui.handOverWidget.visible
    assert not panel.ui.correctedByLineEdit.visible, "nobody has corrected it"
    panel.ui.exportButton.click()
    assert not panel.ui.handOverWidget.visible


def test_segmentation_tables_and_provenance_are_written(panel: Any, result: Any, export: Any) -> None:
    folder = export("Result")
    assert names(folder) == RESULT_FILES
    with (folder / f"{STEM}_lesions.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert float(rows[0]["volume_ml"]) == pytest.approx(float(panel.ui.measurementsTable.item(0, 1).text()), abs=0.01)
    provenance = json.loads((folder / f"{STEM}.json").read_text())
    assert provenance["corrected_since"] is False
    assert "threshold" in provenance["segments"][0]["BrainTumorSeg.Model"]
    assert panel.ui.statusLabel.text == "Written into handed over: 4 files."


def test_page_as_pdf_and_html_beside_them(panel: Any, result: Any, export: Any) -> None:
    folder = export("Result", "Pdf", "Html")
    assert names(folder) == RESULT_FILES | {f"{STEM}.pdf", f"{STEM}.html"}
    assert (folder / f"{STEM}.pdf").read_bytes().startswith(b"%PDF")
    volume = panel.ui.measurementsTable.item(0, 1).text()
    assert f"<td>{volume}</td>" in page(folder)
    assert "No one has corrected this outline. 0 of 18 slices reviewed." in page(folder)


def test_a_corrected_result_names_who_corrected_it_and_is_measured_as_it_is(
    shell: Any, panel: Any, result: Any, study: dict[str, Any], export: Any
) -> None:
    before = panel.ui.measurementsTable.item(0, 1).text()
    correct(result, study["FLAIR"])
    shell.processEventsUntil(lambda: panel.ui.measurementsTable.item(0, 1).text() != before)
    panel.ui.exportButton.click()
    assert panel.ui.correctedByLineEdit.visible
    panel.ui.correctedByLineEdit.text = "Jane Doe"
    folder = export("Html")
    assert "Corrected by Jane Doe." in page(folder)
    assert f"<td>{panel.ui.measurementsTable.item(0, 1).text()}</td>" in page(folder)


def test_a_name_may_be_left_out(panel: Any, result: Any, study: dict[str, Any], export: Any) -> None:
    correct(result, study["FLAIR"])
    panel.ui.correctedByLineEdit.text = ""
    assert "Corrected by somebody who gave no name." in page(export("Html"))


def test_the_page_says_the_threshold_that_the_slider_chose(
    shell: Any, panel: Any, result: Any, study: dict[str, Any], export: Any
) -> None:
    panel.ui.recommendedCheckBox.checked = False
    panel.ui.thresholdSlider.value = 0.4
    assert "threshold 0.4," in page(export("Html"))


def test_the_3d_view_is_on_the_page(
    shell: Any, panel: Any, result: Any, export: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    window, renderer = vtk.vtkRenderWindow(), vtk.vtkRenderer()
    window.SetOffScreenRendering(True)
    window.SetSize(300, 200)
    window.AddRenderer(renderer)
    renderer.SetBackground(0.5, 0.5, 1.0)
    view = SimpleNamespace(visible=True, forceRender=window.Render, renderWindow=lambda: window)
    manager = SimpleNamespace(threeDViewCount=1, threeDWidget=lambda _n: SimpleNamespace(threeDView=lambda: view))
    monkeypatch.setattr(shell.app, "layoutManager", lambda: manager)
    assert "The tumour in 3D" in page(export("Html"))
    panel.ui.show3DButton.click()
    assert "The tumour in 3D" not in page(export("Html")), "it was switched off"


def test_without_dicom_the_box_says_why_and_the_rest_goes_on(panel: Any, result: Any, export: Any) -> None:
    panel.ui.exportButton.click()
    assert not panel.ui.handOverDicomCheckBox.enabled
    assert "was not loaded from DICOM" in panel.ui.handOverDicomCheckBox.toolTip
    assert panel.ui.handOverPdfCheckBox.enabled


class Database:
    """slicer.dicomDatabase as far as it is asked. files: by instance UID."""

    isOpen = True

    def __init__(self, files: dict[str, Path]) -> None:
        self.files, self.asked = files, 0

    def fileForInstance(self, uid: str) -> str:
        self.asked += 1
        return str(self.files.get(uid, ""))

    def instanceValue(self, _uid: str, _tag: str) -> str:
        return ""


@pytest.fixture
def dicom_result(
    shell: Any, panel: Any, click: Any, scene: Any, engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Any, Any, Database]:
    """A FLAIR as Slicer's DICOM module loads it, its result, and the database."""
    image = head((40, 44, 12), (4.4, 4.4, 11.0))
    write_series(tmp_path / "series", image, SeriesDescription="FLAIR")
    files = {str(pydicom.dcmread(path).SOPInstanceUID): path for path in sorted((tmp_path / "series").iterdir())}
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(str(next(iter(files.values()))))
    storage.ResetFileNameList()
    for path in files.values():
        storage.AddFileName(str(path))
    storage.SetCenterImage(False)
    flair = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "FLAIR")
    assert storage.ReadData(flair)
    flair.CreateDefaultDisplayNodes()
    flair.SetAttribute("DICOM.instanceUIDs", " ".join(files))
    database = Database(files)
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    engine(stage_s=0)
    panel.ui.flairSelector.setCurrentNode(flair)
    click(panel)
    return panel.ui.segmentationSelector.currentNode(), flair, database


def dicom_voxels(folder: Path, flair: Any) -> np.ndarray:
    """The mask [K, J, I] by highdicom, laid on the volume node's voxels by their places in the patient."""
    volume = highdicom.seg.segread(folder / f"{STEM}.dcm").get_volume(combine_segments=True)
    matrix = vtk.vtkMatrix4x4()
    flair.GetIJKToRASMatrix(matrix)
    to_lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ slicer.util.arrayFromVTKMatrix(matrix)
    found = np.zeros(slicer.util.arrayFromVolume(flair).shape, bool)
    marked = np.argwhere(volume.array > 0)
    places = np.column_stack([marked, np.ones(len(marked))]) @ volume.affine.T
    ijk = np.rint((places @ np.linalg.inv(to_lps).T)[:, :3]).astype(int)
    found[tuple(ijk[:, ::-1].T)] = True
    assert len(np.unique(ijk, axis=0)) == len(marked)
    return found


@pytest.mark.parametrize("moved", [False, True], ids=["as scanned", "under a transform"])
def test_dicom_segmentation_has_the_same_voxels(
    panel: Any, scene: Any, dicom_result: tuple[Any, Any, Database], export: Any, moved: bool
) -> None:
    result, flair, _database = dicom_result
    if moved:
        transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(translation((10.0, -20.0, 30.0))))
        flair.SetAndObserveTransformNodeID(transform.GetID())
        result.SetAndObserveTransformNodeID(transform.GetID())
    folder = export("Dicom", "Html")
    assert names(folder) == {f"{STEM}.dcm", f"{STEM}.html"}, panel.ui.statusLabel.text
    expected = maskOnVolume(result, ownSegmentIds(result)[0], flair)
    assert expected.any()
    np.testing.assert_array_equal(dicom_voxels(folder, flair), expected)
    dataset = pydicom.dcmread(folder / f"{STEM}.dcm")
    assert dataset.SegmentSequence[0].SegmentAlgorithmType == "AUTOMATIC"


def test_corrected_dicom_segmentation_is_semiautomatic(
    panel: Any, dicom_result: tuple[Any, Any, Database], export: Any
) -> None:
    result, flair, _database = dicom_result
    correct(result, flair)
    panel.ui.correctedByLineEdit.text = "Jane Doe"
    folder = export("Dicom")
    dataset = pydicom.dcmread(folder / f"{STEM}.dcm")
    assert dataset.SegmentSequence[0].SegmentAlgorithmType == "SEMIAUTOMATIC"
    assert dataset.ContentCreatorName == "Jane Doe^"
    np.testing.assert_array_equal(dicom_voxels(folder, flair), maskOnVolume(result, ownSegmentIds(result)[0], flair))


@pytest.mark.parametrize("lost", ["files", "database"])
def test_where_the_dicom_files_are_gone_the_box_says_so(
    panel: Any, dicom_result: tuple[Any, Any, Database], tmp_path: Path, lost: str
) -> None:
    _result, _flair, database = dicom_result
    if lost == "files":
        next(iter(database.files.values())).unlink()
    else:
        database.isOpen = False
    panel.ui.exportButton.click()
    expected = {"files": "1 of 12 DICOM files of FLAIR are not", "database": "DICOM database is not open"}[lost]
    assert expected in panel.ui.handOverDicomCheckBox.toolTip
    assert not panel.ui.handOverDicomCheckBox.enabled


def test_the_files_are_not_looked_for_at_every_change_of_the_panel(
    panel: Any, dicom_result: tuple[Any, Any, Database]
) -> None:
    _result, _flair, database = dicom_result
    panel.ui.exportButton.click()
    asked = database.asked
    panel.ui.ttaCheckBox.click()
    assert database.asked == asked > 0


def test_files_that_vanish_meanwhile_cost_the_dicom_segmentation_alone(
    panel: Any, dicom_result: tuple[Any, Any, Database], export: Any, tmp_path: Path
) -> None:
    _result, _flair, database = dicom_result
    panel.ui.exportButton.click()
    next(iter(database.files.values())).unlink()
    folder = export("Result", "Dicom")
    assert names(folder) == RESULT_FILES
    assert "No DICOM segmentation was written" in panel.ui.notesLabel.text


def test_a_result_without_its_report_has_no_page_and_says_why(panel: Any, result: Any, export: Any) -> None:
    removePart(result, REPORT)
    panel.ui.exportButton.click()
    assert not panel.ui.handOverPdfCheckBox.enabled
    assert "not in the scene any more" in panel.ui.handOverPdfCheckBox.toolTip
    assert names(export("Result")) == RESULT_FILES


def test_without_the_table_of_slices_nothing_is_written(panel: Any, result: Any, export: Any) -> None:
    removePart(result, SLICE_SCORES)
    assert names(export("Result", "Html")) == set()
    assert "table of lesions or of slices was deleted" in panel.ui.statusLabel.text


def test_a_folder_that_is_not_there_is_said(shell: Any, panel: Any, result: Any, tmp_path: Path) -> None:
    panel.ui.exportButton.click()
    shell.choosePath(tmp_path / "missing")
    panel.ui.handOverButton.click()
    shell.processEventsUntil(lambda: not panel.controller.isRunning)
    assert "does not exist" in panel.ui.statusLabel.text


def test_nothing_ticked_can_not_be_written(panel: Any, result: Any) -> None:
    panel.ui.exportButton.click()
    panel.ui.handOverResultCheckBox.checked = False
    assert not panel.ui.handOverButton.enabled


def test_it_can_be_cancelled_and_leaves_nothing(
    shell: Any, panel: Any, result: Any, tmp_path: Path, engine: Any
) -> None:
    panel.ui.exportButton.click()
    panel.ui.handOverPdfCheckBox.checked = True
    shell.choosePath(tmp_path)
    panel.ui.handOverButton.click()
    assert panel.ui.segmentButton.text == "Cancel"
    panel.ui.segmentButton.click()
    shell.processEventsUntil(lambda: not panel.controller.isRunning)
    assert "Cancelled" in panel.ui.statusLabel.text
    assert list(tmp_path.iterdir()) == []
    assert not list(Path(shell.app.temporaryPath).glob("BrainTumorSeg-*")), "volumes are not left behind"


def test_the_report_outlives_save_and_load_and_is_part_of_undo(
    shell: Any, panel: Any, click: Any, result: Any, export: Any, scene: Any, tmp_path: Path
) -> None:
    first = partOf(result, REPORT).GetText()
    panel.ui.ttaCheckBox.click()
    click(panel)
    assert partOf(result, REPORT).GetText() != first
    panel.ui.undoButton.click()
    assert partOf(result, REPORT).GetText() == first
    assert scene.WriteToMRB(str(tmp_path / "study.mrb"), None)
    scene.Clear(False)
    shell.app.processEvents()
    assert scene.ReadFromMRB(str(tmp_path / "study.mrb"), True)
    shell.app.processEvents()
    panel.initializeParameterNode()
    loaded = panel.ui.segmentationSelector.currentNode()
    assert partOf(loaded, REPORT).GetText() == first
    assert partOf(loaded, REPORT).GetHideFromEditors()
    assert "No one has corrected this outline." in page(export("Html"))


def test_from_the_console(shell: Any, panel: Any, result: Any, study: dict[str, Any], tmp_path: Path) -> None:
    paths = panel.logic.handOver(result, tmp_path, documents=("result", "html"))
    assert {path.name for path in paths} == RESULT_FILES | {f"{STEM}.html"}
    with pytest.raises(Exception, match="'pfd' can't be handed over.*Choose from result, pdf, html, dicom"):
        panel.logic.handOver(result, tmp_path, documents=("pfd",))
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "reader")
    with pytest.raises(Exception, match="no result of this module"):
        panel.logic.handOver(other, tmp_path, documents=("html",))


def test_a_name_in_slicers_settings_is_offered(shell: Any, module: Any, slow_engine: None) -> None:
    slicer.applicationLogic.GetUserInformation().SetName("Jane Doe")
    panel = shell.open(module.BrainTumorSegWidget)
    assert panel.ui.correctedByLineEdit.text == "Jane Doe"
    panel.cleanup()


def test_another_result_folds_what_was_open(panel: Any, result: Any, scene: Any) -> None:
    panel.ui.exportButton.click()
    addVolume(scene, "other")
    panel.ui.segmentationSelector.setCurrentNode(None)
    assert not panel.ui.handOverWidget.visible
    assert not panel.ui.exportButton.enabled
