"""What this machine can run, and what to do about what it can't. Renders nothing: findings only."""

from __future__ import annotations

import enum
import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from BrainTumorSegLib.engine.errors import BrainTumorSegError, ModelError, OutputError
from BrainTumorSegLib.engine.files import check_writable
from BrainTumorSegLib.engine.foreign_errors import is_out_of_memory
from BrainTumorSegLib.engine.memory import needed_bytes, usable_bytes
from BrainTumorSegLib.engine.models.index import ModelEntry
from BrainTumorSegLib.engine.models.store import HOME_VARIABLE, ModelState, ModelStore
from BrainTumorSegLib.engine.service.packages import is_recent, needed_packages, required_version
from BrainTumorSegLib.engine.temporary import clear_leftovers

PYTHON_FLOOR = (3, 11)
USUAL_STUDY = (256, 256, 36)
"""Voxels of a clinical study of thick slices."""
FINE_STUDY = (512, 512, 180)
"""Voxels of a study of thin slices; both have three sequences."""
NEEDED_OUTPUT_BYTES = 100_000_000
"""Room for the results of a usual study: mask, report, preview and a compressed probability volume."""

_NVIDIA_SMI_TIMEOUT_S = 10
_IN_SLICER = (
    "In Slicer, click 'Install packages...' under 'This computer', or 'Install from folder...' without internet."
)
_REINSTALL = f"Install it again with python -m pip. {_IN_SLICER}"


class Status(enum.Enum):
    """How serious a finding is: PROBLEM prevents segmenting, WARNING makes it slower or may."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. name: a stable phrase; remedy: what to do, empty where nothing is to be done."""

    name: str
    status: Status
    message: str
    remedy: str = ""


@dataclass(frozen=True)
class NvidiaGpu:
    """A GPU as its driver reports it."""

    name: str
    driver: str


def examine(open_store: Callable[[], ModelStore], output_folder: Path | None = None) -> tuple[Finding, ...]:
    """Look at Python, packages, torch, processor, GPU, memory, disk, permissions, weights and licences.

    open_store: opens the store of models. output_folder: where results will go, examined too. Imports torch, so it
    belongs into the engine's own process; raises nothing: whatever fails is a finding. Of the packages that it looks
    for it needs none.
    """
    return tuple(_look_at_everything(open_store, output_folder))


def _look_at_everything(open_store: Callable[[], ModelStore], output_folder: Path | None) -> Iterator[Finding]:
    yield python_finding(sys.version_info[:3])
    for package, requirement in needed_packages().items():
        yield package_finding(package, requirement)
    torch_finding = import_finding()
    yield torch_finding
    if torch_finding.status is Status.OK:
        yield processor_finding()
        yield gpu_finding()
    yield _free_memory_finding()
    if output_folder is not None:
        yield folder_finding("output folder", output_folder, NEEDED_OUTPUT_BYTES)
    yield from _store_findings(open_store)
    yield Finding("use", Status.OK, "BrainTumorSeg is for research and not a medical device: check every result.")


def python_finding(version: tuple[int, ...]) -> Finding:
    """Whether this Python is recent enough."""
    text = ".".join(map(str, version))
    if version >= PYTHON_FLOOR:
        return Finding("python", Status.OK, f"Python {text}.")
    floor = ".".join(map(str, PYTHON_FLOOR))
    message = f"Python {text} is too old: {floor} or newer is needed."
    return Finding("python", Status.PROBLEM, message, f"Install Python {floor} or newer.")


def package_finding(package: str, requirement: str) -> Finding:
    """Whether a package is installed in a version that works, without importing it. requirement: as pip takes it."""
    remedy = f"Install it: python -m pip install '{requirement}'. {_IN_SLICER}"
    try:
        version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return Finding(package, Status.PROBLEM, f"{package} is not installed.", remedy)
    if not is_recent(version, requirement):
        message = f"{package} {version} does not fit: {required_version(requirement)} is needed."
        return Finding(package, Status.PROBLEM, message, remedy)
    return Finding(package, Status.OK, f"{package} {version}.")


