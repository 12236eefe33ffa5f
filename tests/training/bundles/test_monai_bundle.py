import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk
import torch
from monai.bundle import ConfigParser, ckpt_export, run, verify_metadata, verify_net_in_out
from monai.bundle.workflows import ConfigWorkflow
from monai.transforms import Compose, SaveImaged

from brain_tumor_training.bundles.bundle import METADATA_SCHEMA, export_bundle
from brain_tumor_training.bundles.description import BundleDescription
from brain_tumor_training.evaluation.studies import KaggleSource
from brain_tumor_training.monai_inference import SaveTumour, StudyToSlices, study_at
from BrainTumorSegLib.engine.inference.device import Compute
from BrainTumorSegLib.engine.inference.segmenter import Segmenter
from BrainTumorSegLib.engine.measurement.result import Result
from BrainTumorSegLib.engine.models.bundle import Recommendation, load_bundle
from BrainTumorSegLib.engine.models.index import ModelProvenance
from BrainTumorSegLib.engine.models.loading import Model
from BrainTumorSegLib.engine.networks.registry import build_network
from BrainTumorSegLib.engine.settings import SegmentSettings
from BrainTumorSegLib.engine.study.geometry import Geometry
from BrainTumorSegLib.engine.study.reading import StudyPaths, read_study
from bundles import CHANNELS_2D, bright_flair_network, bright_slice_classifier
from kaggle_phantom import write_patient

DESCRIPTION = BundleDescription(
    name="bright",
    version="1.0.0",
    title="Bright FLAIR",
    description="Finds bright FLAIR; made for a test.",
    network="ResUNet",
    arguments={"input_channels": 3},
    channels=tuple(CHANNELS_2D),
    init="scratch",
    patients=0,
    recommendation=Recommendation(temperature=1.5, threshold=0.4),
    metrics={"volumetric_dice_mean": 0.5},
)
REFINED = replace(
    DESCRIPTION, name="refined", network="ResUNetPlusPlusInStudy", recommendation=Recommendation(threshold=0.5)
)
CLASSIFIER = replace(DESCRIPTION, name="slices", network="EfficientNetLite0Classifier")


def _unpacked(description: BundleDescription, weights: dict[str, torch.Tensor], folder: Path) -> Path:
    with zipfile.ZipFile(export_bundle(description, weights, folder)) as archive:
        archive.extractall(folder)
    return folder / description.name


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both kinds of bundle, exported, packed and unpacked."""
    folder = tmp_path_factory.mktemp("bundles")
    return {
        "segmentation": _unpacked(DESCRIPTION, bright_flair_network().state_dict(), folder),
        "refined": _unpacked(REFINED, _refined_weights(), folder),
        "classifier": _unpacked(CLASSIFIER, _telling_slices_apart(bright_slice_classifier().state_dict()), folder),
    }


def _refined_weights() -> dict[str, torch.Tensor]:
    """Of random slices' network and refiner, both of which have a say."""
    torch.manual_seed(1)
    network = build_network(REFINED.network, REFINED.arguments)
    torch.nn.init.normal_(network.refiner.output.weight)
    return network.state_dict()


