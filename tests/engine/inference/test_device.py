"""The device that was asked for if it works, else a clear word; the precision that the hardware has."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.inference import device
from BrainTumorSegLib.engine.inference.device import Compute, available, choose, cpu_has_bfloat16

needs_no_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA GPU")


def test_the_cpu_can_always_be_asked_for() -> None:
    compute = choose("cpu")
    assert compute.device == torch.device("cpu")
    assert compute.precision == (torch.bfloat16 if cpu_has_bfloat16() else torch.float32)
    assert "CPU" in compute.description
    assert str(compute.precision).removeprefix("torch.") in compute.description


def test_bfloat16_is_claimed_only_for_a_processor_that_lists_it() -> None:
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file() or "flags" not in cpuinfo.read_text():
        pytest.skip("the kernel's list of processor features is read on x86 Linux")
    if not hasattr(torch.cpu, "_is_amx_tile_supported"):
        pytest.skip("this torch, older than 2.6, does not tell what the processor has")
    flags = set(cpuinfo.read_text().split())
    assert cpu_has_bfloat16() == bool(flags & {"avx512_bf16", "amx_bf16"})


def test_an_older_torch_that_can_not_tell_gets_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported", raising=False)
    assert choose("cpu").precision == torch.float32


@needs_no_cuda
def test_auto_is_the_cpu_where_there_is_no_gpu() -> None:
    assert choose("auto") == choose("cpu") == choose()


@needs_no_cuda
@pytest.mark.parametrize("choice", ["cuda", "cuda:0", "CUDA:3"])
def test_a_gpu_that_is_not_there_is_said_with_what_is(choice: str) -> None:
    with pytest.raises(
        InputError, match=r"device cuda:\d is not there; this machine has cpu.*Choose one of these, or auto"
    ):
        choose(choice)


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="needs a machine without Apple GPU")
def test_an_apple_gpu_that_is_not_there_is_said() -> None:
    with pytest.raises(InputError, match="device mps is not there.*braintumorseg doctor"):
        choose("mps")


@pytest.mark.parametrize("choice", ["gpu", "", "cuda:x", "cuda:-1", "cpu:0", "xpu"])
def test_what_is_no_device_is_answered_with_the_choices(choice: str) -> None:
    with pytest.raises(InputError, match="is no device.*Choose auto, cpu, cuda, cuda:N or mps"):
        choose(choice)


def test_the_cpu_is_always_available() -> None:
    assert available()[0] == "cpu"


@pytest.mark.gpu
def test_auto_is_a_gpu_where_there_is_one() -> None:
    compute = choose("auto")
    assert compute.device == torch.device("cuda", 0)
    assert torch.cuda.get_device_name(0) in compute.description


@needs_no_cuda
def test_auto_says_why_it_did_not_take_a_gpu_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    # torch believes in a GPU, as after a driver's failure; using it fails for real.
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    compute = choose("auto")
    assert compute.device == torch.device("cpu")
    assert "cuda:0 is there but can't be used" in compute.description
    with pytest.raises(InputError, match="cuda:0 is there but can't be used: .*Choose the device cpu"):
        choose("cuda")


@pytest.mark.parametrize(
    ("capability", "precision"),
    [
        ((6, 1), torch.float32),
        ((7, 0), torch.float16),
        ((7, 5), torch.float16),
        ((8, 0), torch.bfloat16),
        ((9, 0), torch.bfloat16),
        ((12, 0), torch.bfloat16),
    ],
)
def test_a_gpu_computes_in_what_its_generation_has(capability: tuple[int, int], precision: torch.dtype) -> None:
    assert device._cuda_precision(capability) == precision


def test_a_choice_can_not_be_changed_afterwards() -> None:
    compute = choose("cpu")
    with pytest.raises(AttributeError, match="cannot assign"):
        compute.precision = torch.float32  # type: ignore[misc]
    assert isinstance(compute, Compute)
