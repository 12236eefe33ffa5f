"""Lines of the panel that say something now and then."""

from __future__ import annotations

from typing import Any


def say(label: Any, text: str) -> None:
    """Show a sentence in a label; without one it takes no room."""
    label.text = text
    label.visible = bool(text)
