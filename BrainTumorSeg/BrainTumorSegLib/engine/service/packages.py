"""Which packages the engine needs, in which versions: read from what is installed, written down in no second place.

Reads them without any of them, packaging included: it must be told that one is missing.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterable, Mapping

from BrainTumorSegLib.engine.resources import resource

DISTRIBUTION = "brain-tumor-seg"
REQUIREMENT_FILES = ("requirements-of-slicer.txt", "requirements.txt")
"""In Slicer's module: what Slicer brings, then what is installed there."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def needed_packages(machine: Mapping[str, str] | None = None) -> dict[str, str]:
    """By name of the package, what is required of it here, such as "numpy>=1.26".

    From the metadata of the installed program; in Slicer's module, which is not installed by pip, from the lists
    among its resources. machine: values of requirements' markers, such as "sys_platform", instead of this one's.
    """
    try:
        lines: Iterable[str] = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        lines = (line for name in REQUIREMENT_FILES for line in resource(name).read_text(encoding="utf-8").splitlines())
    # "; extra == ..." follows what only training or development needs.
    wanted = (line.split("#")[0].strip() for line in lines if "extra ==" not in line)
    parted = (line.partition(";")[::2] for line in wanted)
    return {
        found[0]: requirement.strip()
        for requirement, marker in parted
        if (found := _NAME.match(requirement)) and _applies(marker.strip(), machine)
    }


def _applies(marker: str, machine: Mapping[str, str] | None) -> bool:
    """Whether a requirement is meant for the machine; True where packaging is missing: a finding of its own."""
    try:
        from packaging.markers import Marker
    except ImportError:
        return True
    return not marker or Marker(marker).evaluate(dict(machine or {}))


def is_recent(version: str, requirement: str) -> bool:
    """Whether that version fulfils the requirement; True where packaging is missing, which is a finding of its own.

    Builds are judged by the release that they are of: hospitals and clusters have some that call themselves alphas.
    """
    try:
        from packaging.requirements import Requirement
        from packaging.version import InvalidVersion, Version
    except ImportError:
        return True
    try:
        return Requirement(requirement).specifier.contains(Version(version).base_version)
    except InvalidVersion:
        return False


def required_version(requirement: str) -> str:
    """The version that a requirement asks for, such as "1.26 or newer"; otherwise as it is written."""
    asked = _NAME.sub("", requirement, count=1).strip()
    floor = re.fullmatch(r">=\s*([^,;]+)", asked)
    return f"{floor[1].strip()} or newer" if floor else asked
