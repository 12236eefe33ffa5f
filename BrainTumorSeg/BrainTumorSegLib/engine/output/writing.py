"""The files of a result: segmentation, probability, report, preview. All of them appear, or none."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk

from BrainTumorSegLib.engine.files import atomic_path, atomic_paths, output_errors
from BrainTumorSegLib.engine.measurement.result import Result
from BrainTumorSegLib.engine.output.preview.picture import render_preview
from BrainTumorSegLib.engine.output.report import build_report
from BrainTumorSegLib.engine.output.seg_nrrd import segmentation_fields
from BrainTumorSegLib.engine.study.geometry import Volume

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
    """Where the files of a result go; None leaves one out. segmentation: a name that ends in .seg.nrrd."""

    segmentation: Path
    probability: Path | None = None
    report: Path | None = None
    preview: Path | None = None


def write_result(result: Result, paths: OutputPaths) -> None:
    """Write every file that ``paths`` names, all of them or none: on any failure earlier files stay as they were.

    Raises OutputError where one can't be written.
    """
    wanted: list[tuple[Path | None, Callable[[Result, Path], None]]] = [
        (paths.segmentation, _save_segmentation),
        (paths.probability, _save_probability),
        (paths.report, _save_report),
        (paths.preview, render_preview),
    ]
    files = [(target, save) for target, save in wanted if target is not None]
    with atomic_paths([target for target, _ in files]) as temporaries:
        for temporary, (target, save) in zip(temporaries, files, strict=True):
            with output_errors(target):
                save(result, temporary)


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
