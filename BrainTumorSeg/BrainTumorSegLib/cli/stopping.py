"""Ctrl-C and termination: the first asks the work to stop cleanly, the second stops it at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], None]


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Yields is_cancelled, which turns true at Ctrl-C or SIGTERM; a second one raises KeyboardInterrupt."""
    requested = threading.Event()

    def ask(_signal: int, _frame: FrameType | None) -> None:
        if requested.is_set():
            raise KeyboardInterrupt
        requested.set()
        if sys.stderr.isatty():
            # Not print: the interrupted code may be printing itself.
            os.write(2, b"\nStopping. Press Ctrl-C again to stop at once.\n")

    with _handlers(ask, signal.SIGINT, signal.SIGTERM):
        yield requested.is_set


@contextmanager
def interrupt_on_terminate() -> Iterator[None]:
    """SIGTERM raises KeyboardInterrupt, as Ctrl-C does, so that temporary files are removed on the way out."""
    with _handlers(signal.default_int_handler, signal.SIGTERM):
        yield


@contextmanager
def _handlers(handler: Handler, *signals: signal.Signals) -> Iterator[None]:
    """Handle the signals this way within the block; only a process's main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    earlier = {each: signal.signal(each, handler) for each in signals}
    try:
        yield
    finally:
        for each, before in earlier.items():
            signal.signal(each, before)
