"""Room for a result in a low window: what was chosen is folded away, and the panel moves to what was found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import qt

from BrainTumorSegLib.widget.clicks import visibly

LAID_OUT_MS = 100
"""How long Qt takes at most to lay the panel out anew: sections within sections take several turns."""


class FoldedChoices:
    """Folds sections once a result is there; one that the user has opened since stays open.

    sections: collapsible buttons that are open at first.
    """

    def __init__(self, sections: Sequence[Any]) -> None:
        self._sections = tuple(sections)
        self._openedByHand: set[Any] = set()
        self._isOwn = False
        for section in self._sections:
            section.connect("contentsCollapsed(bool)", visibly(lambda isFolded, s=section: self._onFolded(s, isFolded)))

    def fold(self) -> None:
        """A result is there."""
        self._set([each for each in self._sections if each not in self._openedByHand], isFolded=True)

    def unfold(self) -> None:
        """There is something to choose again."""
        self._openedByHand.clear()
        self._set(self._sections, isFolded=False)

    def _set(self, sections: Sequence[Any], isFolded: bool) -> None:
        self._isOwn = True
        for section in sections:
            if section.collapsed != isFolded:
                section.collapsed = isFolded
        self._isOwn = False

    def _onFolded(self, section: Any, isFolded: bool) -> None:
        if self._isOwn:
            return
        if isFolded:
            self._openedByHand.discard(section)
        else:
            self._openedByHand.add(section)


def bringIntoView(first: Any, below: Any) -> None:
    """Scroll until all above ``below`` can be seen, or else until ``first`` is at the top; once all is laid out.

    first, below: widgets one above the other in Slicer's module panel, which scrolls; elsewhere nothing happens.
    """
    qt.QTimer.singleShot(LAID_OUT_MS, visibly(lambda: _scroll(first, below)))


def _scroll(first: Any, below: Any) -> None:
    area = _scrollAreaOf(first)
    if area is not None:
        top, end = (each.mapTo(area.widget(), qt.QPoint(0, 0)).y() for each in (first, below))
        area.verticalScrollBar().setValue(min(top, end - area.viewport().contentsRect().height()))


def _scrollAreaOf(widget: Any) -> Any:
    above = widget.parentWidget()
    while above is not None and not above.inherits("QScrollArea"):
        above = above.parentWidget()
    return above
