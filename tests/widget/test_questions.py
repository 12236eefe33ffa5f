"""Whatever is asked: a key pressed without reading does no harm."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from PySide6 import QtCore

LIBRARY = Path(__file__).parents[2] / "BrainTumorSeg" / "BrainTumorSegLib"


@pytest.mark.parametrize(
    ("answer", "isYes"),
    [(True, True), (False, False), (QtCore.Qt.Key.Key_Return, False), (QtCore.Qt.Key.Key_Escape, False), (None, False)],
    ids=["Yes", "No", "Enter", "Esc", "closed"],
)
def test_only_a_click_on_yes_is_a_yes(
    shell: Any, module: Any, answer: bool | QtCore.Qt.Key | None, isYes: bool
) -> None:
    from BrainTumorSegLib.application.questions import isAgreed

    shell.dialogs.answer = answer
    assert isAgreed("Delete everything?", "Delete") is isYes
    assert shell.dialogs.shown == ["Delete everything?"]


def test_nobody_is_asked_while_slicer_tests_itself(shell: Any, module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from BrainTumorSegLib.application.questions import isAgreed

    monkeypatch.setattr(shell.app, "testingEnabled", lambda: True)
    assert not isAgreed("Delete everything?", "Delete")
    assert shell.dialogs.shown == []


def test_every_question_of_the_module_is_asked_this_way() -> None:
    """Slicer's own questions take Enter for a Yes."""
    others = {path.name: path.read_text(encoding="utf-8") for path in LIBRARY.rglob("*.py")}
    del others["questions.py"]
    assert not [name for name, text in others.items() if re.search("confirm(YesNo|OkCancel)Display|QMessageBox", text)]
