"""The worker's requests that take time: segment, study, load and doctor.

torch is imported by the first segmentation, not before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.service.server import Request, Send, ThrottledProgress, Work
from BrainTumorSegLib.engine.settings import CHOICES, MIN_VOLUME, REGISTER

if TYPE_CHECKING:
    from BrainTumorSegLib.engine.models.store import ModelStore
    from BrainTumorSegLib.engine.output.writing import OutputPaths
    from BrainTumorSegLib.engine.service.cohort.task import StudyTask
    from BrainTumorSegLib.engine.service.handover import HandOver
    from BrainTumorSegLib.engine.service.run import SegmenterCache, SegmentJob

# Every field of a segment request, with the types it may have; all but flair and output may be missing or null.
_RESULT_PATHS = (
    *("flair", "t1", "t1c", "output", "probability", "report", "preview"),
    *("dicom_seg", "page", "lesions", "slices"),
)
_PATHS = (*_RESULT_PATHS, "folder", "labelmap", "picture_3d")
_FIELDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(_RESULT_PATHS, (str,)),
    **{choice.name: choice.json_types for choice in CHOICES},
}
# Those of a study request: a study of a batch, which writes its own folder of results.
_STUDY_FIELDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("study", "folder", "batch", "inputs_key", "flair", "t1", "t1c"), (str,)),
    "with_probability": (bool,),
    **{choice.name: choice.json_types for choice in CHOICES},
}


class WorkerCommands:
    """The worker's commands; keeps the network loaded between them. open_store: opens the store of models, for each."""

    def __init__(self, open_store: Callable[[], ModelStore] | None = None) -> None:
        self._open_store = open_store or _default_store
        self._segmenters: SegmenterCache | None = None

    def table(self) -> dict[str, Work]:
        """What does each command that takes time."""
        return {
            "segment": self._segment,
            "study": self._study,
            "load": self._load,
            "hand_over": self._hand_over,
            "compare": self._compare,
            "refine": self._refine,
            "explain": self._explain,
            "doctor": self._doctor,
        }

    def _segment(self, request: Request, send: Send, is_cancelled: Callable[[], bool]) -> None:
        from BrainTumorSegLib.engine.output.writing import build_report
        from BrainTumorSegLib.engine.service.run import run_job

        job = parse_job(request)
        result = run_job(job, self._cache(), ThrottledProgress(send), is_cancelled)
        send("done", report=build_report(result), files=_files(job.outputs))

    def _study(self, request: Request, send: Send, is_cancelled: Callable[[], bool]) -> None:
        from BrainTumorSegLib.engine.service.cohort.task import do_study
        from BrainTumorSegLib.engine.service.run import run_job

        task, cache, on_progress = parse_study(request), self._cache(), ThrottledProgress(send)
        row = do_study(task, lambda job: run_job(job, cache, on_progress, is_cancelled))
        send("done", row=vars(row))

    def _load(self, request: Request, send: Send, _is_cancelled: Callable[[], bool]) -> None:
        from BrainTumorSegLib.engine.settings import RunSettings

        chosen = RunSettings.chosen({name: request.get(name) for name in ("model", "device")})
        send("done", device=self._cache().get(chosen.model, chosen.device).device)

    def _cache(self) -> SegmenterCache:
        from BrainTumorSegLib.engine.service.run import SegmenterCache

        self._segmenters = self._segmenters or SegmenterCache(self._open_store)
        return self._segmenters

    def _hand_over(self, request: Request, send: Send, is_cancelled: Callable[[], bool]) -> None:
        from BrainTumorSegLib.engine.service.handover import hand_over

        job = parse_hand_over(request)
        report = hand_over(job, ThrottledProgress(send), is_cancelled)
        send("done", report=report, files={name: str(path) for name, path in job.outputs.by_name().items()})

    def _compare(self, request: Request, send: Send, is_cancelled: Callable[[], bool]) -> None:
        from BrainTumorSegLib.engine.service.compare import CompareJob, compare_files

        images = ("first_image", "second_image")
        fields = dict.fromkeys(("first", "second", *images, "register"), (str,))
        given = checked_fields(request, fields, ("first", "second"))
        first_image, second_image = (_path(given.get(name)) for name in images)
        labelmaps = (Path(given["first"]), Path(given["second"]))
        job = CompareJob(*labelmaps, first_image, second_image, given.get("register", REGISTER.default))
        found = compare_files(job, ThrottledProgress(send), is_cancelled)
        motion = None if found.motion is None else asdict(found.motion)
        send("done", comparison=asdict(found.comparison), motion=motion)

    def _refine(self, request: Request, send: Send, _is_cancelled: Callable[[], bool]) -> None:
        from BrainTumorSegLib.engine.service.refine import RefineJob, refine

        files = ("flair", "probability", "labelmap", "strokes", "output")
        others = {"reviewed": (list,), "min_volume_ml": MIN_VOLUME.json_types}
        given = checked_fields(request, {**dict.fromkeys(files, (str,)), **others}, files)
        reviewed = given.get("reviewed", [])
        if not all(type(index) is int for index in reviewed):
            raise InputError(f"The field 'reviewed' is {reviewed!r}, which is no list of whole numbers.", "Correct it.")
        flair, probability, labelmap, strokes, output = (Path(given[name]) for name in files)
        volume_ml = given.get("min_volume_ml", 0.0)
        job = RefineJob(flair, probability, labelmap, strokes, output, tuple(reviewed), volume_ml)
        send("done", changed_voxels=refine(job), files={"labelmap": str(job.output)})

    def _explain(self, request: Request, send: Send, is_cancelled: Callable[[], bool]) -> None:
        from BrainTumorSegLib.engine.service.explain import ExplainJob, explain
        from BrainTumorSegLib.engine.settings import RunSettings
        from BrainTumorSegLib.engine.study.reading import StudyPaths

        texts = ("flair", "t1", "t1c", "output", "model", "register", "classifier_sha256")
        given = checked_fields(request, {**dict.fromkeys(texts, (str,)), "slice": (int,)}, ("flair", "output", "slice"))
        settings = RunSettings.chosen(given)
        inputs = StudyPaths(Path(given["flair"]), _path(given.get("t1")), _path(given.get("t1c")))
        output, sha256 = Path(given["output"]), given.get("classifier_sha256")
        job = ExplainJob(inputs, given["slice"], output, settings.model, settings.register, sha256)
        explain(job, self._open_store(), is_cancelled)
        send("done", files={"map": str(job.output)})

    def _doctor(self, _request: Request, send: Send, _is_cancelled: Callable[[], bool]) -> None:
        from BrainTumorSegLib.engine.service.doctor import examine

        findings = examine(self._open_store)
        send(
            "done",
            findings=[
                {"name": each.name, "status": each.status.value, "message": each.message, "remedy": each.remedy}
                for each in findings
            ],
        )


