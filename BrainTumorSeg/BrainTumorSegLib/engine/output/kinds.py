"""What each file of ours begins with: only an earlier output of the same kind may be replaced."""

from __future__ import annotations

import re
from pathlib import Path

from BrainTumorSegLib.engine.errors import OutputError
from BrainTumorSegLib.engine.files import output_errors
from BrainTumorSegLib.engine.output.tables import LESION_COLUMNS, SLICE_COLUMNS

_MOST_BYTES = 1024
_NRRD = re.compile(rb"\s*NRRD")
_BEGINNINGS = {
    "segmentation": _NRRD,
    "probability": _NRRD,
    "report": re.compile(rb"\s*\{"),
    "preview": re.compile(rb"\x89PNG"),
    # A DICOM file's kind stands in its header, after 128 bytes of anything.
    "dicom_seg": re.compile(rb".{128}DICM.{,400}1\.2\.840\.10008\.5\.1\.4\.1\.1\.66\.4(?![.\d])", re.DOTALL),
    "page": re.compile(rb"%PDF-|<!DOCTYPE html>"),
    "lesions": re.compile(",".join(LESION_COLUMNS).encode()),
    "slices": re.compile(",".join(SLICE_COLUMNS).encode()),
}


def refuse_other_kind(name: str, path: Path) -> None:
    """A slice of the series, the raw data beside a header, a device: such a file is never replaced.

    name: the output's, as in ``OutputPaths`` or ``HandOverPaths``. Raises OutputError. An empty file may be replaced by
    anything.
    """
    if not path.exists() or path.is_dir():
        return  # a folder is refused with its own words
    if not path.is_file():
        raise OutputError(f"Can't write {path}: it is a device or a pipe, no file.", "Give the name of a file.")
    with output_errors(path), path.open("rb") as stream:
        found = stream.read(_MOST_BYTES)
    if found and not _BEGINNINGS[name].match(found):
        raise OutputError(
            f"Can't write {path}: it is there already, and it is no earlier output of this kind.",
            "Choose another name, or remove that file first if nobody needs it.",
        )
