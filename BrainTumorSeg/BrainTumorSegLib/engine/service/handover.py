"""A segmentation as it is now, corrected or not, as files for others: DICOM segmentation, page, tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.files import atomic_paths, output_errors
from BrainTumorSegLib.engine.output.dicom_seg import save_dicom_seg
from BrainTumorSegLib.engine.output.kinds import refuse_other_kind
from BrainTumorSegLib.engine.output.page.content import PageRequest
from BrainTumorSegLib.engine.output.page.page import check_page_name, save_page
from BrainTumorSegLib.engine.output.report import remeasured
from BrainTumorSegLib.engine.output.tables import save_lesions, save_slices
from BrainTumorSegLib.engine.study.geometry import Volume
from BrainTumorSegLib.engine.study.labelmap import read_labelmap, says_edited
from BrainTumorSegLib.engine.study.lattice import place_on
from BrainTumorSegLib.engine.study.reading import StudyPaths, read_study
from BrainTumorSegLib.engine.study.source_series import read_source_series


@dataclass(frozen=True)
class HandOverPaths:
    """Where each file goes; None leaves it out. page: ends in .html or .pdf. lesions, slices: CSV."""

    dicom_seg: Path | None = None
    page: Path | None = None
    lesions: Path | None = None
    slices: Path | None = None

    def by_name(self) -> dict[str, Path]:
        """The files that were asked for."""
        return {each.name: path for each in fields(self) if (path := getattr(self, each.name)) is not None}


@dataclass(frozen=True)
class HandOver:
    """What to hand over.

    flair: the volume that was segmented, as for ``read_study``. labelmap: see ``read_labelmap``; on FLAIR's voxels.
    report: of the run that made the segmentation, as ``build_report`` gives it. corrected_by: who edited the labelmap
    since, None for nobody. series: files or folders of FLAIR's DICOM series, for the DICOM segmentation. picture_3d,
    reviewed: see ``PageRequest``.
    """

    flair: Path
    labelmap: Path
    report: Mapping[str, Any]
    outputs: HandOverPaths
    corrected_by: str | None = None
    series: tuple[Path, ...] = ()
    picture_3d: Path | None = None
    reviewed: int | None = None


def hand_over(job: HandOver) -> dict[str, Any]:
    """Write every file that was asked for, all or none; return the report as measured on the labelmap.

    Raises InputError for a labelmap that says that it was edited while nobody is named, for what can't be used of the
    request, and GeometryError for a labelmap on other voxels than FLAIR's.
    """
    files = job.outputs.by_name()
    _check(job, files)
    study = read_study(StudyPaths(job.flair))
    mask = place_on(read_labelmap(job.labelmap), study.geometry).astype(bool)
    report = remeasured(job.report, mask, study.geometry)
    flair = Volume(study.flair, study.geometry)
    page = PageRequest(report, flair, mask, job.corrected_by, job.picture_3d, job.reviewed)
    with atomic_paths(list(files.values())) as temporaries:
        for temporary, (name, target) in zip(temporaries, files.items(), strict=True):
            with output_errors(target):
                if name == "dicom_seg":
                    series = read_source_series(job.series)
                    save_dicom_seg(Volume(mask, study.geometry), series, report, temporary, job.corrected_by)
                elif name == "page":
                    save_page(page, temporary)
                elif name == "lesions":
                    save_lesions(report, temporary)
                else:
                    save_slices(report, temporary)
    return report


def _check(job: HandOver, files: Mapping[str, Path]) -> None:
    if not files:
        raise InputError("Nothing is asked for to be handed over.", "Name at least one file to write.")
    if "dicom_seg" in files and not job.series:
        raise InputError(
            "The DICOM segmentation can't be written: the files of FLAIR's DICOM series are not given.",
            "Give them, or leave the DICOM segmentation out; a volume that was not loaded from DICOM has none.",
        )
    if job.corrected_by is None and says_edited(job.labelmap):
        raise InputError(
            f"The segmentation {job.labelmap.name} was corrected, but nobody is named who did.",
            "Say who corrected it: what is handed over names them.",
        )
    if job.outputs.page is not None:
        check_page_name(job.outputs.page)
    for name, path in files.items():
        refuse_other_kind(name, path)
