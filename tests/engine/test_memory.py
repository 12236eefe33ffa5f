"""What a study is said to need, against what it takes; and what is refused before anything is computed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from BrainTumorSegLib.engine import memory
from BrainTumorSegLib.engine.errors import MemoryExhaustedError
from BrainTumorSegLib.engine.memory import needed_bytes, require_memory, usable_bytes
from BrainTumorSegLib.engine.sample.study import SamplePaths

PEAK = """
import dataclasses, pathlib, re, sys
import torch
from BrainTumorSegLib.engine.inference.device import Compute
from BrainTumorSegLib.engine.inference.segmenter import Segmenter
from BrainTumorSegLib.engine.output.writing import OutputPaths, write_result
from BrainTumorSegLib.engine.study.reading import StudyPaths, read_study
from bundles import bright_flair_model

class Brightness(torch.nn.Module):
    def forward(self, x):
        return 20 * x[:, 1:2] - 8

folder = pathlib.Path(sys.argv[1])
model = bright_flair_model(folder)
model = dataclasses.replace(model, segmentation=dataclasses.replace(model.segmentation, network=Brightness()))
segmenter = Segmenter(model, Compute(torch.device("cpu"), torch.float32, "CPU"))
paths = [pathlib.Path(each) for each in sys.argv[2:]]
result = segmenter.segment(read_study(StudyPaths(*paths)))
write_result(result, OutputPaths(folder / "o.seg.nrrd", preview=folder / "o.png"))
# Not getrusage: its peak includes that of the process from which this one was started.
status = pathlib.Path("/proc/self/status").read_text()
print(result.volume_ml > 0, 1024 * int(re.search(r"VmHWM:\\s*(\\d+)", status)[1]))
"""


def resized(path: Path, size_ijk: tuple[int, int, int], target: Path) -> Path:
    image = sitk.ReadImage(str(path))
    spacing = np.array(image.GetSpacing()) * image.GetSize() / np.array(size_ijk)
    fine = sitk.Resample(
        image, size_ijk, sitk.Transform(), sitk.sitkNearestNeighbor, image.GetOrigin(), spacing.tolist(),
        image.GetDirection(), 0.0,
    )  # fmt: skip
    sitk.WriteImage(sitk.Cast(fine, sitk.sitkInt16), str(target))
    return target


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from Linux's /proc")
def test_a_study_takes_no_more_memory_than_it_is_said_to(sample_study: SamplePaths, tmp_path: Path) -> None:
    size = (512, 512, 96)
    paths = [resized(getattr(sample_study, name), size, tmp_path / f"{name}.nii") for name in ("flair", "t1", "t1c")]
    command = [sys.executable, "-c", PEAK, str(tmp_path), *map(str, paths)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    found, peak = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()
    assert found == "True"
    said = needed_bytes(size, 3)
    assert int(peak) <= said
    assert int(peak) >= 0.6 * said  # one that says much more would refuse what can be done


def test_need_grows_with_voxels_and_sequences() -> None:
    cube = (512, 512, 512)
    assert needed_bytes(cube, 1) < 2_500_000_000
    assert needed_bytes((512, 512, 180), 3) < 2_500_000_000
    assert needed_bytes(cube, 3) - needed_bytes(cube, 1) == 2 * 4 * 512**3
    assert needed_bytes((180, 512, 512), 1) == needed_bytes((512, 512, 180), 1)


def test_what_can_be_used_is_less_than_the_machine_has_and_more_than_nothing() -> None:
    psutil = pytest.importorskip("psutil")
    assert 0 < usable_bytes() < 1.1 * (psutil.virtual_memory().total + psutil.swap_memory().total)


def test_what_does_not_fit_is_refused_with_both_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "usable_bytes", lambda: 1_000_000_000)
    require_memory("FLAIR", (256, 256, 36), 3)
    words = r"FLAIR has 512 x 512 x 512 voxels, for which \d\.\d GB of memory are needed, but 1\.0 GB are free\. Close"
    with pytest.raises(MemoryExhaustedError, match=words):
        require_memory("FLAIR", (512, 512, 512), 1)


@pytest.mark.parametrize(
    ("files", "left"),
    [
        ({"memory.max": "900\n", "memory.current": "500\n", "memory.stat": "anon 9\ninactive_file 100\n"}, 500),
        ({"memory.max": "max\n", "memory.current": "500\n", "memory.stat": "inactive_file 100\n"}, float("inf")),
        ({}, float("inf")),
    ],
    ids=["limited", "unlimited", "no container"],
)
def test_a_container_s_limit_counts(tmp_path: Path, files: dict[str, str], left: float) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert memory._left_in_container(tmp_path) == left


def test_the_command_refuses_before_it_reads(tmp_path: Path) -> None:
    """A header that announces more than this test's limit on memory; its voxels are not even there."""
    header = tmp_path / "huge.mhd"
    header.write_text(
        "ObjectType = Image\nNDims = 3\nDimSize = 800 800 800\nElementSpacing = 0.3 0.3 0.3\nElementType = MET_SHORT\n"
        "ElementDataFile = huge.raw\n"
    )
    code = (
        "import sys; from BrainTumorSegLib.engine import memory; memory.usable_bytes = lambda: 2_000_000_000\n"
        "from BrainTumorSegLib.engine.study.reading import StudyPaths, read_study; import pathlib\n"
        "read_study(StudyPaths(pathlib.Path(sys.argv[1])))"
    )
    command, environment = (
        [sys.executable, "-c", code, str(header)],
        os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert re.search(r"MemoryExhaustedError: .*800 x 800 x 800 voxels", ended.stderr), ended.stderr
