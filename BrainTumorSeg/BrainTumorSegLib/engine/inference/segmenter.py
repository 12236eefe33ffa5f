"""The two stages of the published systems: classify slices, segment those that may hold tumour, and make a Result."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from BrainTumorSegLib.engine.errors import Cancelled
from BrainTumorSegLib.engine.inference.appearance import Appearance
from BrainTumorSegLib.engine.inference.device import Compute, choose
from BrainTumorSegLib.engine.inference.head_size import head_size_warnings
from BrainTumorSegLib.engine.inference.mirroring import answer_with_mirror_image
from BrainTumorSegLib.engine.inference.preprocessing import AxialSlices, prepare
from BrainTumorSegLib.engine.inference.refinement import LOGIT_LIMIT, refine
from BrainTumorSegLib.engine.inference.runner import NetworkRunner, Task, answer
from BrainTumorSegLib.engine.inference.slice_scores import slice_probabilities, through_gate
from BrainTumorSegLib.engine.inference.thickness import thin_slice_warnings
from BrainTumorSegLib.engine.measurement.measure import Measures, measure
from BrainTumorSegLib.engine.measurement.result import Result
from BrainTumorSegLib.engine.models.loading import Model, load_model
from BrainTumorSegLib.engine.models.store import ModelStore
from BrainTumorSegLib.engine.networks.inputs import SEQUENCES, SIZE_PX
from BrainTumorSegLib.engine.settings import SegmentSettings, UsedSettings
from BrainTumorSegLib.engine.study.study import Study

Progress = Callable[[str, float], None]
"""Called with (stage, fraction done, 0-1, never decreasing)."""

_SPANS = {"preprocess": (0.0, 0.1), "classify": (0.1, 0.4), "segment": (0.4, 0.95), "postprocess": (0.95, 1.0)}
"""Which part of the segmenter's work each stage is, roughly by its time."""
_CLASSIFY = Task("classify a slice", "Memory ran out; slices are classified {batch} at a time.")
_SEGMENT = Task("segment a slice", "Memory ran out; slices are segmented {batch} at a time.")
_REFINE = Task(
    "correct the outline by the whole study",
    "Memory ran out; the study and its mirror image were corrected one by one.",
    None,
)


def load_segmenter(store: ModelStore, model_name: str | None = None, device: str = "auto") -> Segmenter:
    """A segmenter of a model in the store. Raises ModelError, or InputError for a device that isn't there."""
    return Segmenter(load_model(store, model_name), choose(device))


@dataclass
class _Stopwatch:
    """Reports progress, looks for cancellation, and measures each stage."""

    on_progress: Progress
    is_cancelled: Callable[[], bool]
    timings_s: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[Callable[[float], None]]:
        if self.is_cancelled():
            raise Cancelled
        start, end = _SPANS[name]
        self.on_progress(name, start)
        started = time.perf_counter()
        yield lambda fraction: self.on_progress(name, start + fraction * (end - start))
        self.timings_s[name] = time.perf_counter() - started


