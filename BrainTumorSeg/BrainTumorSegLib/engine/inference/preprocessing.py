"""From a study to the axial slices a network sees, and exactly back to FLAIR's own grid.

Training uses the same normalisation (``normalisation.py``) on stacks that already have the network's sampling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from BrainTumorSegLib.engine.errors import DefectError, GeometryError
from BrainTumorSegLib.engine.inference.normalisation import BACKGROUND, Scale
from BrainTumorSegLib.engine.inference.thickness import from_slabs, to_slabs
from BrainTumorSegLib.engine.inference.view import View
from BrainTumorSegLib.engine.networks.inputs import CHANNELS, SEQUENCES, SIZE_PX
from BrainTumorSegLib.engine.study.axial import AxialOrder
from BrainTumorSegLib.engine.study.roles import Role
from BrainTumorSegLib.engine.study.slabs import slabs
from BrainTumorSegLib.engine.study.study import Study

NOMINAL_SPACING_MM = 0.9
"""In-plane sampling to which others are brought: the middle of what is known of the training data (0.786 and 0.938)."""
KEPT_SPACING_MM = (0.7, 1.2)
"""Square pixels in this range stay as they are: training covers it by its scale augmentation, and resampling blurs."""
NEIGHBOUR_DISTANCE_MM = 5.0
"""Distance of the neighbouring slices that a 2.5D network sees, as in the training data (5.0 and 5.5 mm)."""

_HEAD_LEVEL = -0.6
_HEAD_SHARE = 0.01
_SQUARE_TOLERANCE = 0.02
_SLICES_PER_NEIGHBOUR_STEP = 20

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class AxialSlices:
    """What the networks see of a study, and the way back.

    sequences: float32 [3, S, 256, 256] in the order of SEQUENCES, values -1 (background) to 3; slices inferior first,
    row 0 anterior, column 0 the patient's right, each the mean of its slab (see ``thickness.py``). neighbour_step: how
    many slices make one neighbour distance, and a slab. view: the way from FLAIR's grid to the slices and back.
    head_mm: how far the head reaches along rows' and columns' axis, by FLAIR's header.
    """

    sequences: Array
    neighbour_step: int
    view: View
    head_mm: tuple[float, float]

    def __len__(self) -> int:
        return self.sequences.shape[1]

    def channels(self, names: Sequence[str], positions: npt.NDArray[np.intp], size_px: int = SIZE_PX) -> Array:
        """Network input float32 [B, C, size_px, size_px] for the slices at ``positions`` [B]; the stack's ends repeat.

        size_px: the sampling of the network, see ``coarsen``.
        """
        index = self._planes_of(names, positions)
        planes = self.sequences.reshape(-1, *self.sequences.shape[2:])
        if size_px == SIZE_PX:
            return planes[index]
        # Neighbouring slices are channels of each other: each is made coarse once.
        needed, places = np.unique(index, return_inverse=True)
        return coarsen(planes[needed], size_px)[places.reshape(index.shape)]

    def _planes_of(self, names: Sequence[str], positions: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        """Which plane of [3 * S, 256, 256] is which channel [B, C] of the slices at ``positions`` [B]."""
        neighbours = [
            (sequence, positions + steps * self.neighbour_step)
            for sequence, steps in (CHANNELS[name] for name in names)
        ]
        return np.stack([sequence * len(self) + np.clip(at, 0, len(self) - 1) for sequence, at in neighbours], axis=1)

    def of_slices(self, logits: Array) -> Array:
        """Logits [S, 256, 256] of the slabs that networks see, made into those of the slices, in place."""
        from_slabs(logits, self.neighbour_step)
        return logits

    def bring(self, values: Array) -> Array:
        """Brings float32 [K, J, I] on FLAIR's own grid to the view's slices [S, 256, 256], thin ones too; training
        brings its references so. What lies outside the volume becomes BACKGROUND.
        """
        return self.view.bring(values, BACKGROUND)

    def restore(self, values: Array) -> Array:
        """Brings float32 [S, 256, 256] to FLAIR's own grid [K, J, I]; 0 outside the network's view.

        Raises DefectError if the shape is not that of the slices.
        """
        if values.shape != self.sequences.shape[1:]:
            raise DefectError(
                f"Values of shape {values.shape} do not fit the slices {self.sequences.shape[1:]}.",
                "This is a defect; please report it.",
            )
        return self.view.restore(values)


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
    Thin ones become slabs of the training data's thickness, see ``thickness.py``.
    Raises InputError that names a sequence without contrast.
    """
    order = AxialOrder.of(study.geometry)
    scale = Scale.of(study.flair, Role.FLAIR.label)
    low, high = _head_box(order.to_axial(study.flair), scale)
    head_px = high - low + 1
    head_mm = head_px * order.spacing_mm[1:]
    middle = (low + high) / 2
    pixel_mm = _pixel_mm(head_px, order.spacing_mm[1:])
    view = View.of(order, order.to_axial(study.flair).shape, pixel_mm, (float(middle[0]), float(middle[1])))
    sequences = np.empty((len(SEQUENCES), view.slices, SIZE_PX, SIZE_PX), np.float32)
    step = neighbour_step(view.slices, order.spacing_mm[0])
    t1, flair, t1c = sequences
    view.bring_scaled(study.flair, scale.apply, BACKGROUND, flair)
    to_slabs(flair, step)
    for role, array, slices in ((Role.T1, study.t1, t1), (Role.T1C, study.t1c, t1c)):
        if array is None:
            slices[:] = flair
        else:
            view.bring_scaled(array, Scale.of(array, role.label).apply, BACKGROUND, slices)
            to_slabs(slices, step)
    return AxialSlices(sequences, step, view, (float(head_mm[0]), float(head_mm[1])))


def neighbour_step(slices: int, slice_distance_mm: float) -> int:
    """Slices to the neighbour about NEIGHBOUR_DISTANCE_MM away; at least 1.

    At most a twentieth of the stack, so that a stack whose header lacks the real distance (1 mm and 30 slices make
    no head) keeps the adjacent slices as neighbours.
    """
    by_distance = round(NEIGHBOUR_DISTANCE_MM / slice_distance_mm)
    return max(1, min(by_distance, slices // _SLICES_PER_NEIGHBOUR_STEP))


def _pixel_mm(head_px: npt.NDArray[np.float64], spacing_mm: Sequence[float]) -> float | None:
    """The in-plane sampling to resample to; None where the study's own serves."""
    low, high = KEPT_SPACING_MM
    square = abs(spacing_mm[0] - spacing_mm[1]) <= _SQUARE_TOLERANCE * spacing_mm[0]
    if square and low <= spacing_mm[0] <= high and max(head_px) <= SIZE_PX:
        return None
    return max(NOMINAL_SPACING_MM, float(max(head_px * np.asarray(spacing_mm))) / SIZE_PX)


def _head_box(flair: Array, scale: Scale) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """First and last row and column of which at least 1 % is brighter than air, over all slices."""
    slices, height, width = flair.shape
    rows, columns = np.zeros(height, np.intp), np.zeros(width, np.intp)
    for part in slabs(flair.shape):
        head = scale.brighter(flair[part], _HEAD_LEVEL)
        rows += head.sum(axis=(0, 2))
        columns += head.sum(axis=(0, 1))
    ends = []
    for share, length in ((rows / (slices * width), height), (columns / (slices * height), width)):
        lines = np.flatnonzero(share > _HEAD_SHARE)
        ends.append((lines[0], lines[-1]) if len(lines) else (0, length - 1))
    low, high = np.asarray(ends, np.float64).T
    return low, high
