"""The packages that measure in Slicer's process, loaded before anybody waits for them."""

from __future__ import annotations

import importlib
import logging
import threading

import qt

logger = logging.getLogger(__name__)

PACKAGES = ("SimpleITK", "scipy.ndimage", "scipy.spatial")
"""Together they take most of a second to load, more than a click may hold the application."""

_INTERVAL_MS = 20
_TURN_S = 0.01


class LoadingAhead:
    """Loads PACKAGES in a thread, once.

    Slicer keeps Python's lock while it waits for events, so that a thread stands still unless somebody lets go of it:
    a timer does so for a moment, again and again. Whoever needs a package meanwhile waits for the thread.
    """

    def __init__(self) -> None:
        self._thread = threading.Thread(target=_load, daemon=True)
        self._timer = qt.QTimer()
        self._timer.setInterval(_INTERVAL_MS)
        self._timer.connect("timeout()", self._turn)

    def begin(self) -> None:
        """Begin to load; nothing more where it has begun before."""
        if self._thread.ident is None:
            self._thread.start()
            self._timer.start()

    def _turn(self) -> None:
        self._thread.join(_TURN_S)
        if not self._thread.is_alive():
            self._timer.stop()


def _load() -> None:
    for name in PACKAGES:
        try:
            importlib.import_module(name)
        except ImportError as error:
            # Nobody waits for it here: who measures gets the same error, and says it.
            logger.info("%s can't be loaded: %s", name, type(error).__name__)
