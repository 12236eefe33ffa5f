"""The registry: it builds what it lists, imports only what it builds, and says what it can't."""

from __future__ import annotations

import subprocess
import sys

import pytest

from BrainTumorSegLib.engine.errors import ModelError
from BrainTumorSegLib.engine.networks.registry import NETWORKS, build_network


@pytest.mark.parametrize("name", NETWORKS)
def test_every_listed_network_is_built_by_its_name(name):
    assert type(build_network(name, {})).__name__ == name


def test_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(
        ModelError,
        match=r"no network 'UNet'.*ResUNet, ResUNetPlusPlus, ResUNetPlusPlusJha, ResUNetPlusPlusLite0",
    ):
        build_network("UNet", {})


@pytest.mark.parametrize("name", NETWORKS)
def test_unknown_argument_is_refused(name):
    with pytest.raises(ModelError, match=f"{name} can't be built with {{'depth': 5}}: .*'depth'.*download the model"):
        build_network(name, {"depth": 5})


@pytest.mark.parametrize("channels", [0, -1, 2.5, "3", None, True])
def test_input_channels_must_be_a_positive_integer(channels):
    with pytest.raises(ModelError, match="input_channels must be a positive integer, not"):
        build_network("ResUNet", {"input_channels": channels})


def test_dropout_out_of_range_is_refused():
    with pytest.raises(ModelError, match="dropout probability has to be between 0 and 1, but got 3"):
        build_network("EfficientNetLite0Classifier", {"dropout": 3})


def test_listing_the_networks_imports_neither_torch_nor_monai():
    code = (
        "import sys; from BrainTumorSegLib.engine.networks.registry import NETWORKS; "
        "sys.exit(', '.join({'torch', 'monai'} & sys.modules.keys()) or len(NETWORKS) < 5)"
    )
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
