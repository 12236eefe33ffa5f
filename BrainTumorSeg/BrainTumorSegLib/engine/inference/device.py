"""Where and how precisely a network runs: what was asked for if it is there and works, and never anything else."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass

import torch
from torch.nn import functional

from BrainTumorSegLib.engine.errors import InputError

logger = logging.getLogger(__name__)

_CHOICES = "auto, cpu, cuda, cuda:N or mps"


@dataclass(frozen=True)
class Compute:
    """A device that works. precision: the type for autocast; float32 means none. description: a phrase for people."""

    device: torch.device
    precision: torch.dtype
    description: str


def choose(choice: str = "auto") -> Compute:
    """The device that was asked for, tried out, with the precision that its hardware really has.

    "auto" is the first CUDA GPU that works, or else the CPU; Apple's GPU (mps) is used only if asked for, since
    results on it have not been compared with the CPU's. Raises InputError where the device isn't there or fails,
    saying what is there.
    """
    asked = choice.strip().lower()
    if asked == "auto":
        return _choose_automatically()
    if asked == "cpu":
        return _cpu()
    if asked == "mps":
        return _mps()
    if found := re.fullmatch(r"cuda(?::(\d+))?", asked):
        return _cuda(int(found[1] or 0))
    raise InputError(f"{choice!r} is no device.", f"Choose {_CHOICES}.")


def available() -> tuple[str, ...]:
    """The devices that torch sees here, "cpu" first; whether they work shows only in ``choose``."""
    gpus = tuple(f"cuda:{index}" for index in range(torch.cuda.device_count()))
    return ("cpu", *gpus, *(("mps",) if torch.backends.mps.is_available() else ()))


def cpu_has_bfloat16() -> bool:
    """Whether this processor computes in bfloat16 itself (AVX-512 BF16 or AMX) rather than emulating it slowly."""
    # Private functions, in torch since 2.3 and 2.6: an older torch has none, and float32 is right everywhere.
    tests = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return torch.backends.mkldnn.is_available() and any(test() for test in tests if test is not None)


def _choose_automatically() -> Compute:
    reasons: list[str] = []
    for index in range(torch.cuda.device_count()):
        try:
            return _cuda(index)
        except InputError as error:
            logger.warning("%s Trying the next device.", error.message)
            reasons.append(error.message)
    cpu = _cpu()
    return Compute(cpu.device, cpu.precision, "; ".join((cpu.description, *reasons)))


def _cpu() -> Compute:
    precision = torch.bfloat16 if cpu_has_bfloat16() else torch.float32
    return Compute(torch.device("cpu"), precision, f"CPU, {torch.get_num_threads()} threads, {_name_of(precision)}")


def _cuda(index: int) -> Compute:
    if index >= torch.cuda.device_count():
        raise _absent(f"cuda:{index}")
    device = torch.device("cuda", index)
    _try_out(device)
    capability = torch.cuda.get_device_capability(device)
    precision = _cuda_precision(capability)
    return Compute(device, precision, f"{torch.cuda.get_device_name(device)} ({device}), {_name_of(precision)}")


def _cuda_precision(capability: tuple[int, int]) -> torch.dtype:
    """The type that a GPU's tensor cores take: bfloat16 from Ampere (8.0), float16 from Volta (7.0), none before.

    Source: CUDA C++ Programming Guide, table "Feature support per compute capability".
    """
    if capability >= (8, 0):
        return torch.bfloat16
    return torch.float16 if capability >= (7, 0) else torch.float32


def _mps() -> Compute:
    if not torch.backends.mps.is_available():
        raise _absent("mps")
    device = torch.device("mps")
    _try_out(device)
    return Compute(device, torch.float32, "Apple GPU (mps), float32")


def _try_out(device: torch.device) -> None:
    """Compute something small: a GPU that is listed may be taken, or have no kernels in this torch.

    Raises InputError if that fails.
    """
    try:
        ones = torch.ones(1, 1, 2, 2, device=device)
        # Products come from another library than convolutions, which torch may lack for an old GPU.
        works = [float((ones @ ones).sum()), float(functional.conv2d(ones, ones))] == [8.0, 4.0]
        reason = "it computes wrongly"
    except (RuntimeError, AssertionError) as error:  # torch asserts where it was built without the device
        works = False
        reason = str(error).strip().splitlines()[0].rstrip(".")
    if not works:
        raise InputError(
            f"The device {device} is there but can't be used: {reason}.",
            "Choose the device cpu, or install a driver and a torch that fit each other.",
        )


def _absent(device: str) -> InputError:
    return InputError(
        f"The device {device} is not there; this machine has {', '.join(available())} for torch {torch.__version__}.",
        "Choose one of these, or auto; `braintumorseg doctor` tells why a GPU is not seen.",
    )


def _name_of(precision: torch.dtype) -> str:
    return str(precision).removeprefix("torch.")
