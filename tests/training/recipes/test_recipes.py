from pathlib import Path

import numpy as np
import pytest
import torch

from brain_tumor_training.fitting import initialisation
from brain_tumor_training.fitting.augmentation import change, draw_changes
from brain_tumor_training.fitting.initialisation import initialised_network, keras_layers, set_training_mode
from brain_tumor_training.fitting.losses import loss_named
from brain_tumor_training.fitting.optimisation import OPTIMISERS
from brain_tumor_training.main import main
from brain_tumor_training.recipes.recipe import load_recipe, recipe_names
from BrainTumorSegLib.engine.errors import InputError, ModelError
from BrainTumorSegLib.engine.networks.imagenet import read_weights, weights_path
from BrainTumorSegLib.engine.networks.inputs import CHANNELS
from BrainTumorSegLib.engine.networks.registry import NETWORKS, build_network
from BrainTumorSegLib.engine.networks.resnet50_classifier import ResNet50Classifier


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_names_parts_that_exist_and_fit(name: str) -> None:
    settings = load_recipe(name)
    assert NETWORKS[settings.network].task == settings.task
    assert settings.arguments["input_channels"] == len(settings.channels)
    assert set(settings.channels) <= set(CHANNELS)
    assert settings.optimiser.name in OPTIMISERS
    assert (settings.loss == "slice_cross_entropy") == (settings.task == "classification")
    loss_named(settings.loss)
    if settings.augmentation is not None:
        drawn = draw_changes(settings.augmentation, 3, 32, np.random.default_rng(0))
        changed, _ = change(torch.rand(1, 3, 32, 32), torch.zeros(1, 1, 32, 32), [drawn], 32)
        assert changed.isfinite().all()


OWN = ("release", "ablation")


@pytest.mark.parametrize("name", [name for name in recipe_names() if not name.startswith(OWN)])
def test_published_systems_split_slices_and_are_named_leaky(name: str) -> None:
    settings = load_recipe(name)
    assert settings.split.protocol == "random_slices_leaky"
    assert settings.validation is not None
    assert settings.source != "this project"


@pytest.mark.parametrize("name", [name for name in recipe_names() if name.startswith(OWN)])
def test_own_recipes_never_split_a_patient(name: str) -> None:
    assert load_recipe(name).split.protocol == "patients"


def test_settings_can_be_changed_by_their_ids() -> None:
    settings = load_recipe("release_segmentation", {"batch_size": 4, "phases::0::steps": 7, "split": None})
    assert (settings.batch_size, settings.phases[0].steps) == (4, 7)


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("nothing", {}, r"no recipe 'nothing'.*release_segmentation"),
        ("release_segmentation", {"colour": "red"}, r"release_segmentation.yaml can't be used.*colour"),
    ],
    ids=["name", "setting"],
)
def test_wrong_recipes_are_refused(name: str, overrides: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_recipe(name, overrides)


def test_missing_imagenet_weights_stop_the_recipe(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"ResNet-50 can't be had from .*none.pth.*--weights PATH"):
        initialised_network(load_recipe("deng_resnet50"), tmp_path / "none.pth")


def test_unreachable_imagenet_weights_stop_the_recipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(initialisation, "RESNET50_URL", "http://127.0.0.1:9/resnet50-11ad3fa6.pth")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(ModelError, match=r"can't be had from http://127.0.0.1:9.*choose a recipe with init"):
        initialised_network(load_recipe("varolia_resnet50"))


def _torchvision_file(path: Path) -> dict[str, torch.Tensor]:
    """Random weights under torchvision's names, its 1000 outputs included."""
    torch.manual_seed(5)
    state = dict(build_network("ResNet50Classifier", {}).backbone.state_dict())
    torch.save(state | {"fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}, path)
    return state


def test_a_local_resnet50_file_fills_the_frozen_backbone(tmp_path: Path) -> None:
    state = _torchvision_file(tmp_path / "r50.pth")
    network = initialised_network(load_recipe("deng_resnet50"), tmp_path / "r50.pth")
    assert isinstance(network, ResNet50Classifier)
    assert torch.equal(network.backbone.state_dict()["layer3.2.conv2.weight"], state["layer3.2.conv2.weight"])
    assert not any(parameter.requires_grad for parameter in network.backbone.parameters())
    assert all(parameter.requires_grad for parameter in network.head.parameters())
    set_training_mode(network)
    assert not network.backbone.bn1.training
    assert network.head.training


def test_the_last_thirty_layers_are_fine_tuned(tmp_path: Path) -> None:
    """In Keras these are conv5_block1_1_relu to conv5_block3_out: all of the last stage but its first convolution."""
    _torchvision_file(tmp_path / "r50.pth")
    network = initialised_network(load_recipe("varolia_resnet50"), tmp_path / "r50.pth")
    last_stage = {name for name, _ in network.backbone.named_parameters() if name.startswith("layer4")}
    frozen = {"layer4.0.conv1.weight", "layer4.0.bn1.weight", "layer4.0.bn1.bias"}
    trained = {name for name, one in network.backbone.named_parameters() if one.requires_grad}
    assert trained == last_stage - frozen
    assert len(keras_layers(network.backbone)) == 4 * 12 + 12 * 10


def test_a_file_that_is_no_resnet50_is_refused(tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "r50.pth")
    with pytest.raises(ModelError, match=r"does not hold torchvision's ResNet-50"):
        initialised_network(load_recipe("deng_resnet50"), tmp_path / "r50.pth")


def test_lite0_starts_from_imagenet_and_scratch_does_not() -> None:
    trained, scratch = (
        initialised_network(load_recipe("release_classifier", {"init": init})).state_dict()
        for init in ("imagenet_lite0", "scratch")
    )
    assert not torch.equal(trained["_blocks.3._depthwise_conv.weight"], scratch["_blocks.3._depthwise_conv.weight"])


def test_the_release_network_starts_from_an_imagenet_encoder() -> None:
    network = initialised_network(load_recipe("release_segmentation"))
    published = read_weights(weights_path())
    name = "_blocks.3._depthwise_conv.weight"
    assert torch.equal(network.state_dict()[f"encoder.{name}"], published[name])


def test_a_classifier_takes_over_the_encoder_of_a_segmentation(tmp_path: Path) -> None:
    torch.manual_seed(1)
    source = build_network("ResUNetPlusPlusLite0", {"input_channels": 3})
    torch.save(source.state_dict(), tmp_path / "weights.pt")
    settings = load_recipe("release_classifier", {"arguments": {"input_channels": 3}})
    state = initialised_network(settings, tmp_path / "weights.pt").state_dict()
    encoder = source.state_dict()
    taken = [name for name in state if f"encoder.{name}" in encoder]
    assert all(torch.equal(state[name], encoder[f"encoder.{name}"]) for name in taken)
    assert sorted(set(state) - set(taken))[0].startswith("_bn1")


@pytest.mark.parametrize("content", [None, {"stem.0.weight": torch.zeros(1)}], ids=["none given", "another network"])
def test_a_classifier_without_its_encoder_is_refused(tmp_path: Path, content: dict[str, torch.Tensor] | None) -> None:
    path = None if content is None else tmp_path / "weights.pt"
    if path is not None:
        torch.save(content, path)
    with pytest.raises(ModelError, match=r"weights.pt of a run"):
        initialised_network(load_recipe("release_classifier"), path)


def test_a_change_that_is_no_change_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["release_segmentation", "--cache", str(tmp_path), "--run", str(tmp_path), "--set", "batch_size"]
    assert main(["fit", *arguments]) == 2
    assert "Write, for example, batch_size=8" in capsys.readouterr().err
