"""The combo box of models, whose entries come from the index and not from a type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt
from slicer.i18n import tr as _

from BrainTumorSegLib.engine.models.index import ModelEntry


class ModelChoice:
    """Shows a model's title and keeps its name; "" is the recommended one.

    onChosen: called with the name of a choice. onUnknown: called with a name that this version does not have.
    """

    def __init__(
        self,
        comboBox: Any,
        entries: Sequence[ModelEntry],
        onChosen: Callable[[str], None],
        onUnknown: Callable[[str], None],
    ) -> None:
        self._comboBox, self._onChosen, self._onUnknown = comboBox, onChosen, onUnknown
        self._names = ["", *(entry.name for entry in entries if entry.task == "segmentation")]
        titles = {entry.name: f"{entry.title} {entry.version}" for entry in entries}
        for index, name in enumerate(self._names):
            comboBox.addItem(titles.get(name, _("Recommended")))
            comboBox.setItemData(index, titles.get(name, ""), qt.Qt.ToolTipRole)  # the box may cut it short
        comboBox.connect("currentIndexChanged(int)", self._onIndexChanged)

    def show(self, name: str) -> None:
        """Select a model."""
        if name not in self._names:
            self._onUnknown(name)
            return
        index = self._names.index(name)
        if self._comboBox.currentIndex != index:
            self._comboBox.currentIndex = index

    def _onIndexChanged(self, index: int) -> None:
        if 0 <= index < len(self._names):
            self._onChosen(self._names[index])