def parse_job(request: Request) -> SegmentJob:
    """The job that a segment request asks for. Raises InputError naming the first field that is wrong."""
    from BrainTumorSegLib.engine.output.writing import OutputPaths
    from BrainTumorSegLib.engine.service.run import SegmentJob
    from BrainTumorSegLib.engine.settings import RunSettings
    from BrainTumorSegLib.engine.study.reading import StudyPaths

    given = checked_fields(request, _FIELDS, ("flair", "output"))
    return SegmentJob(
        inputs=StudyPaths(Path(given["flair"]), _path(given.get("t1")), _path(given.get("t1c"))),
        outputs=OutputPaths.chosen(Path(given["output"]), given),
        settings=RunSettings.chosen(given),
    )


def parse_study(request: Request) -> StudyTask:
    """The study of a batch that a request asks for. Raises InputError naming the first field that is wrong."""
    from BrainTumorSegLib.engine.service.cohort.task import StudyTask

    needed = ("study", "folder", "batch", "inputs_key", "flair")
    return StudyTask.of_request(checked_fields(request, _STUDY_FIELDS, needed))


_HAND_OVER: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("flair", "labelmap", "probability", "corrected_by", "picture_3d"), (str,)),
    **dict.fromkeys(("dicom_seg", "page", "lesions", "slices"), (str,)),
    "series": (list,),
    "report": (dict,),
    "reviewed": (int,),
}


def parse_hand_over(request: Request) -> HandOver:
    """What a hand_over request asks for. Raises InputError naming the first field that is wrong."""
    from BrainTumorSegLib.engine.service.handover import HandOver, HandOverPaths

    given = checked_fields(request, _HAND_OVER, ("flair", "labelmap", "report"))
    outputs = {name: Path(given[name]) for name in ("dicom_seg", "page", "lesions", "slices") if name in given}
    return HandOver(
        flair=Path(given["flair"]),
        labelmap=Path(given["labelmap"]),
        report=given["report"],
        outputs=HandOverPaths(**outputs),
        probability=_path(given.get("probability")),
        corrected_by=given.get("corrected_by"),
        series=tuple(Path(str(each)) for each in given.get("series", ())),
        picture_3d=_path(given.get("picture_3d")),
        reviewed=given.get("reviewed"),
    )


def checked_fields(
    request: Request, fields: Mapping[str, tuple[type, ...]], needed: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The request's fields that are not null. fields: the types that each may have.

    Raises InputError for an unknown, missing or mistyped one.
    """
    given = {key: value for key, value in request.items() if key not in {"id", "command"} and value is not None}
    name = request["command"]
    for key, value in given.items():
        if key not in fields:
            raise InputError(f"A request to {name} has no field {key!r}.", f"Use {', '.join(fields)}.")
        if type(value) not in fields[key]:
            raise InputError(
                f"The field {key!r} is {value!r}, which is no {fields[key][0].__name__}.", "Correct the request."
            )
        if key in _PATHS and type(value) is str and (not value or "\0" in value):
            raise InputError(f"The field {key!r} is {value!r}, which is no path.", "Name the file.")
    for key in needed:
        if key not in given:
            raise InputError(f"The {name} request lacks the field {key!r}.", "Send it too.")
    return given


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _files(outputs: OutputPaths) -> dict[str, str | None]:
    return {each.name: None if (path := getattr(outputs, each.name)) is None else str(path) for each in fields(outputs)}


def _default_store() -> ModelStore:
    from BrainTumorSegLib.engine.models.store import ModelStore

    return ModelStore.default()
