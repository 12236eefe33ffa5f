"""Samples against a plain reference in numpy that cuts one slice at a time, and what they promise."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import pytest

from brain_tumor_training.data.cache import CachedPatient
from brain_tumor_training.data.resident_slices import ResidentSlices
from brain_tumor_training.data.slices import SlicePool
from brain_tumor_training.fitting.augmentation import SampleChanges, draw_changes
from brain_tumor_training.fitting.slice_stream import SliceStream
from brain_tumor_training.recipes.settings import SamplingSettings, TrainingSettings
from BrainTumorSegLib.engine.networks.inputs import CHANNELS
from training_phantom import CPU, SIZE_PX, patients, tiny_settings

Array = npt.NDArray[np.float32]


def cut(pool: SlicePool, stream: SliceStream, numbers: range) -> tuple[Array, Array]:
    """Images and masks of samples, before their changes."""
    slices = ResidentSlices.of(pool, CPU.device)
    image, mask = slices.cut([stream[number].cut for number in numbers], stream.side_px)
    return image.numpy(), mask.numpy()


def reference_sample(
    pool: SlicePool, settings: TrainingSettings, number: int, seed: int, crop_px: int | None, size_px: int
) -> tuple[Array, Array, SampleChanges]:
    """Sample ``number`` as a description would have it: drawn, taken and cut in numpy, slice by slice."""
    rng = np.random.default_rng((seed, number))
    sampling = settings.sampling
    if sampling.tumour_share is None:
        epoch, place = divmod(number, len(pool.slices))
        order = np.random.default_rng((seed, epoch, 1)).permutation(len(pool.slices))
        index, position = pool.slices[order[place]]
    else:
        wanted = rng.random() < sampling.tumour_share
        slices = [one for one in pool.slices if pool.patients[one[0]].mask[one[1]].any() == wanted]
        groups = [slices]
        if sampling.equal == "patients":
            groups = [[one for one in slices if one[0] == p] for p in sorted({p for p, _ in slices})]
        group = groups[rng.integers(len(groups))]
        index, position = group[rng.integers(len(group))]
    patient = pool.patients[index]
    variant = int(rng.random() < sampling.brain_share)
    dropped = [sequence for sequence in (0, 2) if rng.random() < sampling.sequence_drop]
    alone = rng.random() < sampling.neighbour_drop
    channels = []
    for name in settings.channels:
        sequence, steps = CHANNELS[name]
        neighbour = position if alone else position + steps * patient.neighbour_step
        neighbour = int(np.clip(neighbour, 0, len(patient.mask) - 1))
        channels.append(patient.variants[variant, 1 if sequence in dropped else sequence, neighbour])
    image, mask = np.array(channels, np.float32) + 1, patient.mask[position][None].astype(np.float32)
    if crop_px is not None:
        row, column = reference_centre(image, mask, rng)
        image, mask = (reference_window(one, row, column, round(crop_px * 1.25)) for one in (image, mask))
    return image, mask, draw_changes(settings.augmentation, len(settings.channels), size_px, rng)


def reference_centre(image: Array, mask: Array, rng: np.random.Generator) -> tuple[int, int]:
    shown = mask[0] > 0 if mask.any() else image[min(1, len(image) - 1)] > 0
    places = np.argwhere(shown)
    if len(places) == 0:
        return image.shape[1] // 2, image.shape[2] // 2
    place = places[rng.integers(len(places))]
    jitter = rng.integers(-40, 41, 2)
    return int(place[0] + jitter[0]), int(place[1] + jitter[1])


def reference_window(array: Array, row: int, column: int, side: int) -> Array:
    """The square whose middle is nearest to a pixel among all that lie in the slice, or the slice in its middle."""
    for axis, middle in ((1, row), (2, column)):
        length = array.shape[axis]
        if length <= side:
            before = (side - length) // 2
            array = np.pad(array, [(before, side - length - before) if one == axis else (0, 0) for one in range(3)])
            continue
        places = list(range(length - side + 1))
        start = min(places, key=lambda one: abs(one - (middle - side // 2)))
        array = array.take(range(start, start + side), axis=axis)
    return array


def random_patients(rng: np.random.Generator, height: int, width: int) -> list[CachedPatient]:
    """Stacks of 1 to 9 slices with heads of any shape, empty slices among them, some with a tumour."""
    made = []
    for number in range(5):
        slices = int(rng.integers(1, 10))
        variants = rng.normal(0, 1, (2, 3, slices, height, width)).clip(-1, 3)
        variants[:, :, rng.random(slices) < 0.2] = -1
        mask = rng.random((slices, height, width)) < 0.01
        mask[rng.random(slices) < 0.5] = False
        made.append(CachedPatient(f"p{number}", variants.astype(np.float16), mask, int(rng.integers(1, 4))))
    made[0].mask[0], made[1].mask[0] = True, False  # slices of both kinds, whatever was drawn
    return made


@pytest.mark.parametrize("channels", [("t1", "flair", "t1c", "flair_below", "flair_above"), ("flair",), ("t1c", "t1")])
@pytest.mark.parametrize("crop_px", [None, 16, 37, 60])
@pytest.mark.parametrize(
    "sampling",
    [
        SamplingSettings(0.5, 0.5, 0.4, 0.3),
        SamplingSettings(None, 0.3, 0.5, 0.5),
        SamplingSettings(0.4, 0.0, 0.0, 0.0, equal="patients"),
    ],
    ids=["by kind", "epochs", "equal patients"],
)
def test_samples_are_those_of_a_plain_reference(
    sampling: SamplingSettings, crop_px: int | None, channels: tuple[str, ...]
) -> None:
    for seed in range(3):
        rng = np.random.default_rng(seed)
        pool = SlicePool.of_all(random_patients(rng, 48, 61))
        settings = tiny_settings(sampling=sampling, channels=channels)
        stream = SliceStream(pool, settings, 48, seed, crop_px)
        images, masks = cut(pool, stream, range(30))
        for number in range(30):
            image, mask, changes = reference_sample(pool, settings, number, seed, crop_px, 48)
            np.testing.assert_array_equal(images[number], image)
            np.testing.assert_array_equal(masks[number], mask)
            assert repr(stream[number].changes) == repr(changes)


def test_a_sample_depends_on_its_number_alone() -> None:
    pool = SlicePool.of_all(patients())
    one, other = (SliceStream(pool, tiny_settings(), SIZE_PX, seed=1, crop_px=16) for _ in range(2))
    _ = [one[index] for index in range(10)]
    assert repr(one[17]) == repr(other[17])
    assert repr(one[17]) != repr(one[18])


def test_a_crop_comes_with_a_margin_and_shows_the_tumour() -> None:
    pool = SlicePool.of_all(patients())
    settings = tiny_settings(sampling=SamplingSettings(tumour_share=1.0))
    stream = SliceStream(pool, settings, SIZE_PX, seed=1, crop_px=SIZE_PX // 2)
    images, masks = cut(pool, stream, range(20))
    side = round(SIZE_PX // 2 * 1.25)
    assert images.shape[2:] == masks.shape[2:] == (side, side)
    assert np.mean([mask.any() for mask in masks]) > 0.7


def test_without_a_tumour_share_every_slice_comes_once_an_epoch() -> None:
    pool = SlicePool.of_all(patients())
    settings = tiny_settings(
        sampling=SamplingSettings(None, brain_share=0, sequence_drop=0, neighbour_drop=0), augmentation=None
    )
    stream = SliceStream(pool, settings, SIZE_PX, seed=1)
    epochs = [
        [float(image.sum()) for image in cut(pool, stream, range(start, start + len(pool)))[0]]
        for start in (0, len(pool))
    ]
    assert sorted(epochs[0]) == sorted(epochs[1])
    assert len(set(epochs[0])) == len(pool)
    assert epochs[0] != epochs[1]


@pytest.mark.parametrize(("equal", "share_of_short"), [("slices", 3 / 21), ("patients", 1 / 2)])
def test_slices_or_patients_have_equal_chances(equal: Literal["slices", "patients"], share_of_short: float) -> None:
    """One patient has 3 slices with tumour, the other 18."""
    short, long = patients(1, slices=5)[0], patients(2, slices=20)[1]
    sampling = SamplingSettings(1.0, brain_share=0, sequence_drop=0, neighbour_drop=0, equal=equal)
    settings = tiny_settings(sampling=sampling, augmentation=None)
    stream = SliceStream(SlicePool.of_all([short, long]), settings, SIZE_PX, seed=1)
    seen = [stream[index].cut.patient == 0 for index in range(600)]
    assert np.mean(seen) == pytest.approx(share_of_short, abs=0.06)
