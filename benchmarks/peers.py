"""Time and memory of other programs' networks, and of these programs where they are whole ones, on one study.

    .venv-peers/bin/python benchmarks/peers.py STUDY --repeats 3        (make bench does it)

STUDY holds flair, t1, t1c and reference.nii.gz on one grid. Weights are random, which does not change the time. Each
runs in a process of its own, loaded, and once before it counts; prints a JSON object a line.

- nnU-Net v2, 2D: planned by its own planner from this study, run by its own predictor with its defaults (mirroring,
  tiles half a tile apart, Gaussian weights), from files to files.
- MONAI's bundle brats_mri_segmentation: network, transforms and sliding window of its inference.json. It takes BraTS's
  format: the study is brought to 240 x 240 x 155 voxels of 1 mm before the time begins, with FLAIR for the missing T2.
- Buda et al., "Association of genomic subtypes of lower-grade gliomas with shape features" (2019): the U-Net, 32 slices
  at once as in their inference. Their program reads TIFF slices; here the network alone is timed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch
from torch import nn
from torch.nn import functional

from floors import Roofline, copy_bytes_per_s, matrix_flops_per_s, seconds

SEQUENCES = ("flair", "t1", "t1c")
BRATS_SIZE = (240, 240, 155)
BRATS_CHANNELS = ("t1c", "t1", "flair", "flair")
BUDA_BATCH = 32


@dataclass
class Peer:
    """What was measured of one: medians in seconds; end_to_end_s is None where it is no whole program.

    floor_s: the least time for what ``network_s`` covers, see floors.Roofline. gmac: of the same.
    """

    name: str
    sees: str
    network_s: float
    floor_s: float
    gmac: float
    end_to_end_s: float | None
    peak_mb: float


@dataclass
class Case:
    """A peer ready to run. run: returns the seconds of network and window within it."""

    name: str
    sees: str
    network: nn.Module
    run: Callable[[], float]
    is_whole: bool


def main() -> None:
    """Measures each peer in a process of its own and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    for prepare in (nnunet, segresnet, buda):
        # Of concurrent.futures, whose processes may have children: nnU-Net's planner needs some.
        own_process = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        with tempfile.TemporaryDirectory() as folder, own_process as pool:
            measures = (measured, prepare, arguments.study, Path(folder), arguments.repeats, arguments.threads)
            peer = pool.submit(*measures).result()
        print(json.dumps(asdict(peer)), flush=True)


def measured(prepare: Callable[[Path, Path], Case], study: Path, folder: Path, repeats: int, threads: int) -> Peer:
    """The medians of a peer's runs, after one under the roofline that does not count."""
    torch.set_num_threads(threads)
    with contextlib.redirect_stdout(sys.stderr), torch.inference_mode():
        case = prepare(study, folder)
        roofline = Roofline({torch.float32: matrix_flops_per_s(torch.float32)}, copy_bytes_per_s())
        with within(case.network, roofline):
            case.run()
        # Planning and the roofline took memory too: the peak begins anew (proc(5), since Linux 4.0).
        Path("/proc/self/clear_refs").write_text("5")
        network_s, whole_s = [], []
        for _ in range(repeats):
            started = time.perf_counter()
            network_s.append(case.run())
            whole_s.append(time.perf_counter() - started)
    return Peer(
        case.name,
        case.sees,
        statistics.median(network_s),
        roofline.seconds,
        roofline.flops / 2e9,
        statistics.median(whole_s) if case.is_whole else None,
        peak_mb(),
    )


def peak_mb() -> float:
    """Of this process since the peak began anew."""
    return int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) / 1024


@contextlib.contextmanager
def within(network: nn.Module, roofline: Roofline) -> Iterator[None]:
    """The roofline counts what the network does, and nothing around it."""

    def begin(*_: object) -> None:
        roofline.__enter__()

    def end(*_: object) -> None:
        roofline.__exit__(None, None, None)

    hooks = (network.register_forward_pre_hook(begin), network.register_forward_hook(end))
    yield
    for hook in hooks:
        hook.remove()


def nnunet(study: Path, folder: Path) -> Case:
    """nnU-Net's 2D configuration as its planner makes it of a data set of this study."""
    raw, preprocessed = folder / "raw" / "Dataset001_Study", folder / "preprocessed"
    os.environ |= {
        "nnUNet_raw": str(raw.parent),
        "nnUNet_preprocessed": str(preprocessed),
        "nnUNet_results": str(folder),
    }
    write_data_set(study, raw)

    from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprints, plan_experiments
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    extract_fingerprints([1], num_processes=1)
    plan_experiments([1])
    plans = PlansManager(str(preprocessed / raw.name / "nnUNetPlans.json"))
    configuration = plans.get_configuration("2d")
    labels = json.loads((raw / "dataset.json").read_text())
    network = nnUNetTrainer.build_network_architecture(
        plans, configuration, len(SEQUENCES), len(labels["labels"]), enable_deep_supervision=False
    )
    predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
    predictor.manual_initialization(
        network.eval(), plans, configuration, [network.state_dict()], labels, "nnUNetTrainer", (0, 1)
    )
    predict = Timed(predictor.predict_logits_from_preprocessed_data)
    predictor.predict_logits_from_preprocessed_data = predict
    inputs = [sorted(str(path) for path in (raw / "imagesTr").iterdir())[: len(SEQUENCES)]]

    def run() -> float:
        predictor.predict_from_files_sequential(inputs, [str(folder / "found")])
        return predict.seconds

    patch = " x ".join(map(str, configuration.patch_size))
    stages = configuration.network_arch_init_kwargs["features_per_stage"]
    sees = f"each slice four times (mirrored), tiles of {patch}; {type(network).__name__} of {len(stages)} stages"
    return Case(f"nnU-Net {version('nnunetv2')}, 2D", sees, network, run, is_whole=True)


