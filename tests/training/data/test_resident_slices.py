"""Slices lie where there is room, once, and batches are cut there."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from brain_tumor_training.data.cache import CachedPatient, load_cache
from brain_tumor_training.data.resident_slices import ResidentSlices, SliceCut, has_room, home_of, span
from brain_tumor_training.data.slices import SlicePool
from training_phantom import CPU, patients

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
CUTS = [
    SliceCut(0, 1, [(0, 1, 1), (1, 1, 0), (0, 2, 2)], slice(4, 12), slice(3, 11)),
    SliceCut(1, 4, [(1, 0, 4), (1, 1, 3), (1, 1, 4)], slice(0, 8), slice(24, 32)),
]


def cut_by_numpy(patient: CachedPatient, cut: SliceCut) -> tuple[np.ndarray, np.ndarray]:
    image = np.stack([patient.variants[plane] for plane in cut.planes]).astype(np.float32) + 1
    return image[:, cut.rows, cut.columns], patient.mask[cut.position, cut.rows, cut.columns][None].astype(np.float32)


def assert_cut_rightly(pool: SlicePool, slices: ResidentSlices) -> None:
    image, mask = slices.cut(CUTS)
    expected = [cut_by_numpy(pool.patients[one.patient], one) for one in CUTS]
    np.testing.assert_array_equal(image.cpu(), np.stack([one for one, _ in expected]))
    np.testing.assert_array_equal(mask.cpu(), np.stack([one for _, one in expected]))
    assert image.device == mask.device == slices.device
    assert image.dtype == mask.dtype == torch.float32


def test_a_batch_is_cut_from_every_samples_own_planes() -> None:
    pool = SlicePool.of_all(patients(2))
    assert_cut_rightly(pool, ResidentSlices.of(pool, CPU.device))


def test_no_cut_waits_for_a_device() -> None:
    """Tensors without numbers: what asked them for one, as whoever waits for a GPU does, would raise."""
    nowhere = torch.device("meta")
    here = ResidentSlices.of(SlicePool.of_all(patients(2)), CPU.device)
    images, masks = ({index: one.to(nowhere) for index, one in some.items()} for some in (here.images, here.masks))
    image, mask = ResidentSlices(images, masks, nowhere).cut(CUTS)
    assert (image.shape, mask.shape) == ((2, 3, 8, 8), (2, 1, 8, 8))


def test_on_the_cpu_the_slices_stay_in_their_files(tmp_path: Path) -> None:
    patient = patients(1)[0]
    np.save(tmp_path / "p0-256.npy", patient.variants)
    np.save(tmp_path / "p0-256-mask.npy", patient.mask)
    (tmp_path / "cache.json").write_text('{"version": 1, "patients": ["p0"]}')
    pool = SlicePool.of_all(load_cache(tmp_path, ["p0"], 256))
    slices = ResidentSlices.of(pool, CPU.device)
    assert isinstance(pool.patients[0].variants, np.memmap)
    assert np.shares_memory(slices.images[0].numpy(), pool.patients[0].variants)
    assert np.shares_memory(slices.masks[0].numpy(), pool.patients[0].mask)
    slices.images[0].zero_()
    np.testing.assert_array_equal(np.load(tmp_path / "p0-256.npy"), patient.variants)  # the file can't be harmed


def test_patients_without_a_slice_in_the_pool_take_no_room() -> None:
    slices = ResidentSlices.of(SlicePool(patients(3), [(2, 0), (0, 1)]), CPU.device)
    assert set(slices.images) == set(slices.masks) == {0, 2}


def test_a_small_slice_gets_a_border_of_nothing() -> None:
    pool = SlicePool.of_all(patients(2))
    cuts = [SliceCut(1, 2, [(0, 1, 2)], slice(None), slice(None))]
    image, mask = ResidentSlices.of(pool, CPU.device).cut(cuts, 37)
    whole, whole_mask = cut_by_numpy(pool.patients[1], cuts[0])
    np.testing.assert_array_equal(image[0, :, 2:34, 2:34], whole)
    np.testing.assert_array_equal(mask[0, :, 2:34, 2:34], whole_mask)
    assert image.shape == mask.shape == (1, 1, 37, 37)
    assert image.abs().sum() == np.abs(whole).sum(dtype=np.float32) or np.count_nonzero(image) == np.count_nonzero(
        whole
    )


@pytest.mark.parametrize(
    ("middle", "side", "length", "expected"),
    [(10, 4, 32, (8, 12)), (0, 4, 32, (0, 4)), (40, 4, 32, (28, 32)), (-9, 5, 32, (0, 5)), (3, 8, 6, (0, 6))],
    ids=["inside", "at the start", "beyond the end", "before the start", "longer than the slice"],
)
def test_a_window_moves_inward(middle: int, side: int, length: int, expected: tuple[int, int]) -> None:
    assert span(middle, side, length) == slice(*expected)


def test_slices_leave_half_of_a_gpu_to_the_network() -> None:
    assert has_room(4_000_000_000, 8_000_000_000)
    assert not has_room(4_000_000_001, 8_000_000_000)


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_without_a_cuda_gpu_slices_lie_in_the_computers_memory(device: str) -> None:
    assert home_of(10**15, torch.device(device)) == CPU.device


@needs_cuda
def test_a_gpu_holds_the_slices_and_cuts_the_same_batches() -> None:
    pool = SlicePool.of_all(patients(2))
    slices = ResidentSlices.of(pool, torch.device("cuda", 0))
    assert {one.device.type for one in (*slices.images.values(), *slices.masks.values())} == {"cuda"}
    assert_cut_rightly(pool, slices)


@needs_cuda
def test_a_gpu_without_room_is_sent_the_same_batches_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pool = SlicePool.of_all(patients(2))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (1000, 1000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _device: 0)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _device: 0)
    with caplog.at_level(logging.WARNING):
        slices = ResidentSlices.of(pool, torch.device("cuda", 0))
    assert {one.device.type for one in (*slices.images.values(), *slices.masks.values())} == {"cpu"}
    assert "stay in the computer's memory" in caplog.text
    assert_cut_rightly(pool, slices)
