"""What is in the tree gets installed, and CMake can configure the extension."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def load_tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("update_cmake_lists", REPOSITORY / "tools/update_cmake_lists.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TOOL = load_tool()


@pytest.mark.parametrize("name", [TOOL.SCRIPTS, TOOL.RESOURCES])
def test_every_file_of_the_module_is_listed(name: str) -> None:
    listed = TOOL.listed(TOOL.CMAKE_LISTS.read_text(encoding="utf-8"), name)
    assert listed == TOOL.files_of(TOOL.MODULE)[name], "run: python tools/update_cmake_lists.py"


def test_lists_hold_code_data_and_interface() -> None:
    files = TOOL.files_of(TOOL.MODULE)
    assert {"BrainTumorSeg.py", "BrainTumorSegLib/__main__.py", "BrainTumorSegLib/cli/main.py"} <= set(
        files[TOOL.SCRIPTS]
    )
    assert {"BrainTumorSegLib/engine/output/report_schema.json", "Resources/requirements.txt"} <= set(
        files[TOOL.RESOURCES]
    )
    assert not [path for paths in files.values() for path in paths if "__pycache__" in path]


def test_a_new_file_comes_into_the_list_in_its_place(tmp_path: Path) -> None:
    for name in ("BrainTumorSeg.py", "BrainTumorSegLib/b.py", "BrainTumorSegLib/a/c.py", "BrainTumorSegLib/a/d.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    text = "set(MODULE_PYTHON_SCRIPTS\n  old.py\n  )\n\nset(MODULE_PYTHON_RESOURCES\n  )\nmore()\n"
    changed = TOOL.with_lists(text, TOOL.files_of(tmp_path))
    assert TOOL.listed(changed, TOOL.SCRIPTS) == [
        "BrainTumorSeg.py",
        "BrainTumorSegLib/a/c.py",
        "BrainTumorSegLib/b.py",
    ]
    assert TOOL.listed(changed, TOOL.RESOURCES) == ["BrainTumorSegLib/a/d.json"]
    assert changed.endswith("more()\n")


# The names and the check for missing files are those of Slicer's macros; nothing is built.
STAND_IN = """
set(Slicer_USE_FILE "${CMAKE_CURRENT_LIST_DIR}/empty.cmake")
set(Slicer_EXTENSION_GENERATE_CONFIG "${CMAKE_CURRENT_LIST_DIR}/empty.cmake")
set(Slicer_EXTENSION_CPACK "${CMAKE_CURRENT_LIST_DIR}/empty.cmake")
set(BUILD_TESTING ON)
macro(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(MY "WITH_GENERIC_TESTS" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  foreach(path ${MY_SCRIPTS} ${MY_RESOURCES})
    if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${path})
      message(FATAL_ERROR "given nonexistent file '${path}'")
    endif()
  endforeach()
  list(LENGTH MY_SCRIPTS count)
  message(STATUS "module ${MY_NAME} with ${count} scripts for ${EXTENSION_DEPENDS}")
endmacro()
macro(slicer_add_python_unittest)
  cmake_parse_arguments(MY "" "SCRIPT" "" ${ARGN})
  if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${MY_SCRIPT})
    message(FATAL_ERROR "given nonexistent test '${MY_SCRIPT}'")
  endif()
  message(STATUS "test ${MY_SCRIPT}")
endmacro()
"""


@pytest.mark.skipif(shutil.which("cmake") is None, reason="needs cmake")
def test_cmake_configures_the_extension_and_its_tests(tmp_path: Path) -> None:
    slicer = tmp_path / "slicer"
    slicer.mkdir()
    (slicer / "SlicerConfig.cmake").write_text(STAND_IN, encoding="utf-8")
    (slicer / "empty.cmake").touch()
    command = ["cmake", "-S", str(REPOSITORY), "-B", str(tmp_path / "build"), f"-DSlicer_DIR={slicer}"]
    # No compiler is needed, but project() without languages looks for one.
    command += ["-DCMAKE_C_COMPILER_WORKS=1", "-DCMAKE_CXX_COMPILER_WORKS=1"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    count = len(TOOL.files_of(TOOL.MODULE)[TOOL.SCRIPTS])
    assert f"module BrainTumorSeg with {count} scripts for PyTorch" in run.stdout
    assert "test BrainTumorSeg.py" in run.stdout
    assert "test BrainTumorSegSelfTest.py" in run.stdout
