"""Coverage-guided fuzzing of what reads bytes from outside: python tests/fuzz/targets.py TARGET [libFuzzer options].

Whatever the bytes, the answer is a result or an error in words (BrainTumorSegError, none of them a defect); anything
else, a crash or a hang is a find. Targets: reader (volume files), dicom (a folder with a DICOM file), bundle (model
bundles), index (lists of models), studies (lists of studies), protocol (the worker's lines).
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import atheris

REPOSITORY = Path(__file__).parents[2]
sys.path[:0] = [str(REPOSITORY / "BrainTumorSeg"), str(REPOSITORY / "tests")]

with atheris.instrument_imports(include=["BrainTumorSegLib"], enable_loader_override=False):
    from BrainTumorSegLib.client.process import FINAL_EVENTS
    from BrainTumorSegLib.engine.errors import BrainTumorSegError, DefectError
    from BrainTumorSegLib.engine.models.index import parse_index
    from BrainTumorSegLib.engine.service.cohort.table import read_table
    from BrainTumorSegLib.engine.service.requests import parse_job, parse_study
    from BrainTumorSegLib.engine.service.server import Request, Send, serve
    from BrainTumorSegLib.engine.study.reading import StudyPaths, read_study

ENDINGS = (".nii", ".nii.gz", ".nrrd", ".mha", ".mhd", ".nhdr")


@contextlib.contextmanager
def _only_our_errors() -> Any:
    try:
        yield
    except DefectError:
        raise
    except BrainTumorSegError as error:
        if not (error.message and error.action):
            raise


def reader(folder: Path, data: bytes) -> None:
    """A volume file; the first byte chooses its ending."""
    if data:
        path = folder / f"x{ENDINGS[data[0] % len(ENDINGS)]}"
        path.write_bytes(data[1:])
        with _only_our_errors():
            read_study(StudyPaths(path))
        path.unlink()


def dicom(folder: Path, data: bytes) -> None:
    """A folder with one file that says that it is DICOM."""
    (folder / "x.dcm").write_bytes(bytes(128) + b"DICM" + data)
    with _only_our_errors():
        read_study(StudyPaths(folder))


def bundle(folder: Path, data: bytes) -> None:
    """A zip file as it comes, and its metadata and weights inside a good one."""
    with atheris.instrument_imports(include=["BrainTumorSegLib"], enable_loader_override=False):
        from BrainTumorSegLib.engine.models.bundle import (
            load_bundle,  # brings torch, which the others need not wait for
        )

    path = folder / "x.zip"
    path.write_bytes(data)
    with _only_our_errors():
        load_bundle(path)
    metadata, _, weights = data.partition(b"\0\0")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/configs/metadata.json", metadata)
        archive.writestr("x/models/model.pt", weights)
    with _only_our_errors():
        load_bundle(path)


def index(_folder: Path, data: bytes) -> None:
    """A list of models."""
    with contextlib.suppress(ValueError, RecursionError), _only_our_errors():
        parse_index(json.loads(data))


def studies(folder: Path, data: bytes) -> None:
    """A list of studies."""
    path = folder / "x.csv"
    path.write_bytes(data)
    with _only_our_errors():
        for study in read_table(path):
            assert study.name == Path(study.name).name


def protocol(_folder: Path, data: bytes) -> None:
    """Lines for the worker. Every request that has an id of its own gets exactly one last event."""
    events = io.StringIO()
    work = {"segment": partial(_answer, parse_job), "study": partial(_answer, parse_study)}
    serve(io.BytesIO(data), events, work)
    last: dict[str, int] = {}
    for line in events.getvalue().splitlines():
        event = json.loads(line)
        if event["id"] is not None and event["event"] in FINAL_EVENTS:
            last[event["id"]] = last.get(event["id"], 0) + 1
        assert event.get("kind") != "defect", event
    lines = [line for line in data.split(b"\n") if line.strip()]
    assert sum(last.values()) <= len(lines)


def _answer(parse: Callable[[Request], object], request: Request, send: Send, _is_cancelled: object) -> None:
    parse(request)
    send("done")


TARGETS = {each.__name__: each for each in (reader, dicom, bundle, index, studies, protocol)}


def main() -> None:
    """Fuzz the target that the command line names."""
    target = TARGETS[sys.argv.pop(1)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # readers' own chatter
        threading.excepthook = lambda arguments: os.abort()  # what fails on another thread is a find too
        atheris.Setup(sys.argv, partial(target, folder))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
