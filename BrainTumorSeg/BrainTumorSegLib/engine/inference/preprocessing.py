"""From a study to the axial slices a network sees, and exactly back to FLAIR's own grid.

Built from MONAI's invertible transforms; training uses the same normalisation (``normalisation.py``) on stacks that
already have the network's sampling.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from monai.data import MetaTensor
from monai.data.utils import compute_shape_offset
from monai.transforms import Compose, ResizeWithPadOrCropd, Spacingd, SpatialCropd, Transform

from BrainTumorSegLib.engine.errors import DefectError, GeometryError
from BrainTumorSegLib.engine.inference.normalisation import BACKGROUND, normalise_sequence
from BrainTumorSegLib.engine.networks.inputs import CHANNELS, SIZE_PX
from BrainTumorSegLib.engine.study.axial import AxialOrder
from BrainTumorSegLib.engine.study.study import Study

NOMINAL_SPACING_MM = 0.9
"""In-plane sampling to which others are brought: the middle of what is known of the training data (0.786 and 0.938)."""
KEPT_SPACING_MM = (0.7, 1.2)
"""Square pixels in this range stay as they are: training covers it by its scale augmentation, and resampling blurs."""
NEIGHBOUR_DISTANCE_MM = 5.0
"""Distance of the neighbouring slices that a 2.5D network sees, as in the training data (5.0 and 5.5 mm)."""

_KEY = "sequences"
_HEAD_LEVEL = -0.6
_HEAD_SHARE = 0.01
_SQUARE_TOLERANCE = 0.02
_SLICES_PER_NEIGHBOUR_STEP = 20


@dataclass(frozen=True)
class AxialSlices:
    """What the networks see of a study, and the way back.

    sequences: float32 [3, S, 256, 256] in the order of SEQUENCES, values -1 (background) to 3; slices inferior first,
    row 0 anterior, column 0 the patient's right. neighbour_step: how many slices make one neighbour distance.
    """

    neighbour_step: int
    _order: AxialOrder
    _transforms: Compose
    _prepared: MetaTensor

    @property
    def sequences(self) -> npt.NDArray[np.float32]:
        """float32 [3, S, 256, 256]; see the class."""
        return self._prepared.numpy()

    def __len__(self) -> int:
        return self._prepared.shape[1]

    def channels(
        self, names: Sequence[str], positions: npt.NDArray[np.intp], size_px: int = SIZE_PX
    ) -> npt.NDArray[np.float32]:
        """Network input float32 [B, C, size_px, size_px] for the slices at ``positions`` [B]; the stack's ends repeat.

        size_px: the sampling of the network, see ``coarsen``.
        """
        last = len(self) - 1
        planes = []
        for sequence, steps in (CHANNELS[name] for name in names):
            planes.append(self.sequences[sequence, np.clip(positions + steps * self.neighbour_step, 0, last)])
        return coarsen(np.stack(planes, axis=1), size_px)

    def bring(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Brings float32 [K, J, I] on FLAIR's own grid to the slices [S, 256, 256], as the sequences were; training
        brings its references so. What lies outside the volume becomes BACKGROUND.
        """
        axial = np.ascontiguousarray(self._order.to_axial(values), dtype=np.float32)
        tensor = MetaTensor(torch.from_numpy(axial)[None], affine=np.diag([*self._order.spacing_mm, 1.0]))
        return self._transforms({_KEY: tensor})[_KEY][0].numpy()

    def restore(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Brings float32 [S, 256, 256] to FLAIR's own grid [K, J, I]; 0 outside the network's view.

        Raises DefectError if the shape is not that of the slices.
        """
        if values.shape != self.sequences.shape[1:]:
            raise DefectError(
                f"Values of shape {values.shape} do not fit the slices {self.sequences.shape[1:]}.",
                "This is a defect; please report it.",
            )
        # The inverse of resampling starts from the affine that the slices have now.
        tensor = MetaTensor(torch.from_numpy(np.ascontiguousarray(values))[None], affine=self._prepared.affine)
        # The inverse takes them off, nested ones too: a copy, so that the way back can be gone again.
        tensor.applied_operations = copy.deepcopy(self._prepared.applied_operations)
        axial = self._transforms.inverse({_KEY: tensor})[_KEY][0].numpy()
        return np.ascontiguousarray(self._order.from_axial(axial), dtype=np.float32)


def coarsen(slices: npt.NDArray[np.float32], size_px: int) -> npt.NDArray[np.float32]:
    """Slices [..., H, W] at ``size_px`` rows and columns, each pixel the mean of the block it replaces.

    Raises GeometryError unless the sides are multiples of size_px.
    """
    height, width = slices.shape[-2:]
    if height % size_px or width % size_px:
        raise GeometryError(
            f"Slices of {height} x {width} pixels can't be brought to {size_px} x {size_px} by blocks.",
            f"The network's side must be a whole part of {SIZE_PX}, such as {SIZE_PX // 2}.",
        )
    rows, columns = height // size_px, width // size_px
    if rows == columns == 1:
        return slices
    # NumPy's mean over two axes takes two to five times as long.
    corners = [(row, column) for row in range(rows) for column in range(columns)]
    total = sum(slices[..., row::rows, column::columns] for row, column in corners)
    return np.asarray(total / np.float32(len(corners)), np.float32)


def prepare(study: Study) -> AxialSlices:
    """Normalises the sequences and cuts them into the slices that networks see.

    A missing sequence is filled with FLAIR, exactly as in the training data. Slices are axial whatever the
    acquisition: the array axis closest to the patient's superior axis becomes the slice axis, without interpolation.
    Raises InputError for a sequence without contrast.
    """
    order = AxialOrder.of(study.geometry)
    flair = normalise_sequence(order.to_axial(study.flair))
    others = (study.t1, study.t1c)
    t1, t1c = (flair if array is None else normalise_sequence(order.to_axial(array)) for array in others)
    affine = np.diag([*order.spacing_mm, 1.0])
    image = MetaTensor(torch.from_numpy(np.stack([t1, flair, t1c])), affine=affine)
    transforms = _transforms_for(flair, order.spacing_mm)
    prepared = transforms({_KEY: image})[_KEY]
    return AxialSlices(
        neighbour_step(len(flair), order.spacing_mm[0]),
        order,
        transforms,
        prepared,
    )


def neighbour_step(slices: int, slice_distance_mm: float) -> int:
    """Slices to the neighbour about NEIGHBOUR_DISTANCE_MM away; at least 1.

    At most a twentieth of the stack, so that a stack whose header lacks the real distance (1 mm and 30 slices make
    no head) keeps the adjacent slices as neighbours.
    """
    by_distance = round(NEIGHBOUR_DISTANCE_MM / slice_distance_mm)
    return max(1, min(by_distance, slices // _SLICES_PER_NEIGHBOUR_STEP))


def _transforms_for(flair: npt.NDArray[np.float32], spacing_mm: tuple[float, float, float]) -> Compose:
    """The steps that one study's sampling and size need, for normalised axial arrays [3, S, H, W]."""
    low, high = _head_box(flair)
    pixel_mm = _pixel_mm(high - low + 1, spacing_mm[1:])
    steps: list[Transform] = []
    shape = list(flair.shape[1:])
    if pixel_mm is not None:
        steps.append(Spacingd(_KEY, pixdim=(-1, pixel_mm, pixel_mm), mode="bilinear", padding_mode="border"))
        scale = np.asarray(spacing_mm[1:]) / pixel_mm
        low, high = low * scale, high * scale
        new, _ = compute_shape_offset(shape, np.diag([*spacing_mm[1:], 1.0]), np.diag([pixel_mm, pixel_mm, 1.0]))
        shape = [int(n) for n in new]
    if max(shape) > SIZE_PX:
        starts = [_crop_start(centre, n) for centre, n in zip((low + high) / 2, shape, strict=True)]
        ends = [start + min(SIZE_PX, n) for start, n in zip(starts, shape, strict=True)]
        steps.append(SpatialCropd(_KEY, roi_start=(0, *starts), roi_end=(len(flair), *ends)))
    steps.append(ResizeWithPadOrCropd(_KEY, spatial_size=(-1, SIZE_PX, SIZE_PX), value=BACKGROUND))
    return Compose(steps)


def _crop_start(centre: float, length: int) -> int:
    return min(max(round(centre) - SIZE_PX // 2, 0), max(length - SIZE_PX, 0))


def _pixel_mm(head_px: npt.NDArray[np.float64], spacing_mm: Sequence[float]) -> float | None:
    """The in-plane sampling to resample to; None where the study's own serves."""
    low, high = KEPT_SPACING_MM
    square = abs(spacing_mm[0] - spacing_mm[1]) <= _SQUARE_TOLERANCE * spacing_mm[0]
    if square and low <= spacing_mm[0] <= high and max(head_px) <= SIZE_PX:
        return None
    return max(NOMINAL_SPACING_MM, float(max(head_px * np.asarray(spacing_mm))) / SIZE_PX)


def _head_box(flair: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """First and last row and column of which at least 1 % is brighter than air, over all slices."""
    head = flair > _HEAD_LEVEL
    ends = []
    for axis, length in ((1, flair.shape[1]), (2, flair.shape[2])):
        share = head.mean(axis=tuple(other for other in range(3) if other != axis))
        lines = np.flatnonzero(share > _HEAD_SHARE)
        ends.append((lines[0], lines[-1]) if len(lines) else (0, length - 1))
    low, high = np.asarray(ends, np.float64).T
    return low, high
