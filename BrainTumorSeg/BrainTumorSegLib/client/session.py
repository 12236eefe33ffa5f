"""The warm engine process and whoever waits for its answers: polled, without a thread or Qt of its own."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from BrainTumorSegLib.client.process import Event, WorkerProcess
from BrainTumorSegLib.engine.errors import Remedy

logger = logging.getLogger(__name__)

OnEvent = Callable[[Event], None]

ENGINE_PATIENCE_S = 300.0
"""How long the engine may say nothing while somebody waits: torch from a slow disk takes a minute the first time."""
LONGEST_TURN_S = 1.0
"""What counts at most between two polls: that the computer slept, or Slicer was busy, is not the engine's fault."""


class EngineSession:
    """Starts the engine when it is first needed, keeps it between jobs, and hands its events to those who asked.

    makeProcess: builds a process that is not started yet; it is called again after the last one died or was stopped.
    isChecked: whether this process has looked at the machine and found nothing that prevents a job.
    """

    def __init__(self, makeProcess: Callable[[], WorkerProcess]) -> None:
        self._makeProcess = makeProcess
        self._process: WorkerProcess | None = None
        self._waiting: dict[str, OnEvent] = {}
        self._isPolling = False
        self._isSpent = False
        self._silence_s = 0.0
        self._polledAt_s = 0.0
        self.isChecked = False

    @property
    def isBusy(self) -> bool:
        """Whether somebody waits for an answer."""
        return bool(self._waiting)

    @property
    def process(self) -> WorkerProcess | None:
        """The running engine, None before the first job and after a stop."""
        return self._process

    def submit(self, request: dict[str, Any], onEvent: OnEvent) -> str:
        """Send a request; its events, the last of them done or error, go to ``onEvent``. Returns the request's id."""
        if self._process is None:
            process = self._makeProcess()
            process.start()
            self._process = process
            logger.info("Engine process started")
        identifier = self._process.submit(request)
        self._silence_s, self._polledAt_s = 0.0, time.monotonic()
        self._waiting[identifier] = onEvent
        return identifier

    def cancel(self, identifier: str) -> None:
        """Ask the engine to stop one request; it answers with an error of kind cancelled."""
        if self._process is not None and identifier in self._waiting:
            self._process.cancel(identifier)

    def poll(self) -> None:
        """Hand out what has arrived. Does nothing when called from within one of the handlers."""
        if self._process is None or self._isPolling:
            return
        self._isPolling = True
        try:
            events = self._process.poll()
            self._count(events)
            for event in events:
                self._dispatch(event)
            if self._silence_s > ENGINE_PATIENCE_S:
                self._giveUp()
        finally:
            self._isPolling = False
        if self._isSpent and not self._waiting:
            self._end()

    def stop(self) -> None:
        """End the engine's process tree now. Nobody who waited is told: whoever stops it knows why."""
        self._waiting.clear()
        self._end()

    def _count(self, events: list[Event]) -> None:
        """How long somebody has waited without a word."""
        now_s = time.monotonic()
        passed_s = min(now_s - self._polledAt_s, LONGEST_TURN_S)
        self._silence_s = self._silence_s + passed_s if self._waiting and not events else 0.0
        self._polledAt_s = now_s

    def _giveUp(self) -> None:
        """End a process that hangs, and tell everybody who waits for it."""
        logger.warning("The engine was silent for %.0f s and is ended", self._silence_s)
        waiting, self._waiting = self._waiting, {}
        self._end()
        content = {
            "kind": "silent",
            "message": f"The engine has not answered for {ENGINE_PATIENCE_S:.0f} s and was ended.",
            "action": "Try again. Too little memory can do this: then close other programs. If it stays so, report it.",
            "remedy": Remedy.EXAMINE.value,
        }
        for identifier, onEvent in waiting.items():
            onEvent(Event(identifier, "error", content))

    def _end(self) -> None:
        process, self._process = self._process, None
        self.isChecked = self._isSpent = False
        if process is not None:
            process.kill()
            logger.info("Engine process ended")

    def _dispatch(self, event: Event) -> None:
        if event.name == "error" and event.content["kind"] == "crashed":
            # Dead: the next request starts a new one. Everybody who waits gets such an event.
            self._process = None
            self.isChecked = False
        if event.name == "error" and event.content["kind"] == "memory":
            # oneDNN, torch's library for CPUs, goes on failing in a process that got no memory once.
            self._isSpent = True
        if event.id is None:
            return
        onEvent = self._waiting.pop(event.id, None) if event.is_final else self._waiting.get(event.id)
        if onEvent is not None:
            onEvent(event)
