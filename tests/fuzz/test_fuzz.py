"""A bounded run of each fuzzing target, from small valid files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import SimpleITK as sitk

from cohorts import write_volume
from dicom_series import write_series

pytest.importorskip("atheris", reason="atheris is built for Linux alone")

TARGETS = Path(__file__).with_name("targets.py")
RUNS = 400
ENDINGS = {".nii": 0, ".nii.gz": 1, ".nrrd": 2, ".mha": 3}
REQUESTS = (
    {"id": "1", "command": "segment", "flair": "a.nii", "output": "b.seg.nrrd", "threshold": 0.5, "tta": False},
    {"id": "2", "command": "study", "study": "a", "folder": "o", "batch": "b", "inputs_key": "k", "flair": "a.nii"},
    {"id": "3", "command": "cancel", "target": "1"},
    {"id": "4", "command": "ping"},
)


def write_seeds(target: str, folder: Path) -> None:
    """Valid inputs, from which the fuzzer sets out."""
    folder.mkdir()
    small = sitk.ReadImage(str(write_volume(folder.parent / "small.nii.gz")))[:16, :16, :6]
    if target == "reader":
        for ending, number in ENDINGS.items():
            path = folder.parent / f"seed{ending}"
            sitk.WriteImage(small, str(path))
            (folder / f"seed{ending}").write_bytes(bytes([number]) + path.read_bytes())
    elif target == "dicom":
        paths = write_series(folder.parent / "series", sitk.Cast(small, sitk.sitkInt16))
        (folder / "slice").write_bytes(paths[0].read_bytes()[132:])
    elif target == "bundle":
        metadata = {"name": "x", "version": "1", "braintumorseg": {"network": "ResUNet", "arguments": {}}}
        (folder / "metadata").write_bytes(json.dumps(metadata).encode() + b"\0\0weights")
    elif target == "index":
        (folder / "index").write_bytes((TARGETS.parents[2] / "BrainTumorSeg/Resources/Models.json").read_bytes())
    elif target == "studies":
        (folder / "list").write_bytes(b"id,flair,t1\r\na,b.nii,c.nii\r\n")
    else:
        (folder / "lines").write_bytes(b"".join(json.dumps(each).encode() + b"\n" for each in REQUESTS))


@pytest.mark.parametrize("target", ["reader", "dicom", "bundle", "index", "studies", "protocol"])
def test_no_bytes_from_outside_crash_hang_or_end_as_a_defect(target: str, tmp_path: Path) -> None:
    write_seeds(target, tmp_path / "seeds")
    options = [f"-runs={RUNS}", "-seed=29", "-timeout=60", "-rss_limit_mb=4096", f"-artifact_prefix={tmp_path}/"]
    run = subprocess.run(
        [sys.executable, str(TARGETS), target, *options, str(tmp_path / "seeds")],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert "DONE" in run.stderr or "Done" in run.stderr
