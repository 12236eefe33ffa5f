"""Lines of the panel that say something, now and then or always."""

from __future__ import annotations

from typing import Any


def say(label: Any, text: str) -> None:
    """Show a sentence in a label; without one it takes no room."""
    write(label, text)
    label.visible = bool(text)


def write(label: Any, text: str) -> None:
    """Show a sentence in a label of a section's own layout, which keeps the height that all its lines take.

    Slicer's module panel gives its content no more height than it asks for at least, and a label that wraps its lines
    asks for one: what stands around a long sentence would be pressed together.
    """
    label.text = text
    label.setMinimumHeight(0)  # which counts in what it asks for next
    section = label.parentWidget()
    margins = section.layout().contentsMargins()
    room = section.contentsRect().width() - margins.left() - margins.right()
    label.setMinimumHeight(max(0, label.heightForWidth(room)) if text else 0)