def import_finding() -> Finding:
    """Whether torch loads here: an incomplete or foreign build fails only then, with ImportError or OSError."""
    try:
        import torch
    except (ImportError, OSError) as error:
        if is_out_of_memory(error):
            message = "There is not enough memory to load torch."
            return Finding("torch import", Status.PROBLEM, message, "Close other programs.")
        reason = str(error).strip().splitlines()[0]
        remedy = "Install torch again, for this Python and processor: https://pytorch.org/get-started/locally. "
        remedy += _IN_SLICER
        return Finding("torch import", Status.PROBLEM, f"torch can't be loaded: {reason}", remedy)
    return Finding("torch import", Status.OK, f"torch {torch.__version__} loads.")


def processor_finding() -> Finding:
    """How many cores there are and whether they compute in bfloat16."""
    from BrainTumorSegLib.engine.inference.device import cpu_has_bfloat16

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    speed = "bfloat16, which is used" if cpu_has_bfloat16() else "no bfloat16, so float32 is used"
    return Finding("processor", Status.OK, f"{cores:d} processor cores for this process, with {speed}.")


def gpu_finding() -> Finding:
    """Whether there is a GPU, and whether torch can use it."""
    import torch

    from BrainTumorSegLib.engine.inference.device import choose

    if torch.cuda.is_available():
        compute = choose("auto")
        if compute.device.type == "cuda":
            return Finding("gpu", Status.OK, f"GPU: {compute.description}.")
        remedy = "Install a torch and a driver that fit this GPU; until then the CPU is used."
        return Finding("gpu", Status.WARNING, f"No GPU works: {compute.description}", remedy)
    if torch.backends.mps.is_available():
        message = "Apple GPU: used only with the device mps, since results on it have not been compared yet."
        return Finding("gpu", Status.OK, message)
    return unused_gpu_finding(find_nvidia_gpus(), torch.__version__, torch.version.cuda)


def unused_gpu_finding(gpus: tuple[NvidiaGpu, ...], torch_version: str, torch_cuda: str | None) -> Finding:
    """Why torch sees no GPU: there is none, torch was built without CUDA (None), or the driver doesn't fit."""
    if not gpus:
        return Finding("gpu", Status.OK, "No GPU that torch can use: the CPU is used.")
    found = f"{gpus[0].name} (driver {gpus[0].driver}) is there, but torch {torch_version} can't use it"
    if torch_cuda is None:
        remedy = (
            "For more speed install torch with CUDA: in Slicer with the module PyTorch Utils, elsewhere see "
            "https://pytorch.org/get-started/locally"
        )
        return Finding("gpu", Status.WARNING, f"{found}: it was built without CUDA. The CPU is used.", remedy)
    remedy = (
        f"Update the driver to one for CUDA {torch_cuda}, and check that CUDA_VISIBLE_DEVICES does not hide the GPU."
    )
    message = f"{found}: the driver is too old for CUDA {torch_cuda}, or the GPU is hidden. The CPU is used."
    return Finding("gpu", Status.WARNING, message, remedy)


