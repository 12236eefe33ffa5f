"""Keys for the review, at work only while the module is open.

None of them is one of Slicer's own: its slice views use b, f, g, r, t, v, brackets and arrows, its 3D views + and -,
its windows only keys with Ctrl or Alt, and the Segment Editor's digits, q, w, y, z and i work in that module alone.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping

import qt
import slicer

from BrainTumorSegLib.widget.clicks import visibly


class Key(enum.Enum):
    """What is done by which key; the tooltips in the .ui and the module's help name them too."""

    NEXT = "N"
    PREVIOUS = "P"
    REVIEWED = "X"
    OUTLINE = "O"
    LOWER = ","
    HIGHER = "."


class Shortcuts:
    """The keys over Slicer's main window, off until the module is opened; none where there is no main window."""

    def __init__(self, slots: Mapping[Key, Callable[[], None]]) -> None:
        window = slicer.util.mainWindow()
        self.byKey = {key: _shortcut(window, key, slot) for key, slot in slots.items()} if window else {}

    def setEnabled(self, isEnabled: bool) -> None:
        """Switch all of them on or off."""
        for shortcut in self.byKey.values():
            shortcut.setEnabled(isEnabled)

    def remove(self) -> None:
        """Take them from the window, which outlives the panel."""
        for shortcut in self.byKey.values():
            shortcut.setEnabled(False)
            shortcut.setParent(None)
        self.byKey = {}


def _shortcut(window: qt.QWidget, key: Key, slot: Callable[[], None]) -> qt.QShortcut:
    shortcut = qt.QShortcut(window)
    shortcut.setKey(qt.QKeySequence(key.value))
    shortcut.setEnabled(False)
    shortcut.connect("activated()", visibly(slot))
    return shortcut