def write_data_set(study: Path, raw: Path) -> None:
    """The study as nnU-Net's raw data set; a planner wants more than one case, so it is there twice."""
    for name in ("imagesTr", "labelsTr"):
        (raw / name).mkdir(parents=True)
    for case in ("a", "b"):
        for number, sequence in enumerate(SEQUENCES):
            (raw / "imagesTr" / f"{case}_{number:04d}.nii.gz").symlink_to(study / f"{sequence}.nii.gz")
        (raw / "labelsTr" / f"{case}.nii.gz").symlink_to(study / "reference.nii.gz")
    description = {
        "channel_names": {str(number): name for number, name in enumerate(SEQUENCES)},
        "labels": {"background": 0, "tumour": 1},
        "numTraining": 2,
        "file_ending": ".nii.gz",
    }
    (raw / "dataset.json").write_text(json.dumps(description))


def segresnet(study: Path, folder: Path) -> Case:
    """MONAI's bundle, by its inference.json."""
    from monai.inferers import SlidingWindowInferer
    from monai.networks.nets import SegResNet
    from monai.transforms import Activationsd, AsDiscreted, Compose, LoadImaged, NormalizeIntensityd, SaveImaged

    files = [
        brats_format(study / f"{name}.nii.gz", folder / f"{number}.nii.gz")
        for number, name in enumerate(BRATS_CHANNELS)
    ]
    network = SegResNet(
        init_filters=16, blocks_down=(1, 2, 2, 4), blocks_up=(1, 1, 1), in_channels=4, out_channels=3, dropout_prob=0.2
    ).eval()
    before = Compose([LoadImaged("image"), NormalizeIntensityd("image", nonzero=True, channel_wise=True)])
    after = Compose(
        [
            Activationsd("pred", sigmoid=True),
            AsDiscreted("pred", threshold=0.5),
            SaveImaged("pred", output_dir=folder, output_dtype=np.uint8, resample=False, print_log=False),
        ]
    )
    infer = Timed(SlidingWindowInferer((240, 240, 160), sw_batch_size=1, overlap=0.5))

    def run() -> float:
        data = before({"image": files})
        data["pred"] = infer(data["image"][None], network)[0]
        after(data)
        return infer.seconds

    sees = f"{' x '.join(map(str, BRATS_SIZE))} voxels of 1 mm, four channels, one window"
    return Case(f"MONAI {version('monai')}, BraTS SegResNet", sees, network, run, is_whole=True)


def brats_format(path: Path, target: Path) -> str:
    """The image about its centre at BraTS's size and spacing; writes it and returns the path."""
    image = sitk.ReadImage(str(path), sitk.sitkFloat32)
    middle = image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()])
    axes = np.reshape(image.GetDirection(), (3, 3))
    origin = np.array(middle) - axes @ [(n - 1) / 2 for n in BRATS_SIZE]
    grid = (BRATS_SIZE, sitk.Transform(), sitk.sitkLinear, origin.tolist(), (1.0, 1.0, 1.0), image.GetDirection())
    sitk.WriteImage(sitk.Resample(image, *grid), str(target))
    return str(target)


def buda(study: Path, _folder: Path) -> Case:
    """The network on the study's slices as they are."""
    arrays = [sitk.GetArrayFromImage(sitk.ReadImage(str(study / f"{name}.nii.gz"))) for name in SEQUENCES]
    slices = torch.from_numpy(np.stack(arrays, axis=1).astype(np.float32))
    slices = (slices - slices.mean()) / slices.std()
    network = PlainUNet().eval()

    def run() -> float:
        return seconds(lambda: [network(batch) for batch in slices.split(BUDA_BATCH)])

    sees = f"{len(slices)} slices of {' x '.join(map(str, slices.shape[2:]))}, three channels"
    return Case("U-Net of Buda et al.", sees, network, run, is_whole=False)


class PlainUNet(nn.Module):
    """Five levels of 32 to 512 channels, two convolutions with batch normalisation each; 7,763,041 parameters."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 32, 64, 128, 256, 512)
        steps = list(pairwise(widths[1:]))[::-1]
        self.down = nn.ModuleList(twice(above, width) for above, width in pairwise(widths))
        self.lift = nn.ModuleList(nn.ConvTranspose2d(below, width, 2, 2) for width, below in steps)
        self.up = nn.ModuleList(twice(2 * width, width) for width, _ in steps)
        self.output = nn.Conv2d(widths[1], 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps float [B, 3, H, W] to probabilities [B, 1, H, W]."""
        maps = [self.down[0](x)]
        for block in list(self.down)[1:]:
            maps.append(block(functional.max_pool2d(maps[-1], 2)))
        below = maps.pop()
        for lift, block in zip(self.lift, self.up, strict=True):
            below = block(torch.cat([lift(below), maps.pop()], dim=1))
        return torch.sigmoid(self.output(below))


def twice(channels_in: int, channels_out: int) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU; and again."""
    layers: list[nn.Module] = []
    for channels in (channels_in, channels_out):
        layers += [
            nn.Conv2d(channels, channels_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(True),
        ]
    return nn.Sequential(*layers)


class Timed:
    """A function that keeps how long its last call took."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.seconds = 0.0

    def __call__(self, *arguments: Any) -> Any:
        """Calls it."""
        started = time.perf_counter()
        answer = self._function(*arguments)
        self.seconds = time.perf_counter() - started
        return answer


if __name__ == "__main__":
    main()
