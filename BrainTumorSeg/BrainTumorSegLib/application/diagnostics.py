"""What a report of a problem needs, free of patients: no name, identifier, date or path of a study."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from BrainTumorSegLib import __version__
from BrainTumorSegLib.jobs.activity import Failure
from BrainTumorSegLib.jobs.settings import JobSettings

_PACKAGES = ("torch", "monai", "numpy", "SimpleITK", "scipy", "requests")
# A path (with a drive or leading slash and at least one separator), a DICOM UID, and an e-mail address.
_PATH = re.compile(r"""(?:[A-Za-z]:)?[\\/](?:[^\s'"<>|:,;\\/]+(?: [^\s'"<>|:,;\\/]+)*[\\/])+[^\s'"<>|:,;\\/]*""")
_UID = re.compile(r"\b[0-2](?:\.\d+){4,}\b")
_QUOTED = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"")


def diagnosticsText(
    application: str,
    settings: JobSettings,
    stage: str,
    failure: Failure | None,
    findings: Iterable[Mapping[str, Any]] = (),
    secrets: Iterable[str] = (),
) -> str:
    """Versions, settings, the stage reached, the last failure and what the check of the computer found.

    secrets: texts that must not appear, such as the names of the scene's nodes and the user's own name.
    """
    lines = [
        f"BrainTumorSeg {__version__} in {application}",
        f"{platform.system()} {platform.release()}, {platform.machine()}, Python {platform.python_version()}",
        "Packages: " + ", ".join(f"{name} {_version(name)}" for name in _PACKAGES),
        "Settings: " + ", ".join(f"{name}={value}" for name, value in asdict(settings).items()),
        f"Stage: {stage}",
    ]
    if failure is not None:
        lines += [f"Failure ({failure.kind}): {failure.message}", f"Advice: {failure.action}"]
    lines += [f"{each['name']}: {each['status']}: {each['message']}" for each in findings]
    return withoutPatient("\n".join(lines), secrets) + "\n"


def withoutPatient(text: str, secrets: Iterable[str] = ()) -> str:
    """The text with paths, UIDs, quoted names and the given secrets replaced."""
    home = [str(Path.home()), Path.home().name, os.environ.get("USERNAME", ""), os.environ.get("USER", "")]
    for secret in sorted({each for each in (*secrets, *home) if len(each) > 2}, key=len, reverse=True):
        text = text.replace(secret, "<removed>")
    text = _QUOTED.sub("<name>", text)
    return _UID.sub("<uid>", _PATH.sub("<path>", text))


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
