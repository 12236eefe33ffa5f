""" "Refine here": a segmentation segmented again around somebody's strokes, from files to a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from BrainTumorSegLib.engine.files import atomic_path
from BrainTumorSegLib.engine.measurement.strokes import Strokes, refine_by_strokes
from BrainTumorSegLib.engine.settings import MIN_VOLUME
from BrainTumorSegLib.engine.study.geometry import Volume
from BrainTumorSegLib.engine.study.labelmap import read_labelmap, read_labels
from BrainTumorSegLib.engine.study.lattice import place_on
from BrainTumorSegLib.engine.study.probability import read_probability
from BrainTumorSegLib.engine.study.reading import StudyPaths, read_study

TUMOUR_LABEL, BACKGROUND_LABEL, HELD_LABEL = 1, 2, 3


@dataclass(frozen=True)
class RefineJob:
    """flair: as for ``read_study``. probability, labelmap, strokes: files on FLAIR's voxels.

    strokes: labels 1 (tumour), 2 (background) and 3 (held as it is in the labelmap). output: the labelmap to write,
    NRRD. reviewed: axial slices, from 0 the lowest, which never change. min_volume_ml: of a lesion, see
    ``refine_by_strokes``.
    """

    flair: Path
    probability: Path
    labelmap: Path
    strokes: Path
    output: Path
    reviewed: tuple[int, ...] = ()
    min_volume_ml: float = 0.0

    def __post_init__(self) -> None:
        """Raises InputError for a volume that is none."""
        MIN_VOLUME.check(self.min_volume_ml)


def refine(job: RefineJob) -> int:
    """Write the labelmap, uint8 on FLAIR's grid, and return how many voxels changed.

    Raises InputError or GeometryError for files and strokes that can't be used, OutputError where it can't write.
    """
    study = read_study(StudyPaths(job.flair))
    geometry = study.geometry
    mask = place_on(read_labelmap(job.labelmap), geometry).astype(bool)
    drawn = place_on(read_labels(job.strokes), geometry)
    strokes = Strokes(drawn == TUMOUR_LABEL, drawn == BACKGROUND_LABEL, drawn == HELD_LABEL)
    probability = read_probability(job.probability, geometry)
    refined = refine_by_strokes(study.flair, probability, mask, strokes, geometry, job.reviewed, job.min_volume_ml)
    with atomic_path(job.output) as temporary:
        sitk.WriteImage(Volume(refined, geometry).to_image(), str(temporary), useCompression=True)
    return int(np.count_nonzero(refined != mask))
