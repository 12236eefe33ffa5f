from itertools import pairwise

import numpy as np
import pytest

from BrainTumorSegLib.engine.errors import Cancelled, DefectError, InputError, MemoryExhaustedError
from BrainTumorSegLib.engine.foreign_errors import translate
from BrainTumorSegLib.engine.settings import SegmentSettings
from BrainTumorSegLib.engine.study.geometry import Geometry, Volume


def test_our_own_error_comes_back_unchanged() -> None:
    error = InputError("Odd.", "Correct it.")
    assert translate(error) is error


def test_want_of_memory_has_its_own_kind() -> None:
    assert isinstance(translate(MemoryError()), MemoryExhaustedError)


@pytest.mark.parametrize(
    "said",
    [
        "could not create a primitive",  # oneDNN
        "Failed to allocate memory for image.",  # ITK
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory",
        "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 79.15 GiB",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
        "GET was unable to find an engine to execute this computation",  # PyTorch, of cuDNN's workspaces
    ],
)
def test_want_of_memory_is_known_by_the_words_of_each_library(said: str) -> None:
    assert isinstance(translate(RuntimeError(said)), MemoryExhaustedError)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("can't start new thread"),
        OSError(12, "Cannot allocate memory"),
        ImportError("_SimpleITK.abi3.so: failed to map segment from shared object"),
        OSError("[WinError 1455] The paging file is too small for this operation to complete. Error loading c10.dll"),
        OSError("[WinError 8] Not enough memory resources are available to process this command"),
    ],
    ids=["thread", "fork", "library", "paging file", "Windows"],
)
def test_want_of_memory_is_known_wherever_it_strikes(error: Exception) -> None:
    assert isinstance(translate(error), MemoryExhaustedError)


def test_what_the_system_refuses_is_no_defect_and_not_damaged() -> None:
    known = translate(PermissionError(13, "Permission denied", "/data/scan.dcm"))
    assert isinstance(known, InputError)
    assert str(known).startswith("/data/scan.dcm can't be used: Permission denied. Ask whoever owns it for permission")
    assert isinstance(translate(OSError(5, "Input/output error", b"/data/scan.dcm")), InputError)
    assert translate(OSError(9, "Bad file descriptor")).kind == "defect"


@pytest.mark.parametrize("error", [ImportError("No module named 'torch'"), OSError(2, "No such file or directory")])
def test_other_errors_of_import_and_system_are_not(error: Exception) -> None:
    assert not isinstance(translate(error), MemoryExhaustedError)


def test_an_operation_that_onednn_does_not_know_is_no_want_of_memory() -> None:
    error = RuntimeError("could not create a primitive descriptor for a convolution forward propagation primitive")
    assert translate(error).kind == "defect"


def _raised(*errors: Exception) -> Exception:
    """The last of the errors, each raised because of the one before it."""
    for cause, error in pairwise(errors):
        error.__cause__ = cause
    return errors[-1]


@pytest.mark.parametrize(
    "error",
    [
        _raised(MemoryError(), RuntimeError("applying transform <Spacingd>"), ValueError("transform failed")),
        _raised(RuntimeError("Failed to allocate memory for image."), InputError("FLAIR: a.nii can't be read.")),
    ],
    ids=["a library's wrapper", "our own words"],
)
def test_want_of_memory_is_found_behind_the_error_that_it_led_to(error: Exception) -> None:
    known = translate(error)
    assert (known.kind, known.exit_code) == ("memory", 4)


def _clean_up_badly(told_apart: bool) -> None:
    try:
        raise MemoryError
    except MemoryError:
        if told_apart:
            raise KeyError("cleaning up") from None
        {}["cleaning up"]


def test_want_of_memory_is_found_where_another_error_came_while_it_was_handled() -> None:
    with pytest.raises(KeyError) as caught:
        _clean_up_badly(told_apart=False)
    assert translate(caught.value).kind == "memory"
    # "from None": its author said that the first has nothing to do with it.
    with pytest.raises(KeyError) as caught:
        _clean_up_badly(told_apart=True)
    assert translate(caught.value).kind == "defect"


def test_a_circle_of_causes_comes_to_an_end() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    assert translate(first).kind == "defect"


def test_a_wish_to_stop_stays_one_whatever_led_to_it() -> None:
    assert translate(_raised(MemoryError(), Cancelled())).kind == "cancelled"


def test_missing_package_is_named_with_a_remedy() -> None:
    try:
        __import__("no_such_package_here")
    except ModuleNotFoundError as error:
        known = translate(error)
    assert "package no_such_package_here is missing" in known.message
    assert "doctor" in known.action


def test_defect_says_where_in_our_code_it_happened() -> None:
    with pytest.raises(TypeError) as caught:
        SegmentSettings(threshold="high")  # type: ignore[arg-type]
    known = translate(caught.value)
    assert (known.kind, known.exit_code) == ("defect", 1)
    assert "engine/settings.py, line" in known.message


def test_what_only_this_program_can_get_wrong_is_a_defect_and_no_bad_input() -> None:
    geometry = Geometry((3, 3, 3), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    with pytest.raises(DefectError, match="does not fit a grid.*This is a defect") as raised:
        Volume(np.zeros((2, 2, 2)), geometry)
    assert (raised.value.kind, raised.value.exit_code) == ("defect", 1)
