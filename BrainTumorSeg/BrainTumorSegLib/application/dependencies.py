"""The Python packages that the engine needs in Slicer's Python: what is missing, and bringing it there.

Nothing is installed unless asked for, never at import or start-up, and torch is never imported into Slicer's process.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.metadata
import logging
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import slicer

from BrainTumorSegLib.application.questions import isAgreed
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.service.packages import is_recent, needed_packages

logger = logging.getLogger(__name__)

REQUESTER = "BrainTumorSeg"


class TorchRefused(ImportError):
    """torch was about to be loaded into Slicer's process, where it can crash it and lock its own files."""


class _RefuseTorch(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname: str, _path: Any = None, _target: Any = None) -> None:
        """Raises TorchRefused for torch and its packages; leaves everything else to the other finders."""
        if fullname.split(".")[0] in ("torch", "torchvision"):
            raise TorchRefused(f"{fullname} is not imported into Slicer's process.")


@contextmanager
def torchStaysOut() -> Iterator[None]:
    """Within the block torch can't be imported; TorchRefused that the block raises for it is swallowed."""
    finder = _RefuseTorch()
    sys.meta_path.insert(0, finder)
    try:
        yield
    except TorchRefused:
        logger.info("torch was kept out of Slicer's process")
    finally:
        sys.meta_path.remove(finder)


def installedTorch() -> str | None:
    """Version of the installed torch by its metadata, without importing it; None where there is none."""
    importlib.invalidate_caches()
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return None


def torchRequirement() -> str:
    """The torch that is needed, such as "torch>=2.8"."""
    return needed_packages()["torch"]


def isTorchRecent(version: str | None) -> bool:
    """Whether that version is there and is one that is needed."""
    return version is not None and is_recent(version, torchRequirement())


def missingPackages(requirementsPath: str) -> tuple[str, ...]:
    """Requirements that Slicer's Python does not fulfil, torch first."""
    packaging = importlib.import_module("slicer.packaging")
    requirements = packaging.load_requirements(requirementsPath)
    missing = [f"{each.name}{each.specifier}" for each in requirements if not packaging.pip_check(each)]
    return tuple(([] if isTorchRecent(installedTorch()) else [torchRequirement()]) + missing)


def installPackages(requirementsPath: str) -> None:
    """Ask once, then install torch by the PyTorch extension and the rest by slicer.packaging; nothing while testing.

    The extension takes the build for the processor alone where it finds no NVIDIA driver. Raises InputError if the user
    declines, the PyTorch extension is missing, or an installation fails.
    """
    if slicer.app.testingEnabled():
        logger.info("Testing mode: no package is installed")
        return
    missing = missingPackages(requirementsPath)
    if not missing:
        return
    torchLogic = None if isTorchRecent(installedTorch()) else _pytorchLogic()
    if not isAgreed(_question(missing), f"{REQUESTER} - Install Python packages"):
        raise InputError("The packages were not installed: you declined.", _LATER)
    if torchLogic is not None:
        _installTorch(torchLogic)
    packaging = importlib.import_module("slicer.packaging")
    try:
        packaging.pip_ensure(packaging.load_requirements(requirementsPath), requester=REQUESTER, prompt_install=False)
    except RuntimeError as error:
        raise InputError(f"The packages were not installed: {error}.", _LATER) from error
    except subprocess.CalledProcessError as error:
        raise InputError(f"pip could not install the packages (exit status {error.returncode}).", _OFFLINE) from error


def offlineArguments(requirementsPath: str, folder: Path) -> list[str]:
    """Arguments of ``python -m`` that install everything from a folder of wheels, without any network."""
    source = ["--no-index", "--find-links", str(folder)]
    return ["pip", "install", *source, torchRequirement(), "-r", requirementsPath]


def _question(missing: Sequence[str]) -> str:
    text = f"The segmentation needs Python packages that are not in Slicer's Python yet: {', '.join(missing)}."
    if any(each.startswith("torch") for each in missing):
        text += "\n\nThat is a download of about 0.2 GB, and of up to 3 GB where an NVIDIA graphics card is found."
    return f"{text}\n\nDownload and install them now?"


def _installTorch(logic: Any) -> None:
    try:
        with torchStaysOut():
            logic.installTorch(askConfirmation=False, torchVersionRequirement=torchRequirement().removeprefix("torch"))
    except (RuntimeError, ValueError, OSError, subprocess.CalledProcessError) as error:
        raise InputError(f"PyTorch could not be installed: {error}.", _OFFLINE) from error
    if not isTorchRecent(installedTorch()):
        raise InputError("PyTorch was not installed.", _LATER)


def _pytorchLogic() -> Any:
    try:
        # A module of the PyTorch extension, which this extension depends on.
        return importlib.import_module("PyTorchUtils").PyTorchUtilsLogic()
    except ModuleNotFoundError as error:
        if _installPytorchExtension():
            raise InputError(
                "The extension PyTorch is installed.", "Restart Slicer, then click 'Segment tumour' again."
            ) from error
        raise InputError(
            "Slicer's extension PyTorch is not installed, which brings the calculation library for this computer.",
            "Install PyTorch in the Extensions Manager and restart Slicer, or use 'Install from folder...'.",
        ) from error


def _installPytorchExtension() -> bool:
    """Ask, then install the extension where this one was added from a folder; whether it is there after a restart."""
    question = (
        "The segmentation needs a free calculation library (PyTorch) that is not on this computer yet. Slicer's "
        "extension of the same name brings the right one for it.\n\n"
        "Install that extension now? Slicer must be restarted afterwards; no image leaves this computer."
    )
    if not isAgreed(question, f"{REQUESTER} - Install an extension"):
        return False
    manager = slicer.app.extensionsManagerModel()
    wasInteractive, manager.interactive = manager.interactive, False  # one question is enough
    try:
        # Without its own restart, which would not ask about what is unsaved.
        return bool(manager.installExtensionFromServer("PyTorch", False))
    finally:
        manager.interactive = wasInteractive


_LATER = "Click 'Segment tumour' to be asked again, or install from a folder under 'This computer'."
_OFFLINE = "Check the connection and HTTPS_PROXY, or install from a folder of wheels under 'This computer'."