class Segmenter:
    """A model kept ready on a device. The same study and settings give the same result, bit for bit, on one device.

    On a GPU this holds for one that has memory for the usual batch: short of it, free memory decides how many slices
    are computed at once, and results may differ in the last bits of the probabilities. device: where it computes, such
    as "cpu" or "cuda:0".
    """

    def __init__(self, model: Model, compute: Compute) -> None:
        self._model = model
        self.device = str(compute.device)
        refiner, classifier = model.segmentation.refiner, model.classifier
        self._segment = NetworkRunner(model.segmentation.network, compute, _SEGMENT)
        self._refine = NetworkRunner(refiner, compute, _REFINE) if refiner is not None else None
        self._classify = (
            NetworkRunner(classifier.network, compute, replace(_CLASSIFY, size_px=classifier.size_px))
            if classifier is not None
            else None
        )

    def segment(
        self,
        study: Study,
        settings: SegmentSettings = SegmentSettings(),  # noqa: B008 - frozen
        on_progress: Progress = lambda _stage, _fraction: None,
        is_cancelled: Callable[[], bool] = lambda: False,
    ) -> Result:
        """Finds the tumour in a study.

        Raises Cancelled soon after ``is_cancelled`` says so, InputError for a sequence without contrast, and
        MemoryExhaustedError when every smaller way of working was tried.
        """
        used = self._resolve(settings)
        watch = _Stopwatch(on_progress, is_cancelled)
        with watch.stage("preprocess"):
            slices = prepare(study)
            unlike = _unlike_training(slices)
        with watch.stage("classify") as on_fraction:
            scores = self._classify_slices(slices, on_fraction, is_cancelled)
        chosen = through_gate(scores, used.gate, slices.neighbour_step, len(slices))
        with watch.stage("segment") as on_fraction:
            maps = self._segment_slices(slices, chosen, used.tta, on_fraction, is_cancelled)
        view = slices.view
        del slices  # as large as the study itself, where slices are thin
        with watch.stage("postprocess"):
            probability = view.restore(maps)
            np.clip(probability, 0.0, 1.0, out=probability)
            shown = maps.max(axis=(1, 2)) if scores is None else scores
            del maps
            found = measure(study, probability, shown, chosen, used)
        return self._result(study, probability, found, used, watch.timings_s, unlike)

    def _resolve(self, settings: SegmentSettings) -> UsedSettings:
        """The settings, with the model's recommendations where the user chose nothing."""
        recommended = asdict(self._model.segmentation.recommendation)
        recommended["gate"] = self._model.classifier.recommendation.gate if self._model.classifier else 0.0
        return settings.with_recommended(recommended)

    def _classify_slices(
        self, slices: AxialSlices, on_fraction: Callable[[float], None], is_cancelled: Callable[[], bool]
    ) -> npt.NDArray[np.float32] | None:
        bundle, runner = self._model.classifier, self._classify
        if bundle is None or runner is None:
            return None
        positions = np.arange(len(slices))
        logits = runner.run(
            lambda p: slices.channels(bundle.channels, p, bundle.size_px), positions, on_fraction, is_cancelled
        )
        return slice_probabilities(logits, slices.neighbour_step, bundle.recommendation.temperature)

    def _segment_slices(
        self,
        slices: AxialSlices,
        chosen: npt.NDArray[np.bool_],
        tta: bool,
        on_fraction: Callable[[float], None],
        is_cancelled: Callable[[], bool],
    ) -> npt.NDArray[np.float32]:
        """Tumour probability float32 [S, 256, 256], 0 in slices that were not chosen."""
        logits = np.full((len(slices), SIZE_PX, SIZE_PX), -LOGIT_LIMIT, np.float32)
        positions = np.flatnonzero(chosen)
        if not len(positions):
            return np.zeros_like(logits)
        channels = self._model.segmentation.channels
        logits[positions] = self._segment.run(
            lambda p: slices.channels(channels, p),
            positions,
            on_fraction,
            is_cancelled,
            answer_with_mirror_image if tta else answer,
        )[:, 0]
        maps = self._in_study(slices, slices.of_slices(logits), is_cancelled)
        maps /= self._model.segmentation.recommendation.temperature
        expit(maps, out=maps)
        maps[~chosen] = 0.0
        return maps

    def _in_study(
        self, slices: AxialSlices, logits: npt.NDArray[np.float32], is_cancelled: Callable[[], bool]
    ) -> npt.NDArray[np.float32]:
        """The logits [S, 256, 256] as the model's refiner corrects them; as they are where it has none."""
        runner = self._refine
        if runner is None:
            return logits

        def correct(views: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
            return runner.run(lambda some: views[some], np.arange(len(views)), lambda _: None, is_cancelled)

        return refine(correct, slices.sequences, logits, slices.neighbour_step)

    def _result(
        self,
        study: Study,
        probability: npt.NDArray[np.float32],
        found: Measures,
        used: UsedSettings,
        timings_s: dict[str, float],
        unlike: tuple[str, ...],
    ) -> Result:
        """What was measured, with what is needed to trace it. unlike: in what the study is unlike the training data."""
        runners = [runner for runner in (self._segment, self._refine, self._classify) if runner]
        notes = [note for runner in runners for note in runner.notes]
        return Result(
            study=study,
            mask=found.mask,
            probability=probability,
            slices=found.slices,
            review=found.review,
            lesions=found.lesions,
            segmentation_model=self._model.segmentation_provenance,
            classifier_model=self._model.classifier_provenance,
            settings=used,
            device=str(self._segment.device),
            precision=str(self._segment.precision).removeprefix("torch."),
            timings_s=timings_s,
            warnings=(*study.warnings, *unlike, *notes, *found.warnings),
        )


def _unlike_training(slices: AxialSlices) -> tuple[str, ...]:
    """A warning for each way in which the slices are unlike those that the networks learned from."""
    thin = thin_slice_warnings(slices.neighbour_step, slices.view.order.spacing_mm[0])
    size = head_size_warnings(slices.head_mm)
    return (*size, *thin, *Appearance.of(slices.sequences[SEQUENCES.index("flair")]).warnings())
