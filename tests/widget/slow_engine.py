"""The engine's own server, hand-over and comparison, and a threshold instead of a network, as a test wants it.

For timing and faults alone: what a click brings with the real model is tested in test_click_path.py. The environment
variable SLOW_ENGINE is a JSON object: ``stage_s`` (seconds each stage takes), ``die_at`` and ``fail_at`` (a stage),
``deaf`` (ignore cancel), ``silent_at`` (a stage that never ends and says nothing), ``helper`` (a file: start a process
of its own, which would outlive this one, and write its id there), ``problem`` (what the check of the computer finds),
``load_fails``, ``no_classifier``, ``warnings`` (sentences to note), ``only`` (a part of the path of the studies that
all this happens to), ``done`` (a file: write the name of each study of a batch there that is done).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from BrainTumorSegLib.engine.errors import Cancelled, InputError, MemoryExhaustedError, ModelError
from BrainTumorSegLib.engine.measurement.lesions import find_lesions, slice_measures
from BrainTumorSegLib.engine.measurement.result import Result, SliceScore
from BrainTumorSegLib.engine.models.index import ModelProvenance
from BrainTumorSegLib.engine.output.report import build_report
from BrainTumorSegLib.engine.output.writing import write_result
from BrainTumorSegLib.engine.service.cohort.task import do_study
from BrainTumorSegLib.engine.service.requests import WorkerCommands, parse_job, parse_study
from BrainTumorSegLib.engine.service.run import ALIGNMENTS, SegmentJob
from BrainTumorSegLib.engine.service.server import claim_stdin, claim_stdout, serve
from BrainTumorSegLib.engine.settings import UsedSettings
from BrainTumorSegLib.engine.study.axial import AxialOrder
from BrainTumorSegLib.engine.study.geometry import Volume
from BrainTumorSegLib.engine.study.reading import StudyPaths, read_study
from BrainTumorSegLib.engine.study.study import Study

STAGES = ("read", "load", "preprocess", "classify", "segment", "postprocess", "write")
WANTED: dict[str, Any] = json.loads(os.environ.get("SLOW_ENGINE", "{}"))


def segment(request: dict[str, Any], send: Callable[..., None], is_cancelled: Callable[[], bool]) -> None:
    """Voxels brighter than half the maximum are tumour."""
    result = segment_job(parse_job(request), send, is_cancelled)
    send("done", report=build_report(result), files={})


def study(request: dict[str, Any], send: Callable[..., None], is_cancelled: Callable[[], bool]) -> None:
    """A study of a batch, with the engine's own folder of results."""
    row = do_study(parse_study(request), lambda job: segment_job(job, send, is_cancelled))
    if "done" in WANTED:
        with Path(WANTED["done"]).open("a") as stream:
            stream.write(f"{row.study}\n")
    send("done", row=vars(row))


def refine(request: dict[str, Any], send: Callable[..., None], is_cancelled: Callable[[], bool]) -> None:
    """The engine's own."""
    _suffer("refine", is_cancelled)
    WorkerCommands().table()["refine"](request, send, is_cancelled)


def explain(request: dict[str, Any], send: Callable[..., None], is_cancelled: Callable[[], bool]) -> None:
    """What is bright in the slice, instead of what a classifier looks at."""
    _suffer("explain", is_cancelled)
    if WANTED.get("no_classifier"):
        raise InputError("This model has no slice classifier, so there is nothing to explain.", "Use another model.")
    flair = read_study(StudyPaths(Path(request["flair"])))
    found = np.zeros_like(flair.flair)
    order = AxialOrder.of(flair.geometry)
    order.to_axial(found)[request["slice"]] = order.to_axial(flair.flair / flair.flair.max())[request["slice"]]
    sitk.WriteImage(Volume(found, flair.geometry).to_image(), request["output"])
    send("done", files={"map": request["output"]})


def load(_request: dict[str, Any], send: Callable[..., None], _is_cancelled: Callable[[], bool]) -> None:
    """There is nothing to load."""
    if WANTED.get("load_fails"):
        raise ModelError("Model lgg-2 is not on this computer.", "Download it.")
    send("done", device="cpu")


def segment_job(job: SegmentJob, send: Callable[..., None], is_cancelled: Callable[[], bool]) -> Result:
    """Read, suffer, measure, write."""
    if "helper" in WANTED:
        helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        Path(WANTED["helper"]).write_text(str(helper.pid))
    study = read_study(job.inputs, ALIGNMENTS[job.settings.register])
    for number, stage in enumerate(STAGES):
        send("progress", stage=stage, fraction=number / len(STAGES))
        if WANTED.get("only", "") in str(job.inputs.flair):
            _suffer(stage, is_cancelled)
    result = result_of(study, job.settings)
    write_result(result, job.outputs)
    return result


def _suffer(stage: str, is_cancelled: Callable[[], bool]) -> None:
    if stage == WANTED.get("die_at"):
        os._exit(9)
    if stage == WANTED.get("fail_at"):
        raise MemoryExhaustedError("There is not enough memory for this study.", "Close other programs.")
    if stage == WANTED.get("silent_at"):
        time.sleep(600)
    end = time.monotonic() + WANTED.get("stage_s", 0.02)
    while time.monotonic() < end:
        time.sleep(0.01)
        if is_cancelled() and not WANTED.get("deaf"):
            raise Cancelled


def result_of(study: Study, settings: Any) -> Result:
    """The engine's own measures on a threshold."""
    mask = study.flair > study.flair.max() / 2
    probability = np.where(mask, 0.9, 0.0).astype(np.float32)
    measures = slice_measures(mask, probability, study.geometry)
    model = ModelProvenance("threshold", "1.0.0", "ab" * 32, "CC0")
    return Result(
        study=study,
        mask=mask,
        probability=probability,
        slices=tuple(
            SliceScore(number, tumour_probability=0.75, segmented=True, **asdict(each))
            for number, each in enumerate(measures)
        ),
        lesions=find_lesions(mask, study.geometry),
        segmentation_model=model,
        classifier_model=None,
        settings=UsedSettings(threshold=0.5, gate=0.0, min_volume_ml=0.0, tta=settings.tta),
        device="cpu",
        precision="float32",
        warnings=(*study.warnings, *WANTED.get("warnings", ())),
    )


def doctor(_request: dict[str, Any], send: Callable[..., None], _is_cancelled: Callable[[], bool]) -> None:
    """Nothing to complain of, unless a test wants it."""
    ok = {"name": "memory", "status": "ok", "message": "8.0 GB of memory are free.", "remedy": ""}
    problem = {"name": "torch", "status": "problem", "message": WANTED.get("problem"), "remedy": "Install torch."}
    send("done", findings=[problem if WANTED.get("problem") else ok])


if __name__ == "__main__":
    with claim_stdout() as events:
        commands = (segment, study, load, doctor, refine, explain)
        real = {name: WorkerCommands().table()[name] for name in ("hand_over", "compare")}
        serve(claim_stdin(), events, {**real, **{each.__name__: each for each in commands}})
