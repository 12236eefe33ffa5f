from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from BrainTumorSegLib.engine.errors import Cancelled, InputError, MemoryExhaustedError
from BrainTumorSegLib.engine.inference.device import Compute, choose
from BrainTumorSegLib.engine.inference.segmenter import Segmenter
from BrainTumorSegLib.engine.models.loading import Model
from BrainTumorSegLib.engine.networks.study_refiner import StudyRefiner
from BrainTumorSegLib.engine.settings import SegmentSettings
from BrainTumorSegLib.engine.study.geometry import Geometry, Volume
from BrainTumorSegLib.engine.study.study import Study
from bundles import bright_flair_model

CPU = Compute(torch.device("cpu"), torch.float32, "CPU")


def _study(lesion: bool = True) -> Study:
    """A round head of 100 with skull, dark fluid and a lesion of 180 (normalised 0.8) in slices 3-5 of 10."""
    z, y, x = np.mgrid[:10, -60:60, -50:50]
    radius = np.hypot(x, y)
    flair = np.where((radius < 45) & ~((radius > 35) & (radius < 40)), 100.0, 0.0).astype(np.float32)
    ball = ((z - 4) / 1.5) ** 2 + ((y + 10) / 12) ** 2 + ((x - 15) / 9) ** 2 < 1
    flair[(x + 20) ** 2 + y**2 < 64] = 1
    if lesion:
        flair[ball] = 180
    return Study(flair, Geometry((100, 120, 10), (0.9, 0.9, 5.0), (10.0, -20.0, 5.0), (1, 0, 0, 0, 1, 0, 0, 0, 1)))


@pytest.fixture(scope="module")
def bright_model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return bright_flair_model(tmp_path_factory.mktemp("models"))


@pytest.fixture
def segmenter(bright_model: Model) -> Segmenter:
    return Segmenter(bright_model, CPU)


def test_the_bright_lesion_is_outlined_voxel_by_voxel(segmenter: Segmenter) -> None:
    study = _study()
    result = segmenter.segment(study)
    np.testing.assert_array_equal(result.mask, study.flair == 180)
    assert result.warnings == ()
    assert len(result.lesions) == 1
    assert result.volume_ml == pytest.approx((study.flair == 180).sum() * 0.9 * 0.9 * 5 / 1000)
    assert [s.index for s in result.slices if s.area_mm2 > 0] == [3, 4, 5]


def test_a_study_without_tumour_gives_an_empty_mask(segmenter: Segmenter) -> None:
    result = segmenter.segment(_study(lesion=False))
    assert not result.mask.any()
    assert result.lesions == ()
    assert result.volume_ml == 0


@pytest.mark.parametrize("code", ["RAI", "PIR", "ASL"])
def test_orientation_and_flips_do_not_move_the_tumour_in_the_world(segmenter: Segmenter, code: str) -> None:
    study = _study()
    image = sitk.DICOMOrient(Volume(study.flair, study.geometry).to_image(), code)
    result = segmenter.segment(Study(sitk.GetArrayFromImage(image), Geometry.of_image(image)))
    back = sitk.DICOMOrient(Volume(result.mask, result.geometry).to_image(), "LPS")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back) > 0, study.flair == 180)


def test_thin_slices_of_the_same_head_give_the_same_lesion(segmenter: Segmenter) -> None:
    z, y, x = np.mgrid[:20, -60:60, -50:50]
    flair = np.where(x**2 + y**2 < 45**2, 100.0, 0.0).astype(np.float32)
    flair[(x + 20) ** 2 + y**2 < 64] = 1
    lesion = ((z - 10) / 3.5) ** 2 + ((y + 10) / 14) ** 2 + ((x - 15) / 11) ** 2 < 1
    flair[lesion] = 180
    grid = Geometry((100, 120, 40), (0.9, 0.9, 2.5), (10.0, -20.0, 3.0), _study().geometry.direction_lps)
    result = segmenter.segment(Study(flair.repeat(2, axis=0), grid), SegmentSettings(tta=False))
    assert result.volume_ml == pytest.approx(lesion.sum() * 0.9 * 0.9 * 5 / 1000, rel=0.02)
    np.testing.assert_array_equal(result.mask[16:26], lesion.repeat(2, axis=0)[16:26])
    assert result.warnings[0].startswith("FLAIR's slices are 2.5 mm apart")
    assert "means of 2 of them" in result.warnings[0]


