import io
import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from BrainTumorSegLib.engine.errors import ModelError
from BrainTumorSegLib.engine.models.bundle import load_bundle
from bundles import CHANNELS_2D, bright_flair_network, bright_slice_classifier, write_bundle

PARTS = {"network": "ResUNet", "arguments": {"input_channels": 3}, "channels": CHANNELS_2D}


def test_a_bundle_comes_back_with_its_weights_and_recommendations(tmp_path: Path) -> None:
    network = bright_flair_network()
    path = write_bundle(tmp_path / "bright.zip", network, **PARTS, recommendation={"threshold": 0.4, "temperature": 2})
    bundle = load_bundle(path)
    assert (bundle.name, bundle.version, bundle.channels) == ("bright", "1.0.0", tuple(CHANNELS_2D))
    assert bundle.recommendation.threshold == 0.4
    for name, tensor in network.state_dict().items():
        assert torch.equal(bundle.network.state_dict()[name], tensor)
    assert not bundle.network.training


def test_a_classifier_may_take_coarser_slices_and_a_segmentation_may_not(tmp_path: Path) -> None:
    own = {**PARTS, "network": "EfficientNetLite0Classifier"}
    path = write_bundle(tmp_path / "slices.zip", bright_slice_classifier(), size_px=128, **own)
    assert load_bundle(path).size_px == 128
    coarse = write_bundle(tmp_path / "coarse.zip", bright_flair_network(), size_px=128, **PARTS)
    with pytest.raises(ModelError, match=r"coarse.zip does not fit this version.*slices of 128 x 128 pixels"):
        load_bundle(coarse)


def test_weights_that_carry_code_are_refused_and_never_run(tmp_path: Path) -> None:
    marker = tmp_path / "executed"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (marker,))  # type: ignore[return-value]

    path = write_bundle(tmp_path / "bright.zip", bright_flair_network(), **PARTS)
    evil = tmp_path / "evil.zip"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(evil, "w") as target:
        for name in source.namelist():
            weights = io.BytesIO()
            torch.save(Evil(), weights)
            target.writestr(name, weights.getvalue() if name.endswith(".pt") else source.read(name))
    with pytest.raises(ModelError, match="evil.zip does not fit this version"):
        load_bundle(evil)
    assert not marker.exists()
    with pytest.raises(pickle.UnpicklingError):
        torch.load(io.BytesIO(weights.getvalue()), weights_only=True)


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        ({**PARTS, "network": "UNet9000"}, "no network 'UNet9000'"),
        ({**PARTS, "channels": ["t2", "flair", "t1c"]}, "unknown input channels"),
        ({**PARTS, "arguments": {"input_channels": 5}}, "size mismatch"),
        ({"network": "ResUNet"}, "'arguments'"),
    ],
    ids=["network", "channels", "weights", "missing key"],
)
def test_a_bundle_this_version_cannot_run_says_why(tmp_path: Path, own: dict[str, object], reason: str) -> None:
    path = write_bundle(tmp_path / "odd.zip", bright_flair_network(), **own)
    with pytest.raises(ModelError, match=reason):
        load_bundle(path)


def test_a_file_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.zip"
    path.write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(ModelError, match=r"cut.zip is not a complete model bundle.*import its file"):
        load_bundle(path)
