"""Packages are asked for, torch comes by the PyTorch extension and stays out of Slicer's process.

slicer.packaging and PyTorchUtils need Slicer's application: stand-ins here record what they are asked for. That
Slicer's own behave as called is read from their source (5.12), not run.
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest
from packaging.requirements import Requirement

REQUIREMENTS = [Requirement("monai>=1.6"), Requirement("filelock>=3.13")]


class Computer:
    """What is installed, what was asked for, and how the installers behave."""

    def __init__(self) -> None:
        self.torch: str | None = None
        self.installed: set[str] = set()
        self.calls: list[str] = []
        self.onTorch: Callable[[], None] = self.bringTorch

    def bringTorch(self) -> None:
        self.torch = "2.13.0"

    def installTorch(self, askConfirmation: bool, torchVersionRequirement: str) -> Any:
        assert not askConfirmation, "it has been asked"
        self.calls.append(f"torch{torchVersionRequirement}")
        self.onTorch()
        return importlib.import_module("torch")

    def pip_ensure(self, requirements: list[Requirement], requester: str, prompt_install: bool) -> None:
        assert not prompt_install, "it has been asked"
        self.calls.append(f"{requester}: {', '.join(each.name for each in requirements)}")
        self.installed |= {each.name for each in requirements}


@pytest.fixture
def computer(shell: Any, monkeypatch: pytest.MonkeyPatch) -> Computer:
    from BrainTumorSegLib.application import dependencies

    made = Computer()
    packaging = types.ModuleType("slicer.packaging")
    packaging.load_requirements = lambda _path: REQUIREMENTS  # type: ignore[attr-defined]
    packaging.pip_check = lambda each: each.name in made.installed  # type: ignore[attr-defined]
    packaging.pip_ensure = made.pip_ensure  # type: ignore[attr-defined]
    utils = types.ModuleType("PyTorchUtils")
    utils.PyTorchUtilsLogic = lambda: made  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "slicer.packaging", packaging)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", utils)
    monkeypatch.setattr(dependencies, "installedTorch", lambda: made.torch)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    return made


@pytest.fixture
def ensure(computer: Computer, module: Any, shell: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    opened = shell.open(module.BrainTumorSegWidget)
    yield opened.controller._computerPanel.ensurePackages
    opened.cleanup()


def test_opening_the_module_installs_nothing(ensure: Any, computer: Computer) -> None:
    assert computer.calls == []


def test_torch_comes_by_its_extension_first_and_is_not_imported(ensure: Any, computer: Computer) -> None:
    assert ensure() == ""
    assert computer.calls == ["torch>=2.8", "BrainTumorSeg: monai, filelock"]
    assert "torch" not in sys.modules


def test_nothing_is_asked_where_all_is_there(ensure: Any, computer: Computer) -> None:
    computer.torch, computer.installed = "2.13.0+cpu", {"monai", "filelock"}
    assert ensure() == ""
    assert computer.calls == []


def test_an_old_torch_is_replaced(ensure: Any, computer: Computer) -> None:
    computer.torch, computer.installed = "1.13.1", {"monai", "filelock"}
    ensure()
    assert computer.calls[0] == "torch>=2.8"


def test_a_no_is_said_with_the_way_back(ensure: Any, computer: Computer, shell: Any) -> None:
    shell.dialogs.answer = False
    assert "declined" in ensure()
    assert "install from a folder" in ensure()
    assert computer.calls == []


def test_torch_and_the_rest_are_one_question(ensure: Any, computer: Computer, shell: Any) -> None:
    ensure()
    (question,) = [text for text in map(str, shell.dialogs.shown) if "Python packages" in text]
    assert "torch>=2.8, monai>=1.6, filelock>=3.13" in question


def test_a_failed_torch_installation_is_a_message(ensure: Any, computer: Computer) -> None:
    def fail() -> None:
        raise OSError("no route to host")

    computer.onTorch = fail
    message = ensure()
    assert "PyTorch could not be installed: no route to host." in message
    assert "HTTPS_PROXY" in message


def test_without_the_pytorch_extension_the_message_says_where_to_get_it(
    ensure: Any, computer: Computer, shell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    shell.dialogs.answer = False
    assert "Extensions Manager" in ensure()


@pytest.mark.parametrize(
    ("arrives", "said"), [(True, "Restart Slicer, then click"), (False, "Install PyTorch in the Extensions Manager")]
)
def test_the_pytorch_extension_is_installed_when_wanted(
    ensure: Any, computer: Computer, shell: Any, monkeypatch: pytest.MonkeyPatch, arrives: bool, said: str
) -> None:
    asked = []

    class Manager:
        interactive = True

        def installExtensionFromServer(self, name: str, restart: bool) -> bool:
            asked.append((name, restart, self.interactive))
            return arrives

    manager = Manager()
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    monkeypatch.setattr(shell.app, "extensionsManagerModel", lambda: manager, raising=False)
    assert said in ensure()
    assert asked == [("PyTorch", False, False)]
    assert manager.interactive
    assert "Slicer must be restarted" in shell.dialogs.shown[0]


def test_nothing_is_installed_while_slicer_tests(
    ensure: Any, computer: Computer, shell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell.app, "testingEnabled", lambda: True)
    assert ensure() == ""
    assert computer.calls == []


def test_torch_stays_out_even_if_an_installer_imports_it(shell: object) -> None:
    from BrainTumorSegLib.application.dependencies import torchStaysOut

    loaded = sys.modules.pop("torch", None)
    try:
        with torchStaysOut():
            importlib.import_module("torch")
        assert "torch" not in sys.modules
    finally:
        if loaded is not None:
            sys.modules["torch"] = loaded


def test_every_other_error_of_an_installer_passes(shell: object) -> None:
    from BrainTumorSegLib.application.dependencies import torchStaysOut

    with pytest.raises(ModuleNotFoundError, match="no_such_package"), torchStaysOut():
        importlib.import_module("no_such_package")
