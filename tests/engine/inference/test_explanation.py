"""What a classifier looked at: with a classifier whose answer is known to come from one place."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.inference.explanation import explain_slice
from BrainTumorSegLib.engine.models.bundle import Bundle, Recommendation
from BrainTumorSegLib.engine.networks.registry import build_network
from BrainTumorSegLib.engine.study.axial import AxialOrder
from BrainTumorSegLib.engine.study.geometry import Geometry
from BrainTumorSegLib.engine.study.study import Study
from result_phantoms import CORONAL, FLIPPED, SAGITTAL, ellipsoid, grid, points_lps

GRIDS = {
    "axial": grid(FLIPPED, (160, 176, 14), (1.0, 1.0, 6.0)),
    "sagittal": grid(SAGITTAL, (176, 96, 40), (1.0, 1.0, 4.0)),
    "coronal": grid(CORONAL, (160, 96, 44), (1.0, 1.0, 4.0)),
}
CHANNELS = ("t1", "flair", "t1c")
SPOT = (-23.0, 19.0, 23.0)


class BrightSpot(nn.Module):
    """Says tumour where FLAIR is very bright, by one convolution that shrinks its slices 8 times, as encoders do."""

    map_layer = "shrink"

    def __init__(self) -> None:
        super().__init__()
        self.shrink = nn.Conv2d(len(CHANNELS), 1, 8, stride=8)
        nn.init.zeros_(self.shrink.weight)
        nn.init.constant_(self.shrink.weight[:, 1], 1.0)
        nn.init.constant_(self.shrink.bias, -32.0)  # type: ignore[arg-type]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.shrink(x)).mean(dim=(1, 2, 3))


def study_on(geometry: Geometry) -> Study:
    head = ellipsoid(geometry, (7.0, -11.0, 23.0), (60.0, 75.0, 45.0))
    spot = ellipsoid(geometry, SPOT, (14.0, 14.0, 20.0))
    texture = np.random.default_rng(0).normal(0, 5, geometry.shape_kji)
    return Study((np.where(spot, 900, np.where(head, 300, 5)) + texture).astype(np.float32), geometry)


def bundle(network: nn.Module) -> Bundle:
    return Bundle("spot", "1.0.0", network.eval(), CHANNELS, Recommendation(), 128)


@pytest.mark.parametrize("geometry", GRIDS.values(), ids=GRIDS)
def test_the_map_is_high_where_the_answer_comes_from(geometry: Geometry) -> None:
    order = AxialOrder.of(geometry)
    spot = ellipsoid(geometry, SPOT, (14.0, 14.0, 20.0))
    index = int(order.to_axial(spot).sum(axis=(1, 2)).argmax())
    found = explain_slice(study_on(geometry), bundle(BrightSpot()), index)
    assert found.shape == geometry.shape_kji
    assert found.dtype == np.float32
    assert (found.min(), found.max()) == (0.0, pytest.approx(1.0, abs=0.1))
    others = np.delete(order.to_axial(found), index, axis=0)
    assert not others.any(), "one slice alone is explained"
    high = points_lps(geometry)[found > 0.6]
    assert np.linalg.norm((high - SPOT)[:, :2], axis=1).max() < 30.0, "a pixel of the map is 16 mm"
    assert np.linalg.norm(high.mean(axis=0)[:2] - SPOT[:2]) < 10.0


@pytest.mark.parametrize("network", ["EfficientNetLite0Classifier", "ResNet50Classifier"])
def test_the_released_kinds_of_classifier_can_be_explained(network: str) -> None:
    torch.manual_seed(0)
    built = build_network(network, {"input_channels": 3, **({} if "Lite0" in network else {"head": "global_average"})})
    shapes = []
    dict(built.named_modules())[built.map_layer].register_forward_hook(lambda *given: shapes.append(given[2].shape))
    before = {name: value.clone() for name, value in built.state_dict().items()}
    found = explain_slice(study_on(GRIDS["axial"]), bundle(built), 5)
    assert found.max() <= 1.0
    assert [tuple(shape[2:]) for shape in shapes] == [(8, 8)], "a 16th of 128 pixels"
    assert np.isfinite(found).all()
    assert all(torch.equal(value, before[name]) for name, value in built.state_dict().items())


@pytest.mark.parametrize("index", [-1, 14])
def test_a_slice_that_is_not_there_is_refused(index: int) -> None:
    with pytest.raises(InputError, match=f"no slice {index + 1}: the study has 14"):
        explain_slice(study_on(GRIDS["axial"]), bundle(BrightSpot()), index)
