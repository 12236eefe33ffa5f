"""A segmentation as it is now, corrected or not, as files for others: DICOM segmentation, page, tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from BrainTumorSegLib.engine.errors import Cancelled, InputError
from BrainTumorSegLib.engine.files import atomic_paths, output_errors
from BrainTumorSegLib.engine.output.dicom_seg import save_dicom_seg
from BrainTumorSegLib.engine.output.kinds import refuse_other_kind
from BrainTumorSegLib.engine.output.page.content import PageRequest
from BrainTumorSegLib.engine.output.page.page import check_page_name, save_page
from BrainTumorSegLib.engine.output.report import remeasured
from BrainTumorSegLib.engine.output.tables import save_lesions, save_slices
from BrainTumorSegLib.engine.study.alignment import IsCancelled
from BrainTumorSegLib.engine.study.geometry import Volume
from BrainTumorSegLib.engine.study.labelmap import read_labelmap, says_edited
from BrainTumorSegLib.engine.study.lattice import place_on
from BrainTumorSegLib.engine.study.probability import read_probability
from BrainTumorSegLib.engine.study.reading import StudyPaths, never, read_study
from BrainTumorSegLib.engine.study.source_series import read_source_series

OnProgress = Callable[[str, float], None]


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
    report: of the run that made the segmentation, as ``build_report`` gives it. probability: of that run, on FLAIR's
    voxels, for the doubts about the outline as it is now. corrected_by: who edited the labelmap since, "" for somebody
    without a name, None for nobody. series: files or folders of FLAIR's DICOM series, for the DICOM segmentation.
    picture_3d, reviewed: see ``PageRequest``.
    """

    flair: Path
    labelmap: Path
    report: Mapping[str, Any]
    outputs: HandOverPaths
    corrected_by: str | None = None
    series: tuple[Path, ...] = ()
    picture_3d: Path | None = None
    reviewed: int | None = None
    probability: Path | None = None


def hand_over(
    job: HandOver, on_progress: OnProgress = lambda _stage, _fraction: None, is_cancelled: IsCancelled = never
) -> dict[str, Any]:
    """Write every file that was asked for, all or none; return the report as measured on the labelmap.

    on_progress: called with "read" or "write" and the fraction done. Raises InputError for a labelmap that says that it
    was edited while nobody is named, for what can't be used of the request, GeometryError for a labelmap or probability
    on other voxels than FLAIR's, and Cancelled.
    """
    files = job.outputs.by_name()
    _check(job, files)
    on_progress("read", 0.0)
    study = read_study(StudyPaths(job.flair), is_cancelled=is_cancelled)
    mask = place_on(read_labelmap(job.labelmap), study.geometry).astype(bool)
    probability = None if job.probability is None else read_probability(job.probability, study.geometry)
    report = remeasured(job.report, mask, study.geometry, probability)
    flair = Volume(study.flair, study.geometry)
    page = PageRequest(report, flair, mask, job.corrected_by, job.picture_3d, job.reviewed)
    with atomic_paths(list(files.values())) as temporaries:
        for number, (temporary, (name, target)) in enumerate(zip(temporaries, files.items(), strict=True), start=1):
            if is_cancelled():
                raise Cancelled
            on_progress("write", number / (len(files) + 1))
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
            "Say who corrected it, or give an empty name.",
        )
    if job.outputs.page is not None:
        check_page_name(job.outputs.page)
    for name, path in files.items():
        refuse_other_kind(name, path)