def _telling_slices_apart(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights whose logits differ between slices; untrained ones are all but equal."""
    return {name: value * 1e4 if name in ("_bn1.weight", "_fc.weight") else value for name, value in weights.items()}


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one study as MONAI's runner is given it."""
    root = tmp_path_factory.mktemp("studies")
    target = root / "one"
    target.mkdir()
    with KaggleSource(write_patient(root / "kaggle", "TCGA_CS_0001_20000101")).open() as study:
        for name, path in (("flair", study.paths.flair), ("t1", study.paths.t1), ("t1c", study.paths.t1c)):
            (target / f"{name}.nii.gz").write_bytes(Path(str(path)).read_bytes())
    return root


KINDS = pytest.mark.parametrize("kind", ["segmentation", "refined", "classifier"])


@KINDS
def test_metadata_pass_monais_verification(bundles: dict[str, Path], kind: str) -> None:
    """MONAI fetches the schema only if the file is missing; ours is written from its specification."""
    verify_metadata(meta_file=str(bundles[kind] / "configs" / "metadata.json"), filepath=str(METADATA_SCHEMA))


@pytest.mark.parametrize("key", ["version", "task", "network_data_format"])
def test_the_schema_finds_what_is_missing(bundles: dict[str, Path], key: str) -> None:
    metadata = json.loads((bundles["segmentation"] / "configs" / "metadata.json").read_text())
    del metadata[key]
    with pytest.raises(jsonschema.ValidationError, match=f"'{key}' is a required property"):
        jsonschema.validate(metadata, json.loads(METADATA_SCHEMA.read_text()))


@KINDS
def test_the_network_takes_and_gives_what_the_metadata_say(bundles: dict[str, Path], kind: str) -> None:
    configs = bundles[kind] / "configs"
    verify_net_in_out(
        net_id="network_def",
        meta_file=str(configs / "metadata.json"),
        config_file=str(configs / "inference.json"),
        device="cpu",
    )


@KINDS
def test_exported_torchscript_computes_the_same(bundles: dict[str, Path], kind: str, tmp_path: Path) -> None:
    bundle = bundles[kind]
    ckpt_export(
        net_id="network_def",
        filepath=str(tmp_path / "model.ts"),
        ckpt_file=str(bundle / "models" / "model.pt"),
        meta_file=str(bundle / "configs" / "metadata.json"),
        config_file=str(bundle / "configs" / "inference.json"),
        use_trace=True,
    )
    image = torch.rand(1, 3, 256, 256)
    network = load_bundle(bundle.parent / f"{bundle.name}-1.0.0.zip").network
    with torch.no_grad():
        expected = network(image)
        found = torch.jit.load(str(tmp_path / "model.ts"))(image)
    torch.testing.assert_close(found.flatten(), expected.flatten(), rtol=1e-3, atol=1e-3)


def _clear_of_the_threshold(result: Result) -> npt.NDArray[np.bool_]:
    """Voxels that can't fall on either side: folded normalisations round otherwise."""
    return np.abs(result.probability - result.settings.threshold) > 1e-4


@pytest.mark.parametrize("kind", ["segmentation", "refined"])
def test_run_by_monai_the_bundle_finds_what_the_pipeline_finds(
    bundles: dict[str, Path], studies: Path, tmp_path: Path, kind: str
) -> None:
    bundle = bundles[kind]
    run(
        config_file=str(bundle / "configs" / "inference.json"),
        bundle_root=str(bundle),
        dataset_dir=str(studies),
        output_dir=str(tmp_path),
        device="$torch.device('cpu')",
    )
    made = {name: sitk.ReadImage(str(tmp_path / "one" / f"{name}.nrrd")) for name in ("probability", "tumour")}
    archive = bundle.parent / f"{bundle.name}-1.0.0.zip"
    model = Model(load_bundle(archive), ModelProvenance(bundle.name, "1.0.0", "0" * 64, "none"))
    segmenter = Segmenter(model, Compute(torch.device("cpu"), torch.float32, "CPU"))
    paths = [studies / "one" / f"{name}.nii.gz" for name in ("flair", "t1", "t1c")]
    expected = segmenter.segment(read_study(StudyPaths(*paths)), SegmentSettings(tta=False))
    clear = _clear_of_the_threshold(expected)
    np.testing.assert_array_equal((sitk.GetArrayFromImage(made["tumour"]) > 0)[clear], expected.mask[clear])
    np.testing.assert_allclose(sitk.GetArrayFromImage(made["probability"]), expected.probability, atol=1e-4)
    assert expected.mask.any()
    assert made["tumour"].GetSpacing() == pytest.approx((0.9, 0.9, 5.5))


def test_run_by_monai_the_classifier_scores_slices_as_the_pipeline_does(
    bundles: dict[str, Path], studies: Path, tmp_path: Path
) -> None:
    bundle = bundles["classifier"]
    run(
        config_file=str(bundle / "configs" / "inference.json"),
        bundle_root=str(bundle),
        dataset_dir=str(studies / "one"),
        output_dir=str(tmp_path),
    )
    scores = json.loads((tmp_path / "one" / "scores.json").read_text())
    provenance = ModelProvenance("bright", "1.0.0", "0" * 64, "none")
    model = Model(
        load_bundle(bundles["segmentation"].parent / "bright-1.0.0.zip"),
        provenance,
        load_bundle(bundle.parent / f"{bundle.name}-1.0.0.zip"),
        provenance,
    )
    segmenter = Segmenter(model, Compute(torch.device("cpu"), torch.float32, "CPU"))
    paths = [studies / "one" / f"{name}.nii.gz" for name in ("flair", "t1", "t1c")]
    expected = segmenter.segment(read_study(StudyPaths(*paths)), SegmentSettings())
    assert len(set(scores)) > 1
    assert scores == pytest.approx([one.tumour_probability for one in expected.slices], abs=1e-4)


@KINDS
def test_monais_workflow_finds_its_properties(bundles: dict[str, Path], kind: str) -> None:
    configs = bundles[kind] / "configs"
    workflow = ConfigWorkflow(
        str(configs / "inference.json"),
        meta_file=str(configs / "metadata.json"),
        workflow_type="inference",
        bundle_root=str(bundles[kind]),
    )
    workflow.initialize()
    assert workflow.check_properties() == []


class LabelServer:
    """What MONAI Label does with a bundle's folder and a file of its datastore, step by step.

    Source: monailabel/tasks/infer/bundle.py (BundleInferTask), basic_infer.py, transform/post.py (Restored) and
    transform/writer.py (write_itk) of Project-MONAI/MONAILabel 0.8.5; Apache-2.0, retold.
    """

    def __init__(self, bundle: Path) -> None:
        self._config = ConfigParser()
        self._config.read_config(str(bundle / "configs" / "inference.json"))
        self._config.config.update({"bundle_root": str(bundle)})
        self._network = self._config.get_parsed_content("network_def", instantiate=True)
        metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
        formats = metadata["network_data_format"]
        self._image, _ = next(iter(formats["inputs"].items()))
        self._pred, output = next(iter(formats["outputs"].items()))
        defined = {name.lower(): int(value) for value, name in output["channel_def"].items()}
        self.labels = {name: value for name, value in defined.items() if name != "background"}
        checkpoint = torch.load(bundle / "models" / "model.pt", map_location="cpu")
        self._network.load_state_dict(checkpoint.get("model", checkpoint), strict=True)
        self._network.eval()

    def infer(self, file: Path) -> sitk.Image:
        data = {"image": str(file), "image_path": str(file), "device": "cpu"}
        self._config.config.update({"device": "cpu"})
        for transform in self._transforms("preprocessing"):
            data = transform(data)
        inputs = data[self._image]
        with torch.no_grad():
            inferer = self._config.get_parsed_content("inferer", instantiate=True)
            data[self._pred] = inferer(inputs[None].to("cpu"), self._network)[0]
        for transform in self._transforms("postprocessing"):
            if not isinstance(transform, SaveImaged):
                data = transform(data)
        return self._written(self._restored(data), data[self._image].meta["original_affine"])

    def _transforms(self, key: str) -> list[Callable[[Any], Any]]:
        composed = self._config.get_parsed_content(key, instantiate=True)
        assert isinstance(composed, Compose)
        return list(composed.transforms)

    def _restored(self, data: dict[str, Any]) -> np.ndarray:
        """Restored resizes what is not of the image's shape, which would be wrong for slices, and drops the channel."""
        result = data[self._pred]
        assert tuple(result.shape[1:]) == tuple(data[self._image].meta["spatial_shape"])
        return result[0].numpy()

    def _written(self, array: np.ndarray, affine_ras: np.ndarray) -> sitk.Image:
        affine = np.diag([-1, -1, 1, 1]) @ affine_ras
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
        image = sitk.GetImageFromArray(array.transpose().copy())
        image.SetOrigin(affine[:3, 3])
        image.SetSpacing(spacing)
        image.SetDirection((affine[:3, :3] @ np.diag(1 / spacing)).ravel())
        return image


@pytest.mark.parametrize(
    ("kind", "orientation"), [("segmentation", "LPS"), ("segmentation", "PIR"), ("refined", "PIR")]
)
def test_monai_label_gets_the_pipelines_mask_on_flairs_own_grid(
    bundles: dict[str, Path], studies: Path, tmp_path: Path, kind: str, orientation: str
) -> None:
    store = tmp_path / "datastore"
    store.mkdir()
    for name in ("flair", "t1", "t1c"):
        image = sitk.DICOMOrient(sitk.ReadImage(str(studies / "one" / f"{name}.nii.gz")), orientation)
        sitk.WriteImage(image, str(store / f"case_{name}.nii.gz"))
    bundle = bundles[kind]
    before = sorted(path.relative_to(bundle) for path in bundle.rglob("*"))
    server = LabelServer(bundle)
    found = server.infer(store / "case_flair.nii.gz")

    archive = bundle.parent / f"{bundle.name}-1.0.0.zip"
    model = Model(load_bundle(archive), ModelProvenance(bundle.name, "1.0.0", "0" * 64, "none"))
    paths = StudyPaths(*(store / f"case_{name}.nii.gz" for name in ("flair", "t1", "t1c")))
    study = read_study(paths)
    expected = Segmenter(model, Compute(torch.device("cpu"), torch.float32, "CPU")).segment(
        study, SegmentSettings(tta=False)
    )
    assert expected.mask.any()
    clear = _clear_of_the_threshold(expected)
    np.testing.assert_array_equal(
        (sitk.GetArrayFromImage(found) == server.labels["tumour"])[clear], expected.mask[clear]
    )
    assert Geometry.of_image(found).is_close_to(study.geometry, 1e-4)
    assert server.labels == {"tumour": 1}
    assert sorted(path.relative_to(bundle) for path in bundle.rglob("*")) == before


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("case_FLAIR", "case_t1", "case_t1c"), {"flair", "t1", "t1c"}),
        (("case_flair", "other_t1"), {"flair"}),
        (("scan",), {"flair"}),
    ],
    ids=["companions", "another case's", "alone"],
)
def test_a_flair_file_finds_what_lies_beside_it(
    names: tuple[str, ...], expected: set[str], studies: Path, tmp_path: Path
) -> None:
    for name in names:
        shutil.copy(studies / "one" / "flair.nii.gz", tmp_path / f"{name}.nii.gz")
    assert set(study_at(tmp_path / f"{names[0]}.nii.gz").sources) == expected


def test_a_bundle_of_an_earlier_release_still_saves_its_tumour(studies: Path, tmp_path: Path) -> None:
    """Up to 0.2.0 inference.json gives the recommendation to SaveTumour, and has no TumourOnFlair."""
    data = StudyToSlices(CHANNELS_2D)({"image": str(studies / "one")})
    data["pred"] = 20 * (data["image"][1:2].as_tensor() - 0.25)
    SaveTumour(str(tmp_path), {"threshold": 0.5})(data)
    assert sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "one" / "tumour.nrrd"))).any()
