"""Which files a first use leaves on a computer, and that uninstalling and one button take them all away."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from installed_extension import MODEL_FILE, install

REPOSITORY = Path(__file__).parents[2]

# A process of its own, as Slicer is one: started in an empty home, with an empty temporary folder.
USE = """
import json, sys
from pathlib import Path

folder, module = Path(sys.argv[1]), Path(sys.argv[2])
from qt_shell import Shell
from slicer_core_scene import makeScene

shell = Shell(module / "BrainTumorSeg.py", str(folder / "tmp"))
scene = makeScene()
shell.begin()
import numpy as np, slicer
from phantomScene import addVolume

for name in ("FLAIR", "T1"):
    array = slicer.util.arrayFromVolume(addVolume(scene, name))
    array += np.random.default_rng(0).integers(0, 40, array.shape).astype(array.dtype)

def files():
    # Slicer's own settings file and cache folder, which the shell puts into the temporary folder, are not ours. Nor is
    # matplotlib's list of fonts: MONAI imports matplotlib where it is installed, and the extension installs none.
    foreign = ("BrainTumorSegTests", slicer.cacheFolder.name, ".cache/matplotlib")
    found = [path for path in folder.rglob("*") if path.is_file() and not any(each in str(path) for each in foreign)]
    return sorted(str(path.relative_to(folder)) for path in found)

import BrainTumorSeg
from BrainTumorSegLib.widget import computerPanel

computerPanel.missingPackages = lambda _path: ()
panel = shell.open(BrainTumorSeg.BrainTumorSegWidget)
said = {}
panel.ui.segmentButton.click()
shell.processEventsUntil(lambda: not panel.controller.isRunning, 200)
said["result"] = panel.ui.statusLabel.text
said["asked"] = list(shell.dialogs.shown)
said["used"] = files()
models = folder / "home/.local/share/BrainTumorSeg/models"
if models.is_dir():
    (models / ".braintumorseg-half.zip").write_bytes(b"half a download")
panel.ui.removeAllModelsButton.click()
shell.processEventsUntil(lambda: not panel.logic._activities, 200)
said["removal"] = panel.ui.modelsStatusLabel.text
panel.cleanup()
said["left"] = files()
said["folders"] = sorted(str(path.relative_to(folder)) for path in (folder / "home").rglob("*") if path.is_dir())
said["heavy"] = sorted({name.split(".")[0] for name in sys.modules} & {"torch", "monai", "torchvision"})
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def use(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What a whole use says and leaves: download, segmentation, removal of the models."""
    pytest.importorskip("slicer", reason="needs real MRML: pip install slicer-core")
    folder = tmp_path_factory.mktemp("computer")
    module = install(REPOSITORY / "BrainTumorSeg", tmp_path_factory.mktemp("extension"))
    for name in ("home", "tmp"):
        (folder / name).mkdir()
    paths = (module, REPOSITORY / "tests", REPOSITORY / "tests" / "scene")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "QT_QPA_PLATFORM": "offscreen",
        "BRAINTUMORSEG_MIRROR": str(module.parent / "mirror"),
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "PYTHONDONTWRITEBYTECODE": "1",  # Slicer's installation holds the compiled files of modules
    }
    run = subprocess.run(
        [sys.executable, "-c", USE, str(folder), str(module)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert run.returncode == 0, run.stderr
    shutil.rmtree(module)
    return json.loads(run.stdout.splitlines()[-1])


def test_a_use_leaves_the_model_cache_and_nothing_else(use: dict[str, list[str]]) -> None:
    assert "Tumour found" in use["result"]
    cache = "home/.local/share/BrainTumorSeg/models"
    assert use["used"] == [f"{cache}/.lock", f"{cache}/{MODEL_FILE}"]


def test_a_button_removes_the_whole_cache_with_locks_and_partial_downloads(use: dict[str, list[str]]) -> None:
    assert use["removal"] == "Removed every downloaded model from this computer."
    assert use["left"] == []
    assert not [folder for folder in use["folders"] if "BrainTumorSeg" in folder]


def test_the_process_that_holds_the_scene_never_loaded_the_networks_libraries(use: dict[str, list[str]]) -> None:
    assert use["heavy"] == []
