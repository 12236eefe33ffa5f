"""Doctor finds what is wrong with a machine, and tells what to do about each thing."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from BrainTumorSegLib.engine.memory import needed_bytes
from BrainTumorSegLib.engine.models.index import ModelIndex, parse_index
from BrainTumorSegLib.engine.models.store import ModelStore
from BrainTumorSegLib.engine.service import doctor
from BrainTumorSegLib.engine.service.doctor import Finding, NvidiaGpu, Status, examine
from BrainTumorSegLib.engine.service.packages import needed_packages
from model_server import make_content, make_entry

REPOSITORY = Path(__file__).parents[3]
SOURCE = REPOSITORY / "BrainTumorSeg"
MODEL, CLASSIFIER = make_content(3_000), make_content(2_000, seed=1)


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """A store whose default model and classifier are installed, and a third model is not."""
    entries = [
        make_entry("flair", MODEL, default=True, classifier="slices"),
        make_entry("slices", CLASSIFIER, task="classification", default=True),
        make_entry("other", b"x"),
    ]
    made = ModelStore(parse_index({"schema": 1, "models": entries}), tmp_path / "home")
    made.cache_folder.mkdir(parents=True)
    (made.cache_folder / "flair-1.0.0.zip").write_bytes(MODEL)
    (made.cache_folder / "slices-1.0.0.zip").write_bytes(CLASSIFIER)
    return made


def find(findings: tuple[Finding, ...], name: str) -> Finding:
    return next(finding for finding in findings if finding.name == name)


def names_of(findings: tuple[Finding, ...]) -> list[str]:
    return [finding.name for finding in findings]


def test_a_machine_that_can_do_everything_has_no_problem(store: ModelStore, tmp_path: Path) -> None:
    findings = examine(lambda: store, tmp_path)
    assert [each for each in findings if each.status is Status.PROBLEM] == []
    assert names_of(findings) == [
        "python",
        *needed_packages(),
        "torch import",
        "processor",
        "gpu",
        "memory",
        "output folder",
        "model folder",
        "weights flair",
        "weights slices",
        "licence",
        "use",
    ]
    assert torch.__version__ in find(findings, "torch import").message
    assert "SHA-256 verified" in find(findings, "weights flair").message


def test_everything_that_is_wrong_has_a_remedy(store: ModelStore, tmp_path: Path) -> None:
    (store.cache_folder / "flair-1.0.0.zip").unlink()
    (store.cache_folder / "slices-1.0.0.zip").write_bytes(b"damaged")
    findings = examine(lambda: store, tmp_path / "nowhere")
    wrong = [each for each in findings if each.status is not Status.OK]
    assert {"weights flair", "weights slices", "output folder"} <= {each.name for each in wrong}
    assert all(each.remedy for each in wrong)


def test_the_output_folder_is_examined_only_if_there_is_one(store: ModelStore) -> None:
    assert "output folder" not in names_of(examine(lambda: store))


def test_the_python_that_is_needed_is_the_projects() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=" + ".".join(map(str, doctor.PYTHON_FLOOR))


@pytest.mark.parametrize(
    "name", ["psutil", "packaging", "filelock", "platformdirs", "SimpleITK", "monai", "torch", "numpy", "tqdm"]
)
def test_doctor_needs_none_of_the_packages_that_it_looks_for(name: str, tmp_path: Path) -> None:
    code = f"import sys; sys.modules[{name!r}] = None\nfrom BrainTumorSegLib.cli.main import main\nmain(['doctor'])"
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "BrainTumorSeg"), "HOME": str(tmp_path)}
    answer = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    # torch itself may warn that it has no NumPy.
    assert "defect" not in answer.stderr
    assert "licence" in answer.stdout or f"{name} can't be loaded" in answer.stdout
    assert "This machine can" in answer.stdout.splitlines()[-1]


def test_an_index_that_can_not_be_read_is_a_finding(tmp_path: Path) -> None:
    finding = find(examine(lambda: ModelStore.default({}, tmp_path)), "weights")
    assert finding.status is Status.PROBLEM
    assert "has no index.json" in finding.message


def test_an_old_python_is_a_problem() -> None:
    assert doctor.python_finding((3, 11, 0)).status is Status.OK
    finding = doctor.python_finding((3, 9, 18))
    assert finding.status is Status.PROBLEM
    assert finding.message == "Python 3.9.18 is too old: 3.11 or newer is needed."
    assert finding.remedy == "Install Python 3.11 or newer."


@pytest.mark.parametrize(
    ("package", "floor", "status", "words"),
    [
        ("numpy", "1.26", Status.OK, "numpy "),
        ("numpy", "99.1", Status.PROBLEM, "does not fit: 99.1 or newer is needed"),
        ("no-such-package", "1.0", Status.PROBLEM, "no-such-package is not installed"),
    ],
)
def test_packages_are_judged_by_their_version(package: str, floor: str, status: Status, words: str) -> None:
    finding = doctor.package_finding(package, f"{package}>={floor}")
    assert finding.status is status
    assert words in finding.message
    assert (f"pip install '{package}>={floor}'" in finding.remedy) == (status is Status.PROBLEM)


def test_a_torch_that_can_not_be_loaded_is_a_problem_and_the_rest_is_still_examined(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise OSError('[WinError 126] c10.dll was not found')")
    code = (
        "import sys; from pathlib import Path; from BrainTumorSegLib.engine.service.doctor import examine\n"
        "from BrainTumorSegLib.engine.models.index import ModelIndex\n"
        "from BrainTumorSegLib.engine.models.store import ModelStore\n"
        "for each in examine(lambda: ModelStore(ModelIndex(()), Path(sys.argv[1]))):\n"
        "    print(each.name, each.status.value, each.message, each.remedy, sep='|')"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(REPOSITORY / "BrainTumorSeg")])}
    command = [sys.executable, "-c", code, str(tmp_path / "home")]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    lines = answer.stdout.splitlines()
    broken = next(line for line in lines if line.startswith("torch import|"))
    assert broken.startswith(
        "torch import|problem|torch can't be loaded: [WinError 126] c10.dll was not found|Install torch"
    )
    assert any(line.startswith("memory|") for line in lines)
    assert not any(line.startswith("gpu|") for line in lines)


def test_no_gpu_is_no_fault() -> None:
    finding = doctor.unused_gpu_finding((), "2.13.0+cpu", None)
    assert finding.status is Status.OK
    assert "the CPU is used" in finding.message


def test_a_gpu_with_a_torch_without_cuda_is_told_what_to_install() -> None:
    finding = doctor.unused_gpu_finding((NvidiaGpu("NVIDIA RTX A2000", "550.54"),), "2.13.0+cpu", None)
    assert finding.status is Status.WARNING
    assert "NVIDIA RTX A2000 (driver 550.54) is there, but torch 2.13.0+cpu can't use it" in finding.message
    assert "built without CUDA" in finding.message
    assert "install torch with CUDA" in finding.remedy


def test_a_driver_that_is_too_old_is_told() -> None:
    finding = doctor.unused_gpu_finding((NvidiaGpu("NVIDIA RTX A2000", "470.1"),), "2.13.0+cu126", "12.6")
    assert finding.status is Status.WARNING
    assert "the driver is too old for CUDA 12.6, or the GPU is hidden" in finding.message
    assert "Update the driver" in finding.remedy
    assert "CUDA_VISIBLE_DEVICES" in finding.remedy


@pytest.mark.parametrize(
    ("script", "gpus"),
    [
        ("echo 'NVIDIA H100, 80GB, 550.54'", (NvidiaGpu("NVIDIA H100, 80GB", "550.54"),)),
        ("printf 'A, 1\\nB, 2\\n'", (NvidiaGpu("A", "1"), NvidiaGpu("B", "2"))),
        ("echo 'NVIDIA-SMI has failed'; exit 9", ()),
    ],
    ids=["one", "two", "failing"],
)
@pytest.mark.skipif(os.name != "posix", reason="the tool is stood in for by a shell script")
def test_gpus_are_those_that_nvidias_tool_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, gpus: tuple[NvidiaGpu, ...]
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert doctor.find_nvidia_gpus() == gpus


def test_no_tool_means_no_nvidia_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor.find_nvidia_gpus() == ()


def test_memory_is_compared_with_what_studies_take() -> None:
    usual, fine = (needed_bytes(size, 3) for size in ((256, 256, 36), (512, 512, 180)))
    enough, too_little = doctor.memory_finding(fine), doctor.memory_finding(fine - 1)
    assert (enough.status, too_little.status) == (Status.OK, Status.WARNING)
    assert enough.message == (
        f"{fine / 1e9:.1f} GB of memory are free; a usual study takes {usual / 1e9:.1f} GB, one of 512 x 512 x 180 "
        f"voxels with three sequences {fine / 1e9:.1f} GB."
    )
    assert "Close other programs" in too_little.remedy


def test_a_folder_on_a_small_disk_is_a_problem(small_disk: Path) -> None:
    finding = doctor.folder_finding("model folder", small_disk, 1_000_000)
    assert finding.status is Status.PROBLEM
    assert "1 MB are needed" in finding.message
    assert finding.remedy == "Free some space there. Or set BRAINTUMORSEG_HOME to another folder."


def test_what_killed_programs_left_is_cleared_and_told(tmp_path: Path) -> None:
    script = (
        "import pathlib; from BrainTumorSegLib.engine.temporary import temporary_beside; "
        f"temporary_beside(pathlib.Path({str(tmp_path / 'mask.nrrd')!r})).touch()"
    )
    subprocess.run([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(SOURCE)}, check=True)
    assert len(list(tmp_path.iterdir())) == 1
    finding = doctor.folder_finding("output folder", tmp_path, 1)
    assert finding.status is Status.OK
    assert "1 unfinished file of a program that was killed has been cleared away." in finding.message
    assert list(tmp_path.iterdir()) == []
    assert "cleared" not in doctor.folder_finding("output folder", tmp_path, 1).message


def test_a_folder_without_permission_is_a_problem(forbidden_folder: Path) -> None:
    finding = doctor.folder_finding("output folder", forbidden_folder, 1)
    assert finding.status is Status.PROBLEM
    assert "no permission" in finding.message
    assert "Choose a folder in which you may write" in finding.remedy


def test_a_model_folder_that_is_still_to_be_made_is_examined_where_it_will_be(
    store: ModelStore, tmp_path: Path
) -> None:
    fresh = replace(store, home=tmp_path / "not" / "yet")
    finding = find(examine(lambda: fresh), "model folder")
    assert finding.status is Status.OK
    assert finding.message.startswith(f"{tmp_path} can be written to")
    assert not fresh.home.exists()


def test_weights_that_can_not_be_read_are_a_finding(store: ModelStore, forbidden_folder: Path) -> None:
    del forbidden_folder  # only the loss of root's rights is needed
    if os.access(store.home, os.R_OK, effective_ids=True):
        pytest.skip("this test's own folder can be read by everybody here")
    findings = examine(lambda: store)
    assert find(findings, "weights flair").status is Status.PROBLEM
    assert find(findings, "model folder").status is Status.PROBLEM


def test_other_weights_are_examined_only_if_they_are_there(store: ModelStore) -> None:
    assert "weights other" not in names_of(examine(lambda: store))
    (store.cache_folder / "other-1.0.0.zip").write_bytes(b"y")
    finding = find(examine(lambda: store), "weights other")
    assert finding.status is Status.PROBLEM
    assert "failed its check" in finding.message


def test_a_licence_without_commerce_is_pointed_out(store: ModelStore) -> None:
    finding = find(examine(lambda: store), "licence")
    assert finding.message == "The weights are licensed CC-BY-NC-SA-4.0. Commercial use is not allowed."


def test_an_index_without_default_model_is_a_finding(tmp_path: Path) -> None:
    finding = find(examine(lambda: ModelStore(ModelIndex(()), tmp_path)), "weights")
    assert finding.status is Status.PROBLEM
    assert finding.remedy
