"""The panel's sentences for stages, times and sizes, translated in one place."""

from __future__ import annotations

import re

from slicer.i18n import tr as _

from BrainTumorSegLib.engine.errors import Remedy
from BrainTumorSegLib.jobs.activity import Activity, Failure, State


def stageText(stage: str) -> str:
    """What is being done, for a word of the protocol."""
    return {
        "start": _("Starting the engine (the first time takes some seconds)"),
        "check": _("Checking this computer"),
        "export": _("Handing over the volumes"),
        "read": _("Reading the volumes"),
        "register": _("Registering T1 to FLAIR"),
        "load": _("Loading the model"),
        "preprocess": _("Preparing the slices"),
        "classify": _("Finding slices with tumour"),
        "segment": _("Segmenting"),
        "postprocess": _("Outlining the tumour"),
        "write": _("Saving"),
        "align": _("Laying the studies onto each other"),
        "compare": _("Comparing"),
        "import": _("Adding the result to the scene"),
        "download": _("Downloading the model"),
        "models": _("Working on the models"),
        "install": _("Installing the packages"),
        "find": _("Looking for studies"),
        "refine": _("Refining around your corrections"),
        "explain": _("Asking the classifier"),
    }.get(stage, stage)


def timeText(seconds: float | None) -> str:
    """Time left in words; "" where it is not known."""
    if seconds is None:
        return ""
    if seconds < 60:
        return _("{seconds} s left").format(seconds=max(1, round(seconds)))
    return _("{minutes} min left").format(minutes=round(seconds / 60))


def runningText(activity: Activity, timeLeft_s: float | None) -> str:
    """Stage and time left of a running activity."""
    if activity.state is State.CANCELLING:
        return _("Cancelling...")
    return ", ".join(text for text in (stageText(activity.stage), timeText(timeLeft_s)) if text)


def failureText(failure: Failure) -> str:
    """Why something failed and what to do about it here."""
    hint = remedyText(failure.remedy) if failure.remedy is not None else ""
    if failure.kind == "model" and not hint:
        hint = _("In Slicer: click 'Segment tumour' again to download it, or use 'Import file...' under 'Models'.")
    return " ".join(text for text in (failure.message, inPanel(failure.action), hint) if text)


_SHELL = re.compile(r"`|BRAINTUMORSEG_|--[a-z]")
"""What only a shell has: commands, variables of the environment, options."""


def inPanel(advice: str) -> str:
    """The engine's advice without what only a shell has, which the panel has controls for.

    A clause after a comma or semicolon goes alone; a sentence that begins with a command goes whole.
    """
    without = re.sub(r" \([^)]*\)", lambda found: "" if _SHELL.search(found[0]) else found[0], advice)
    sentences = re.split(r"(?<=[.!?]) (?=[A-Z`])", without)
    kept = []
    for sentence in sentences:
        clauses = re.split(r"(?<=[,;]) ", sentence)
        if _SHELL.search(clauses[0]):
            continue
        rest = [clause for clause in clauses if not _SHELL.search(clause)]
        kept.append(" ".join(rest).rstrip(",;.") + "." if len(rest) < len(clauses) else sentence)
    return " ".join(kept)


def remedyText(remedy: Remedy) -> str:
    """Where the panel has the control for what would help."""
    return {
        Remedy.REGISTER: _("To register: choose 'Always' for 'Register T1' under 'Advanced' and segment again."),
        Remedy.EXAMINE: _("'Check this computer' below says what may be wrong here."),
    }[remedy]


def sizeText(size_bytes: int) -> str:
    """A file's size as file managers show it."""
    return _("{megabytes:.1f} MB").format(megabytes=size_bytes / 1e6)
