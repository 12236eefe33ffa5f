"""What a report of a problem needs, free of patients: nothing is written but what is known to be safe."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from BrainTumorSegLib import __version__
from BrainTumorSegLib.application.knownWords import GAP, isSafe, knownWords
from BrainTumorSegLib.engine.service.packages import needed_packages
from BrainTumorSegLib.jobs.activity import Failure
from BrainTumorSegLib.jobs.settings import JobSettings


def diagnosticsText(
    application: str,
    settings: JobSettings,
    stage: str,
    failure: Failure | None,
    findings: Iterable[Mapping[str, Any]] = (),
) -> str:
    """Versions, settings, the stage reached, the last failure and what the check of the computer found.

    application: Slicer's name and version. Of messages only the program's own words are kept, with a gap for whatever
    was filled in: no path, name, identifier or date of a study can be among them.
    """
    versions = {name: _version(name) for name in needed_packages()}
    safe = frozenset({*versions, *versions.values(), platform.python_version()})
    lines = [
        f"BrainTumorSeg {__version__} in {application}",
        f"{platform.system()} {platform.release()}, {platform.machine()}, Python {platform.python_version()}",
        "Packages: " + ", ".join(f"{name} {version}" for name, version in versions.items()),
        "Settings: " + ", ".join(f"{name}={_setting(value)}" for name, value in asdict(settings).items()),
        f"Stage: {stage if isSafe(stage) else GAP}",
    ]
    if failure is not None:
        lines += [f"Failure ({failure.kind}): {knownWords(failure.message, safe)}"]
        lines += [f"Advice: {knownWords(failure.action, safe)}"]
    for each in findings:
        said = "" if each["status"] == "ok" else f": {knownWords(each['message'], safe)}"
        lines.append(f"{each['name']}: {each['status']}{said}")
    return "\n".join(lines) + "\n"


def _setting(value: Any) -> str:
    """Numbers and switches as they are; a text only if it is a word of ours, since anything can be typed."""
    return value if isinstance(value, str) and isSafe(value) else GAP if isinstance(value, str) else str(value)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
