"""What is exported of a result, unfolded by "Export...": files for programs, a page for people, DICOM."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

from BrainTumorSegLib.application.handOver import userName
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.jobs.handOverJob import Document
from BrainTumorSegLib.scene.comparisonExport import imageOf
from BrainTumorSegLib.scene.corrections import isCorrected
from BrainTumorSegLib.scene.dicomFiles import dicomFilesOf
from BrainTumorSegLib.scene.ownNodes import LESIONS, partOf
from BrainTumorSegLib.scene.resultExport import whyNotOutlined
from BrainTumorSegLib.widget.clicks import connectClicks, visibly

Start = Callable[[Any, Path, tuple[Document, ...], str], None]
"""Begins to hand over a segmentation into a folder: the documents, and who corrected it."""


class HandOverPanel:
    """Offers what can be handed over of the shown result, and why not what can't. ui: the .ui's widgets by name."""

    def __init__(self, ui: Any, start: Start) -> None:
        self._ui, self._start = ui, start
        self._node: Any = None
        self._whyNoDicom = ""
        self._boxes = {
            Document.RESULT: ui.handOverResultCheckBox,
            Document.PDF: ui.handOverPdfCheckBox,
            Document.HTML: ui.handOverHtmlCheckBox,
            Document.DICOM: ui.handOverDicomCheckBox,
        }
        self._tips = {document: box.toolTip for document, box in self._boxes.items()}
        ui.correctedByLineEdit.text = userName()
        ui.exportButton.connect("toggled(bool)", visibly(lambda _isUnfolded: self._unfold()))
        for box in self._boxes.values():
            box.connect("toggled(bool)", visibly(lambda _isTicked: self._enableButton()))
        connectClicks(ui, {"handOverButton": self.onWrite})

    def show(self, segmentationNode: Any) -> None:
        """The result that can be handed over; what was unfolded for another one is folded."""
        isResult = segmentationNode is not None and partOf(segmentationNode, LESIONS) is not None
        node = segmentationNode if isResult else None
        if node is not self._node:
            self._ui.exportButton.checked = False
        self._node = node
        self._ui.exportButton.enabled = node is not None
        self._refresh()

    def onWrite(self) -> None:
        """Ask for a folder, and hand over what is ticked."""
        folder = qt.QFileDialog.getExistingDirectory(None, _("Folder for the results"))
        if folder:
            self._start(self._node, Path(folder), self._ticked(), self._ui.correctedByLineEdit.text)

    def _unfold(self) -> None:
        """Fold or unfold. The DICOM files are looked for once, not at every change of the panel."""
        if self._ui.exportButton.checked:
            self._whyNoDicom = self._dicom()
        self._refresh()

    def _refresh(self) -> None:
        isUnfolded = self._node is not None and bool(self._ui.exportButton.checked)
        self._ui.handOverWidget.visible = isUnfolded
        if not isUnfolded:
            return
        page = whyNotOutlined(self._node)
        reasons = {Document.PDF: page, Document.HTML: page, Document.DICOM: page or self._whyNoDicom}
        for document, reason in reasons.items():
            box = self._boxes[document]
            box.enabled = not reason
            box.checked = bool(box.checked) and not reason
            box.toolTip = reason or self._tips[document]
        self._ui.correctedByLabel.visible = self._ui.correctedByLineEdit.visible = isCorrected(self._node)
        self._enableButton()

    def _dicom(self) -> str:
        """Why there can't be a DICOM segmentation; "" where there can."""
        try:
            dicomFilesOf(imageOf(self._node))
        except InputError as error:
            return str(error)
        return ""

    def _ticked(self) -> tuple[Document, ...]:
        return tuple(document for document, box in self._boxes.items() if box.checked)

    def _enableButton(self) -> None:
        self._ui.handOverButton.enabled = bool(self._ticked())
