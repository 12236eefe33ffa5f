"""The button that becomes Cancel, the progress bar and the line of text below them."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Sequence
from typing import Any

from slicer.i18n import tr as _

from BrainTumorSegLib.jobs.activity import Activity, State
from BrainTumorSegLib.widget.clicks import visibly
from BrainTumorSegLib.widget.labels import say, write
from BrainTumorSegLib.widget.timeLeft import TimeLeft
from BrainTumorSegLib.widget.words import runningText

_LINE = 52
"""Characters of a note that fit into a line of the narrowest panel."""


_FIRST_NOTES = 3
"""As many lines as leave room for a result below them in a low window."""


class SegmentPanel:
    """Shows one activity, or what is missing before one can start. ui: the widgets of the .ui by name."""

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._timeLeft = TimeLeft()
        self._notes: tuple[str, ...] = ()
        ui.notesButton.connect("toggled(bool)", visibly(self._showNotes))
        self._showNotes(False)

    def showReady(self, missing: str, needed_gb: float) -> None:
        """No activity: the button starts one, unless something is missing, which its tooltip then says.

        needed_gb: the memory that a start will take, said in the tooltip too.
        """
        self._ui.segmentButton.text = _("Segment tumour")
        self._ui.segmentButton.enabled = not missing
        self._ui.segmentButton.toolTip = missing or _(
            "Outline the tumour in the chosen study. Takes up to {needed:.1f} GB of memory."
        ).format(needed=needed_gb)
        self._ui.progressBar.visible = False

    def showActivity(self, activity: Activity) -> None:
        """A running activity: the button cancels it, bar and text say how far it is."""
        isCancelling = activity.state is State.CANCELLING
        self._ui.segmentButton.text = _("Cancelling...") if isCancelling else _("Cancel")
        self._ui.segmentButton.enabled = not isCancelling
        self._ui.segmentButton.toolTip = _("Stop. The scene stays as it is.")
        self._ui.progressBar.visible = True
        self._ui.progressBar.value = round(100 * activity.fraction)
        self._notes = ()
        self._showNotes(False)
        write(self._ui.statusLabel, runningText(activity, self._secondsLeft(activity)))

    def showText(self, text: str, notes: Sequence[str] = ()) -> None:
        """What came of it, or what went wrong; below it the first notes, a line each, all in full on demand."""
        self._notes = tuple(notes)
        write(self._ui.statusLabel, text)
        self._ui.notesButton.checked = False
        self._showNotes(False)

    def _showNotes(self, isFull: bool) -> None:
        first = [textwrap.shorten(note, _LINE, placeholder="...") for note in self._notes[:_FIRST_NOTES]]
        say(self._ui.notesLabel, "\n".join(self._notes if isFull else first))
        self._ui.notesButton.text = _("Notes in full ({count})").format(count=len(self._notes))
        self._ui.notesButton.visible = tuple(first) != self._notes

    def restartClock(self) -> None:
        """Forget the pace of the activity before."""
        self._timeLeft = TimeLeft()

    def _secondsLeft(self, activity: Activity) -> float | None:
        # Starting and loading have no pace of their own; counting them would make every estimate too long.
        if activity.stage in ("start", "check", "export", "load"):
            return None
        return self._timeLeft.update(activity.fraction, time.monotonic())
