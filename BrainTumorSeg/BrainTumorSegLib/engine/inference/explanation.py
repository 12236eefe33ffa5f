"""Which parts of a slice made the classifier say tumour: a class-activation map on FLAIR's own grid.

Grad-CAM (Selvaraju et al., ICCV 2017) by MONAI.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from monai.visualize import GradCAM
from torch import nn

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.inference.preprocessing import prepare
from BrainTumorSegLib.engine.models.bundle import Bundle
from BrainTumorSegLib.engine.networks.inputs import SIZE_PX
from BrainTumorSegLib.engine.study.axial import AxialOrder
from BrainTumorSegLib.engine.study.study import Study


class _OfOneClass(nn.Module):
    """A classifier's logits [B] as [B, 1], in which MONAI looks for a class."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(x)
        return logits[:, None]


def explain_slice(study: Study, classifier: Bundle, index: int) -> npt.NDArray[np.float32]:
    """Where the classifier saw tumour in an axial slice: float32 [K, J, I] on FLAIR's grid, 0-1, 0 in other slices.

    index: from 0, the lowest. 1 is what spoke most for tumour in this very slice: maps of two slices can't be compared,
    and a slice that the classifier finds clear may have a map too; all is 0 where nothing spoke for tumour. The map is
    coarse (a 16th of the network's slices) and shows what the classifier looked at, not where tumour is. Raises
    InputError for a slice that is not there, or a sequence without contrast.
    """
    slices = prepare(study)
    if not 0 <= index < len(slices):
        raise InputError(f"There is no slice {index + 1}: the study has {len(slices)}.", "Give a slice of this study.")
    pixels = torch.from_numpy(slices.channels(classifier.channels, np.array([index]), classifier.size_px))
    network = _OfOneClass(classifier.network).eval()
    # MONAI's own last step maps the highest value to 0 and the lowest to 1.
    explained = GradCAM(network, f"network.{classifier.network.map_layer}", postprocessing=torch.as_tensor)
    found = explained(pixels, class_idx=0).detach()
    resized = nn.functional.interpolate(found, (SIZE_PX, SIZE_PX), mode="bilinear")[0, 0].numpy()
    maps = np.zeros((len(slices), SIZE_PX, SIZE_PX), np.float32)
    maps[index] = resized / max(float(resized.max()), np.finfo(np.float32).tiny)
    restored = np.clip(slices.restore(maps), 0.0, 1.0)
    alone, order = np.zeros_like(restored), AxialOrder.of(study.geometry)
    # The way back interpolates: rounding would leave traces in the neighbours.
    order.to_axial(alone)[index] = order.to_axial(restored)[index]
    return alone
