"""Questions to the user, each with a harmless answer that needs no care: Enter, Esc and closing all mean No."""

from __future__ import annotations

import logging

import qt
import slicer

logger = logging.getLogger(__name__)


def isAgreed(question: str, title: str) -> bool:
    """Ask, and return whether the user chose Yes. While Slicer tests itself nobody can answer: that is a No.

    Not slicer.util.confirmYesNoDisplay: its Enter means Yes, and it has no way to say otherwise.
    """
    if slicer.app.testingEnabled():
        logger.info("Testing mode: answered No to: %s", title)
        return False
    buttons = qt.QMessageBox.Yes | qt.QMessageBox.No
    answer = qt.QMessageBox.question(slicer.util.mainWindow(), title, question, buttons, qt.QMessageBox.No)
    return bool(answer == qt.QMessageBox.Yes)
