"""Write docs/licences.md: every package of the locks and its licence.

python tools/licences.py      in an environment in which the lock is installed
"""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
LOCKS = ("requirements-torch.lock", "requirements.lock")
PAGE = REPOSITORY / "docs" / "licences.md"
_SAID_ELSEWHERE = {"atheris": "Apache-2.0"}
"""What a package says in its repository and not in its metadata."""
_TROVE = "License :: OSI Approved :: "


def locked_packages() -> list[str]:
    """The names of all packages of the locks, sorted, in the form that Python's index gives them."""
    text = "\n".join((REPOSITORY / name).read_text(encoding="utf-8") for name in LOCKS)
    return sorted(set(re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==", text, flags=re.MULTILINE)))


def licence_of(package: str) -> str:
    """What the package's own metadata says, "not installed here" where it is for other systems."""
    try:
        metadata = importlib.metadata.metadata(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed here"
    found = metadata.get("License-Expression") or _SAID_ELSEWHERE.get(package)
    if found is None:
        classifiers = metadata.get_all("Classifier") or []
        names = [each.removeprefix(_TROVE) for each in classifiers if each.startswith(_TROVE)]
        text = (metadata.get("License") or "").strip()
        found = ", ".join(names) or text.splitlines()[0][:60] if names or text else "not said"
    return found.replace("|", "/")


def page() -> str:
    """The whole page."""
    rows = "".join(f"| {name} | {licence_of(name)} |\n" for name in locked_packages())
    return (
        "# Licences of the dependencies\n\nEvery package that `make` installs, for running, training, testing and\n"
        "developing, as its own metadata says. Written by `python tools/licences.py`; why each direct dependency is\n"
        "here stands in the [pyproject.toml](../pyproject.toml).\n\n| package | licence |\n|---|---|\n" + rows
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
