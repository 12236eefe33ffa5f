"""Whether another runtime would be faster: the installed networks by OpenVINO and ONNX Runtime beside PyTorch.

    .venv-peers/bin/python benchmarks/runtimes.py docs/performance.md        (make bench builds .venv-peers)

The same engine on the same study, float32, with each runtime's networks in place of PyTorch's; the runs take turns, so
that whatever else the machine does slows all alike. Each runtime is given the study's own shapes, which serves it best.
A backend is worth having from 1.5 times PyTorch's speed on, from files to files.
"""

from __future__ import annotations

import argparse
import io
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import replace
from operator import truediv
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnxruntime
import openvino
import torch
from torch import nn

from bench import SEQUENCES, SLICES, THREADS, machine, timed_run
from BrainTumorSegLib.engine.inference.device import Compute
from BrainTumorSegLib.engine.inference.segmenter import Segmenter
from BrainTumorSegLib.engine.measurement.result import Result
from BrainTumorSegLib.engine.models.loading import Model, load_model
from BrainTumorSegLib.engine.models.store import ModelStore
from BrainTumorSegLib.engine.networks.folding import folded
from BrainTumorSegLib.engine.settings import SegmentSettings
from page import replace_part, table
from studies import sample_of_size

PARTS: dict[str, Callable[[dict[str, float]], float]] = {
    "networks": lambda timings_s: timings_s["classify"] + timings_s["segment"],
    "all": lambda timings_s: timings_s["total"],
}

Array = np.ndarray[Any, Any]
Compiled = Callable[[Array], Array]


def main() -> None:
    """Measures and writes the page's part 'runtimes'."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("--repeats", type=int, default=7, help="runs of each of which the median is taken")
    arguments = parser.parse_args()
    before = machine()
    torch.set_num_threads(THREADS)
    model = load_model(ModelStore.default())
    names = {
        f"PyTorch {torch.__version__}": model,
        f"OpenVINO {openvino.__version__.split('-')[0]}": by(by_openvino, model),
        f"ONNX Runtime {onnxruntime.__version__}": by(by_onnxruntime, model),
    }
    compute = Compute(torch.device("cpu"), torch.float32, "CPU")
    segmenters = {name: Segmenter(one, compute) for name, one in names.items()}
    turns = []
    with tempfile.TemporaryDirectory() as name:
        paths = sample_of_size(Path(name), (256, 256, SLICES), SEQUENCES)
        for _ in range(arguments.repeats + 1):
            turn = {each: timed_run(one, paths, Path(name), SegmentSettings()) for each, one in segmenters.items()}
            turns.append({each: timings_s for each, (timings_s, _) in turn.items()})
    results = {each: result for each, (_, result) in turn.items()}
    header = [f"medians of {arguments.repeats} turns", "classify and segment", "files to files", "fastest"]
    header += ["PyTorch's networks take", "PyTorch takes in all", "voxels that differ", "probabilities differ by"]
    text = "\n\n".join([before, table(header, rows(turns[1:], results))])
    print(text)
    replace_part(arguments.page, "runtimes", text)


def rows(turns: list[dict[str, dict[str, float]]], results: dict[str, Result]) -> list[list[str]]:
    """Of each runtime; what is compared with PyTorch is compared within each turn."""
    first, *_ = results
    reference = results[first]
    found = []
    for runtime, result in results.items():
        of = {
            name: ([part(turn[runtime]) for turn in turns], [part(turn[first]) for turn in turns])
            for name, part in PARTS.items()
        }
        ratios = {name: statistics.median(map(truediv, torchs, own)) for name, (own, torchs) in of.items()}
        found.append(
            [
                runtime,
                f"{statistics.median(of['networks'][0]):.2f} s",
                f"{statistics.median(of['all'][0]):.2f} s",
                f"{min(of['all'][0]):.2f} s",
                f"{ratios['networks']:.2f} times",
                f"{ratios['all']:.2f} times",
                f"{np.count_nonzero(result.mask != reference.mask)} of {np.count_nonzero(reference.mask)}",
                f"{np.max(np.abs(result.probability - reference.probability)):.1e}",
            ]
        )
    return found


class ByRuntime(nn.Module):
    """A network whose work another runtime does; compiled for each shape that comes."""

    def __init__(self, network: nn.Module, compile_: Callable[[nn.Module, torch.Tensor], Compiled]) -> None:
        super().__init__()
        self._compile = compile_
        self._network = (folded(network),)  # in a tuple: not a child, whose weights would be moved about
        self._compiled: dict[torch.Size, Compiled] = {}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As the network."""
        x = x.contiguous()
        if x.shape not in self._compiled:
            self._compiled[x.shape] = self._compile(self._network[0], x)
        return torch.from_numpy(self._compiled[x.shape](x.numpy()))

    def __deepcopy__(self, _memo: object) -> Self:
        """Itself: the engine copies networks to fold them."""
        return self


def by(compile_: Callable[[nn.Module, torch.Tensor], Compiled], model: Model) -> Model:
    """The model with its networks in another runtime."""
    segmentation, classifier = model.segmentation, model.classifier
    network = ByRuntime(segmentation.network, compile_)
    if segmentation.refiner is not None:
        network.refiner = ByRuntime(segmentation.refiner, compile_)
    other = replace(segmentation, network=network)
    return replace(
        model,
        segmentation=other,
        classifier=classifier and replace(classifier, network=ByRuntime(classifier.network, compile_)),
    )


def by_openvino(network: nn.Module, example: torch.Tensor) -> Compiled:
    """Through TorchScript, which OpenVINO reads."""
    found = openvino.convert_model(torch.jit.trace(network, example, check_trace=False), example_input=example)
    found.reshape(list(example.shape))
    options = {"INFERENCE_NUM_THREADS": THREADS, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.compile_model(found, "CPU", options)
    return lambda array: compiled(array)[0]


def by_onnxruntime(network: nn.Module, example: torch.Tensor) -> Compiled:
    """Through ONNX."""
    written = io.BytesIO()
    torch.onnx.export(network, (example,), written, input_names=["image"], dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(written.getvalue(), options, providers=["CPUExecutionProvider"])
    return lambda array: session.run(None, {"image": array})[0]


if __name__ == "__main__":
    main()
