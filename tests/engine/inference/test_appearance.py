"""A head of formulas cut at any spacing, and the sample study; real heads: docs/measurements.md."""

import numpy as np
import pytest
import SimpleITK as sitk

from BrainTumorSegLib.engine.inference.appearance import Appearance
from BrainTumorSegLib.engine.inference.preprocessing import prepare
from BrainTumorSegLib.engine.resources import resource
from BrainTumorSegLib.engine.sample.study import FILE_PREFIX
from BrainTumorSegLib.engine.study.geometry import Geometry, Volume
from BrainTumorSegLib.engine.study.reading import StudyPaths, read_study
from BrainTumorSegLib.engine.study.study import Study

NO_SKULL = "FLAIR shows a brain without its skull"
NO_FLAIR = "FLAIR does not look like one"
FLAIR = {"scalp": 180.0, "bone": 12.0, "grey": 125.0, "white": 100.0, "fluid": 15.0}
T1 = {"scalp": 180.0, "bone": 12.0, "grey": 70.0, "white": 100.0, "fluid": 25.0}
STRIPPED = {"scalp": 0.0, "bone": 0.0}


def _head(tissue: dict[str, float], spacing_mm: tuple[float, float, float] = (0.9, 0.9, 5.0)) -> Study:
    """Ellipsoids: scalp, bone, folds of grey about white matter, two ventricles; noise in the head, air of 0."""
    extent_mm = (190.0, 225.0, 150.0)
    size = [round(extent / step) for extent, step in zip(extent_mm, spacing_mm, strict=True)]
    z, y, x = (
        (np.arange(count) - (count - 1) / 2) * step for count, step in zip(size[::-1], spacing_mm[::-1], strict=True)
    )
    z, y, x = z[:, None, None], y[:, None], x

    def ellipsoid(shrunk_mm: float) -> np.ndarray:
        return sum((axis / (radius - shrunk_mm)) ** 2 for axis, radius in ((z, 72), (y, 100), (x, 80))) < 1

    head = np.zeros(size[::-1])
    for name, shrunk_mm in (("scalp", 0), ("bone", 6), ("grey", 12), ("white", 18)):
        head[ellipsoid(shrunk_mm)] = tissue[name]
    folds = ellipsoid(18) & ~ellipsoid(45) & (np.cos(14 * np.arctan2(y, x)) > 0.3)
    head[folds] = tissue["grey"]
    for side in (-16, 16):
        head[(z / 18) ** 2 + (y / 32) ** 2 + ((x - side) / 9) ** 2 < 1] = tissue["fluid"]
    head[head > 0] += np.random.default_rng(5).normal(0, 4, np.count_nonzero(head))
    corner = tuple(-(count - 1) / 2 * step for count, step in zip(size, spacing_mm, strict=True))
    return Study(head.astype(np.float32), Geometry(tuple(size), spacing_mm, corner, (1, 0, 0, 0, 1, 0, 0, 0, 1)))


def _appearance(study: Study) -> Appearance:
    return Appearance.of(prepare(study).sequences[1])


def _told(study: Study) -> list[str]:
    known = (NO_SKULL, NO_FLAIR)
    return [next(one for one in known if said.startswith(one)) for said in _appearance(study).warnings()]


HEADS = pytest.mark.parametrize(
    ("tissue", "told"),
    [(FLAIR, []), (FLAIR | STRIPPED, [NO_SKULL]), (T1, [NO_FLAIR]), (T1 | STRIPPED, [NO_SKULL, NO_FLAIR])],
    ids=["flair", "flair without skull", "t1", "t1 without skull"],
)


@HEADS
@pytest.mark.parametrize("spacing_mm", [(0.9, 0.9, 5.0), (0.45, 0.45, 5.0), (1.0, 1.0, 2.0), (1.2, 0.8, 6.0)])
def test_what_is_unlike_the_training_data_is_told_at_any_spacing(
    tissue: dict[str, float], told: list[str], spacing_mm: tuple[float, float, float]
) -> None:
    assert _told(_head(tissue, spacing_mm)) == told


@HEADS
@pytest.mark.parametrize(("factor", "offset"), [(0.01, 0.0), (30.0, 0.0), (4.0, -300.0)])
def test_the_unit_of_brightness_does_not_matter(
    tissue: dict[str, float], told: list[str], factor: float, offset: float
) -> None:
    study = _head(tissue)
    other = Study(study.flair * np.float32(factor) + np.float32(offset), study.geometry)
    assert _told(other) == told
    seen, expected = _appearance(other), _appearance(study)
    assert seen.bone_share == pytest.approx(expected.bone_share, abs=0.01)
    assert seen.grey_over_white == pytest.approx(expected.grey_over_white, abs=0.01)


@pytest.mark.parametrize("code", ["RAI", "PIR", "ASL"])
def test_the_order_of_the_axes_does_not_matter(code: str) -> None:
    study = _head(FLAIR | STRIPPED)
    turned = sitk.DICOMOrient(Volume(study.flair, study.geometry).to_image(), code)
    other = Study(sitk.GetArrayFromImage(turned), Geometry.of_image(turned))
    assert _appearance(other) == _appearance(study)


def test_a_z_scored_brain_in_zeros_is_seen_as_a_brain_without_skull() -> None:
    study = _head(FLAIR | STRIPPED)
    brain = study.flair != 0
    scored = np.where(brain, (study.flair - study.flair[brain].mean()) / study.flair[brain].std(), 0)
    assert _told(Study(scored.astype(np.float32), study.geometry)) == [NO_SKULL]


@pytest.mark.parametrize(("sequence", "told"), [("flair", []), ("t1", [NO_FLAIR]), ("t1c", [NO_FLAIR])])
def test_of_the_sample_study_only_flair_passes_for_one(sequence: str, told: list[str]) -> None:
    assert _told(read_study(StudyPaths(resource(f"{FILE_PREFIX}{sequence}.nii.gz")))) == told


def test_too_few_pixels_tell_nothing() -> None:
    tiny = np.zeros((3, 20, 20), np.float32)
    tiny[:, 4:16, 4:16] = np.random.default_rng(2).normal(100, 10, (3, 12, 12))
    seen = _appearance(
        Study(tiny, Geometry((20, 20, 3), (1.0, 1.0, 5.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    )
    assert np.isnan([seen.bone_share, seen.grey_over_white]).all()
    assert seen.warnings() == ()


def test_brain_of_one_brightness_tells_nothing_about_grey_and_white() -> None:
    flat = np.full((12, 256, 256), -1, np.float32)
    flat[:, 40:216, 60:196] = 0.0
    assert np.isnan(Appearance.of(flat).grey_over_white)
