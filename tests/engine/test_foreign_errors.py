import pytest

from BrainTumorSegLib.engine.errors import InputError, MemoryExhaustedError
from BrainTumorSegLib.engine.foreign_errors import translate
from BrainTumorSegLib.engine.settings import SegmentSettings


def test_our_own_error_comes_back_unchanged() -> None:
    error = InputError("Odd.", "Mend it.")
    assert translate(error) is error


def test_want_of_memory_has_its_own_kind() -> None:
    assert isinstance(translate(MemoryError()), MemoryExhaustedError)


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