def test_the_same_study_gives_the_same_bytes(segmenter: Segmenter) -> None:
    study = _study()
    noisy = replace(study, flair=study.flair + np.random.default_rng(5).normal(0, 9, study.flair.shape).astype("f4"))
    first, second = segmenter.segment(noisy), segmenter.segment(noisy)
    assert first.probability.tobytes() == second.probability.tobytes()
    assert [s.tumour_probability for s in first.slices] == [s.tumour_probability for s in second.slices]


@pytest.mark.parametrize("tta", [True, False])
def test_the_outline_is_in_place_with_and_without_the_mirrored_view(segmenter: Segmenter, tta: bool) -> None:
    study = _study()
    result = segmenter.segment(study, SegmentSettings(tta=tta))
    assert result.settings.tta is tta
    np.testing.assert_array_equal(result.mask, study.flair == 180)


class _BrightSlices(torch.nn.Module):
    """Says tumour (logit 5) for slices in which over 0.1 % of the pixels are brighter than 0.5, and clear (-5)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 10 * ((x[:, 1] > 0.5).float().mean(dim=(1, 2)) > 0.001).float() - 5


def test_the_gate_leaves_out_only_slices_clear_with_their_neighbours(tmp_path: Path) -> None:
    model = bright_flair_model(tmp_path)
    assert model.classifier is not None
    gated = replace(model, classifier=replace(model.classifier, network=_BrightSlices()))
    study = _study()
    result = Segmenter(gated, CPU).segment(study, SegmentSettings(gate=0.5))
    assert [s.index for s in result.slices if s.tumour_probability > 0.5] == [3, 4, 5]
    assert [s.index for s in result.slices if s.segmented] == [2, 3, 4, 5, 6]
    np.testing.assert_array_equal(result.mask, study.flair == 180)
    assert all(s.segmented for s in Segmenter(gated, CPU).segment(study, SegmentSettings(gate=0)).slices)


def _model_that_adds(tmp_path: Path, logit: float) -> Model:
    """The bright FLAIR model with a refiner that adds a logit to every pixel of the head, whatever it sees."""
    model = bright_flair_model(tmp_path)
    model.segmentation.network.refiner = StudyRefiner()
    torch.nn.init.constant_(model.segmentation.network.refiner.output.bias, logit)
    return model


def test_a_refiner_has_the_last_word_on_the_logits(tmp_path: Path) -> None:
    study = _study()
    unchanged = Segmenter(_model_that_adds(tmp_path, 0.0), CPU).segment(study)
    np.testing.assert_array_equal(unchanged.mask, study.flair == 180)
    # Logits of 10 and more are taken for 8: less 9, the lesion is gone.
    assert not Segmenter(_model_that_adds(tmp_path, -9.0), CPU).segment(study).mask.any()


def test_what_the_gate_left_out_stays_out_whatever_the_refiner_says(tmp_path: Path) -> None:
    model = _model_that_adds(tmp_path, 30.0)
    assert model.classifier is not None
    gated = replace(model, classifier=replace(model.classifier, network=_BrightSlices()))
    result = Segmenter(gated, CPU).segment(_study(), SegmentSettings(gate=0.5))
    assert np.flatnonzero(result.mask.any(axis=(1, 2))).tolist() == [2, 3, 4, 5, 6]


def test_without_a_classifier_every_slice_is_segmented_and_scored_by_its_maximum(tmp_path: Path) -> None:
    model = replace(bright_flair_model(tmp_path), classifier=None, classifier_provenance=None)
    result = Segmenter(model, CPU).segment(_study(), SegmentSettings(gate=0.5))
    assert all(s.segmented for s in result.slices)
    for found in result.slices:
        assert found.tumour_probability == pytest.approx(result.probability[found.index].max(), abs=1e-6)


def test_small_lesions_are_dropped_on_request_and_it_is_said(segmenter: Segmenter) -> None:
    result = segmenter.segment(_study(), SegmentSettings(min_volume_ml=50))
    assert not result.mask.any()
    volume_ml = (_study().flair == 180).sum() * result.study.geometry.voxel_volume_ml
    assert result.warnings[-1].startswith(f"Pieces smaller than 50 mL were left out, {volume_ml:.1f} mL together")
    assert "left out" not in " ".join(segmenter.segment(_study()).warnings)


def test_progress_never_goes_back_and_names_every_stage(segmenter: Segmenter) -> None:
    seen: list[tuple[str, float]] = []
    segmenter.segment(_study(), on_progress=lambda stage, fraction: seen.append((stage, fraction)))
    fractions = [fraction for _, fraction in seen]
    assert fractions == sorted(fractions)
    assert fractions[0] >= 0
    assert fractions[-1] <= 1
    assert list(dict.fromkeys(stage for stage, _ in seen)) == ["preprocess", "classify", "segment", "postprocess"]


@pytest.mark.parametrize("stage", ["preprocess", "classify", "segment"])
def test_cancelling_at_any_stage_stops_and_the_segmenter_works_again(segmenter: Segmenter, stage: str) -> None:
    reached: list[str] = []
    with pytest.raises(Cancelled):
        segmenter.segment(
            _study(),
            on_progress=lambda name, _fraction: reached.append(name),
            is_cancelled=lambda: stage in reached,
        )
    assert reached[-1] == stage
    assert segmenter.segment(_study()).mask.any()


def test_a_run_cancelled_before_it_starts_does_nothing(segmenter: Segmenter) -> None:
    with pytest.raises(Cancelled):
        segmenter.segment(_study(), is_cancelled=lambda: True)


@pytest.mark.parametrize(("sequence", "name"), [("flair", "FLAIR"), ("t1", "T1"), ("t1c", "T1 with contrast")])
def test_a_sequence_without_contrast_is_refused_by_name(segmenter: Segmenter, sequence: str, name: str) -> None:
    study = _study()
    with pytest.raises(InputError, match=f"^{name} has no contrast: almost all voxels have the value 3"):
        segmenter.segment(replace(study, **{sequence: np.full_like(study.flair, 3)}))


class _HungryNetwork(torch.nn.Module):
    """Runs out of memory, as PyTorch's CPU allocator words it, for batches over ``limit``."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(x) > self.limit:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes.")
        return x[:, 1:2] * 10


def test_out_of_memory_halves_the_batch_and_says_so(tmp_path: Path) -> None:
    model = bright_flair_model(tmp_path)
    hungry = replace(model, segmentation=replace(model.segmentation, network=_HungryNetwork(1)))
    result = Segmenter(hungry, CPU).segment(_study())
    assert result.mask.any()
    assert result.warnings[-1] == "Memory ran out; slices are segmented 1 at a time."


def test_no_memory_for_one_slice_ends_with_a_remedy(tmp_path: Path) -> None:
    model = bright_flair_model(tmp_path)
    hungry = replace(model, segmentation=replace(model.segmentation, network=_HungryNetwork(0)))
    with pytest.raises(MemoryExhaustedError, match=r"not enough memory.*Close other programs"):
        Segmenter(hungry, CPU).segment(_study())


def test_reduced_precision_agrees_with_float32_where_the_processor_has_it(tmp_path: Path) -> None:
    compute = choose("cpu")
    if compute.precision is torch.float32:
        pytest.skip("this processor has no bfloat16")
    model = bright_flair_model(tmp_path)
    result = Segmenter(model, compute).segment(_study())
    assert result.precision == "bfloat16"
    np.testing.assert_array_equal(result.mask, _study().flair == 180)