def find_nvidia_gpus() -> tuple[NvidiaGpu, ...]:
    """The GPUs that NVIDIA's own tool reports; none where it is missing or fails."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    command = [tool, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_NVIDIA_SMI_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    rows = (line.rsplit(",", 1) for line in answer.stdout.splitlines() if "," in line)
    return tuple(NvidiaGpu(name.strip(), driver.strip()) for name, driver in rows)


def _free_memory_finding() -> Finding:
    try:
        return memory_finding(usable_bytes())
    except ImportError as error:
        return Finding("memory", Status.PROBLEM, f"The free memory is not known: {_reason(error)}", _REINSTALL)


def memory_finding(usable: int) -> Finding:
    """Whether so many bytes are enough for studies of usual and of thin slices."""
    usual, fine = (needed_bytes(size, 3) for size in (USUAL_STUDY, FINE_STUDY))
    message = (
        f"{usable / 1e9:.1f} GB of memory are free; a usual study takes {usual / 1e9:.1f} GB, one of "
        f"{' x '.join(map(str, FINE_STUDY))} voxels with three sequences {fine / 1e9:.1f} GB."
    )
    if usable >= fine:
        return Finding("memory", Status.OK, message)
    return Finding("memory", Status.WARNING, message, "Close other programs before you start.")


def folder_finding(name: str, folder: Path, needed_bytes: int) -> Finding:
    """Whether files can be made in a folder and how much room it has; clears what killed programs left there."""
    try:
        check_writable(folder / "trial")
    except OutputError as error:
        remedy = f"{error.action} {_home_remedy(name)}".strip()
        return Finding(name, Status.PROBLEM, f"{folder} can't be written to: {error.message}", remedy)
    cleared = clear_leftovers(folder)
    free = shutil.disk_usage(folder).free
    needed = f"; {needed_bytes / 1e6:.0f} MB are needed" if needed_bytes else ""
    message = f"{folder} can be written to and has {free / 1e9:.1f} GB free{needed}."
    if cleared:
        message += f" {_cleared(cleared)} been cleared away."
    if free >= needed_bytes:
        return Finding(name, Status.OK, message)
    return Finding(name, Status.PROBLEM, message, f"Free some space there. {_home_remedy(name)}".strip())


def _cleared(count: int) -> str:
    if count == 1:
        return "1 unfinished file of a program that was killed has"
    return f"{count:d} unfinished files of programs that were killed have"


def _store_findings(open_store: Callable[[], ModelStore]) -> Iterator[Finding]:
    try:
        store = open_store()
    except ImportError as error:
        yield Finding("weights", Status.PROBLEM, f"The models can't be looked for: {_reason(error)}", _REINSTALL)
    except BrainTumorSegError as error:
        yield Finding("weights", Status.PROBLEM, error.message, error.action)
    else:
        yield folder_finding("model folder", _nearest_existing(store.cache_folder), _missing_bytes(store))
        yield from weights_findings(store)


def weights_findings(store: ModelStore) -> Iterator[Finding]:
    """Whether the default model and its classifier, and whatever else is installed, are whole; and their licences."""
    try:
        needed = store.index.needed()
    except ModelError as error:
        yield Finding("weights", Status.PROBLEM, error.message, error.action)
        return
    for entry in store.entries():
        if entry in needed or _is_installed(store, entry):
            yield _weights_finding(store, entry)
    licences = ", ".join(sorted({entry.licence for entry in needed}))
    message = f"The weights are licensed {licences}."
    if "-NC" in licences.upper():
        message += " Commercial use is not allowed."
    yield Finding("licence", Status.OK, message)


def _weights_finding(store: ModelStore, entry: ModelEntry) -> Finding:
    try:
        store.verify(entry.name)
    except BrainTumorSegError as error:
        return Finding(f"weights {entry.name}", Status.PROBLEM, error.message, error.action)
    return Finding(f"weights {entry.name}", Status.OK, f"Model {entry.name} {entry.version}: SHA-256 verified.")


def _missing_bytes(store: ModelStore) -> int:
    """What is still to be downloaded for the default model."""
    try:
        return sum(each.size_bytes for each in store.index.needed() if not _is_installed(store, each))
    except ModelError:
        return 0  # weights_findings says why


def _is_installed(store: ModelStore, entry: ModelEntry) -> bool:
    """Whether there is a copy, whole or not."""
    try:
        return store.state(entry.name) is not ModelState.NOT_INSTALLED
    except ModelError:
        return True  # it can't be read: verifying it says why


def _nearest_existing(folder: Path) -> Path:
    """The folder, or the first above it that exists: where it would be made."""
    return next((each for each in (folder, *folder.parents) if os.path.isdir(each)), folder)


def _home_remedy(name: str) -> str:
    return f"Or set {HOME_VARIABLE} to another folder." if name == "model folder" else ""


def _reason(error: ImportError) -> str:
    return f"{error.name or 'a package'} can't be loaded."
