"""Ctrl-C, termination and a closed terminal: the first asks the work to stop cleanly, the second stops it at once.

Imports little: what ends a process early must be there before anything that takes a moment to load.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], None]

EXIT_CANCELLED = 5
CANCELLED = b"braintumorseg: Cancelled. Nothing was written.\n"
PATIENCE_S = 0.5
"""How long work that was asked to stop may take before it is stopped: loading torch takes seconds and never asks."""

# Windows has no SIGHUP; its SIGBREAK is Ctrl-Break and the closed window.
_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))
_POLL_S = 0.05


def end_at_once(exit_code: int, words: bytes = b"") -> None:
    """From now on a signal ends the process with this exit code after these words.

    For when nothing can be half done yet. A signal that is ignored, as nohup does, stays so.
    """

    def end(_signal: int, _frame: FrameType | None) -> None:
        _say(words)
        os._exit(exit_code)

    _handle(end)


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Yields is_cancelled, which turns true at the first such signal; a second one raises KeyboardInterrupt."""
    requested = threading.Event()

    def ask(_signal: int, _frame: FrameType | None) -> None:
        if requested.is_set():
            raise KeyboardInterrupt
        requested.set()
        if os.isatty(2):
            _say(b"\nStopping. Press Ctrl-C again to stop at once.\n")

    with _handlers(ask):
        yield requested.is_set


@contextmanager
def insisting(is_cancelled: Callable[[], bool]) -> Iterator[None]:
    """Within ``stop_requests``: work that does not stop within PATIENCE_S is interrupted, as by a second Ctrl-C.

    Whatever a library makes of that, it is an end that was asked for: any error of the block after the wish is raised
    as KeyboardInterrupt.
    """
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_POLL_S):
            if is_cancelled():
                if not ended.wait(PATIENCE_S):
                    _interrupt()
                return

    threading.Thread(target=watch, name="patience", daemon=True).start()
    try:
        yield
    except Exception as error:
        if is_cancelled():
            raise KeyboardInterrupt from error
        raise
    finally:
        ended.set()


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """Every such signal raises KeyboardInterrupt, so that temporary files are removed on the way out.

    One that strikes within a destructor or the callback of a weak reference, as importing has many, would only be
    printed: it is raised again a moment later.
    """
    earlier = sys.unraisablehook

    def raise_again(lost: sys.UnraisableHookArgs) -> None:
        if not issubclass(lost.exc_type, KeyboardInterrupt):
            earlier(lost)
            return
        timer = threading.Timer(_POLL_S, _interrupt)
        timer.daemon = True
        timer.start()

    sys.unraisablehook = raise_again
    try:
        with _handlers(signal.default_int_handler):
            yield
    finally:
        sys.unraisablehook = earlier


@contextmanager
def _handlers(handler: Handler) -> Iterator[None]:
    """Handle the signals this way within the block; only a process's main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    earlier = _handle(handler)
    try:
        yield
    finally:
        for each, before in earlier.items():
            signal.signal(each, before)


def _interrupt() -> None:
    """As a signal from outside would, by one that is not ignored."""
    for each in _heeded()[:1]:
        _thread.interrupt_main(each)


def _heeded() -> list[signal.Signals]:
    return [each for each in _SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]


def _handle(handler: Handler) -> dict[signal.Signals, Handler | int | None]:
    """Set the handler for every signal that is not ignored; returns the earlier ones."""
    return {each: signal.signal(each, handler) for each in _heeded()}


def _say(words: bytes) -> None:
    """Not print: the interrupted code may be printing itself."""
    with contextlib.suppress(OSError):
        os.write(2, words)
