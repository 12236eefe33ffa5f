"""The files of a result: segmentation, probability, report, preview and more. All of them appear, or none."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import SimpleITK as sitk

from BrainTumorSegLib.engine.files import atomic_path, atomic_paths, output_errors
from BrainTumorSegLib.engine.measurement.result import Result
from BrainTumorSegLib.engine.output.dicom_seg import save_dicom_seg
from BrainTumorSegLib.engine.output.page.content import PageRequest
from BrainTumorSegLib.engine.output.page.page import save_page
from BrainTumorSegLib.engine.output.preview.picture import render_preview
from BrainTumorSegLib.engine.output.report import build_report
from BrainTumorSegLib.engine.output.seg_nrrd import segmentation_fields
from BrainTumorSegLib.engine.output.tables import save_lesions, save_slices
from BrainTumorSegLib.engine.study.geometry import Volume
from BrainTumorSegLib.engine.study.roles import Role

__all__ = [
    "OutputPaths",
    "build_report",
    "write_probability",
    "write_report",
    "write_result",
    "write_segmentation",
]

# Probabilities are noise to gzip: a higher level takes three times as long and saves 6 %.
_FAST_GZIP = 1


@dataclass(frozen=True)
class OutputPaths:
    """Where the files of a result go; None leaves one out.

    segmentation: a name that ends in .seg.nrrd. dicom_seg: needs a FLAIR that was read from DICOM. page: a name that
    ends in .html or .pdf. lesions, slices: CSV.
    """

    segmentation: Path
    probability: Path | None = None
    report: Path | None = None
    preview: Path | None = None
    dicom_seg: Path | None = None
    page: Path | None = None
    lesions: Path | None = None
    slices: Path | None = None

    @classmethod
    def chosen(cls, segmentation: Path, given: Mapping[str, Any]) -> Self:
        """From the paths by name, as texts or paths; what is None or no file of a result is passed over."""
        others = {each.name for each in fields(cls)} - {"segmentation"}
        paths = {name: Path(path) for name, path in given.items() if name in others and path is not None}
        return cls(segmentation, **paths)

    def by_name(self) -> dict[str, Path]:
        """The files that were asked for, by their names here, in this order."""
        return {each.name: path for each in fields(self) if (path := getattr(self, each.name)) is not None}


def write_result(result: Result, paths: OutputPaths) -> None:
    """Write every file that ``paths`` names, all of them or none: on any failure earlier files stay as they were.

    Raises OutputError where one can't be written.
    """
    files = paths.by_name()
    with atomic_paths(list(files.values())) as temporaries:
        for temporary, (name, target) in zip(temporaries, files.items(), strict=True):
            with output_errors(target):
                _SAVE[name](result, temporary)


def write_segmentation(result: Result, path: Path) -> None:
    """Write the mask as a ``.seg.nrrd`` that 3D Slicer opens as a segmentation; equal results give equal bytes.

    An empty mask gives a segmentation with an empty segment. Raises OutputError.
    """
    with atomic_path(path) as temporary:
        _save_segmentation(result, temporary)


def write_probability(result: Result, path: Path) -> None:
    """Write the probability volume, float32 0-1 on FLAIR's grid, as a compressed NRRD. Raises OutputError."""
    with atomic_path(path) as temporary:
        _save_probability(result, temporary)


def write_report(result: Result, path: Path) -> None:
    """Write the report as JSON. Raises OutputError."""
    with atomic_path(path) as temporary:
        _save_report(result, temporary)


def _save_segmentation(result: Result, path: Path) -> None:
    image = Volume(result.mask, result.geometry).to_image()
    for key, value in segmentation_fields(result).items():
        image.SetMetaData(key, value)
    _save_nrrd(image, path)


def _save_probability(result: Result, path: Path) -> None:
    _save_nrrd(Volume(result.probability, result.geometry).to_image(), path)


def _save_report(result: Result, path: Path) -> None:
    # ASCII with escapes: a path with undecodable bytes still gives valid JSON.
    path.write_text(json.dumps(build_report(result), indent=2, allow_nan=False) + "\n", encoding="ascii")


def _save_dicom_seg(result: Result, path: Path) -> None:
    # Imported here: pydicom takes a good part of a second, which other outputs need not wait for.
    from BrainTumorSegLib.engine.study.dicom import choose_volume, volume_of_file
    from BrainTumorSegLib.engine.study.source_series import source_series_of

    source = result.study.sources["flair"]
    find = choose_volume if source.path.is_dir() else volume_of_file
    series = source_series_of(find(source.path, Role.FLAIR))
    save_dicom_seg(Volume(result.mask, result.geometry), series, build_report(result), path)


def _save_page(result: Result, path: Path) -> None:
    flair = Volume(result.study.flair, result.geometry)
    save_page(PageRequest(build_report(result), flair, result.mask), path)


_SAVE: dict[str, Callable[[Result, Path], None]] = {
    "segmentation": _save_segmentation,
    "probability": _save_probability,
    "report": _save_report,
    "preview": render_preview,
    "dicom_seg": _save_dicom_seg,
    "page": _save_page,
    "lesions": lambda result, path: save_lesions(build_report(result), path),
    "slices": lambda result, path: save_slices(build_report(result), path),
}


def _save_nrrd(image: sitk.Image, path: Path) -> None:
    writer = sitk.ImageFileWriter()
    writer.SetImageIO("NrrdImageIO")
    writer.UseCompressionOn()
    writer.SetCompressionLevel(_FAST_GZIP)
    writer.SetFileName(str(path))
    try:
        writer.Execute(image)
    except RuntimeError:
        # ITK hides the system's reason (disk full, quota, a network disk gone): writing as much by Python names it.
        path.write_bytes(bytes(image.GetNumberOfPixels() * image.GetSizeOfPixelComponent()))
        raise
