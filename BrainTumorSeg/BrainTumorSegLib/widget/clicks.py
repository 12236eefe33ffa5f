"""What a click runs, so that nothing that goes wrong in it stays unseen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import slicer
from slicer.i18n import tr as _

from BrainTumorSegLib.engine.errors import BrainTumorSegError


def visibly(slot: Callable[..., None]) -> Callable[..., None]:
    """A slot that shows what it raises: PythonQt prints it to a console that few users have open.

    Connect it to a signal that has the slot's own arguments ("clicked()", not "clicked(bool)"): it passes on all it
    gets. Known errors are shown and done with; a defect is shown with its traceback, then raised.
    """

    def run(*arguments: Any) -> None:
        with slicer.util.tryWithErrorDisplay(_("Something unforeseen went wrong.")):
            try:
                slot(*arguments)
            except BrainTumorSegError as error:
                slicer.util.errorDisplay(str(error))

    return run


def connectClicks(ui: Any, slots: Mapping[str, Callable[[], None]]) -> None:
    """Connect buttons of the .ui, by name, with what a click on them does; what it raises is shown."""
    for name, slot in slots.items():
        getattr(ui, name).connect("clicked()", visibly(slot))
