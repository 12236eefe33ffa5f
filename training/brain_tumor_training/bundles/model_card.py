"""A bundle's model card and its file for MONAI Label."""

from __future__ import annotations

from brain_tumor_training.bundles.description import DATA_LICENCE_FILE, LICENCE, BundleDescription
from BrainTumorSegLib.engine.networks.registry import Task


def _label_server(description: BundleDescription) -> str:
    """How a segmentation runs in MONAI Label; slice scores are nothing that it could show."""
    if description.task is Task.CLASSIFICATION:
        return ""
    return f"""
In MONAI Label, unpack this bundle as `model/{description.name}` of the app `monaibundle`, in an environment with
BrainTumorSeg, and start it with `--conf models {description.name}`. The image is FLAIR; CASE_flair.nii.gz has
CASE_t1.nii.gz and CASE_t1c.nii.gz beside it in the datastore. The label map lies on FLAIR's own grid.
"""


def model_card(description: BundleDescription) -> str:
    """Markdown: what the model is, what it was trained and measured on, how it is run, and its limits."""
    metrics = "\n".join(f"- {name}: {value}" for name, value in description.metrics.items()) or "- none measured"
    plots = "".join(f"\n![{name.removesuffix('.png')}]({name})\n" for name in description.plots)
    return f"""# {description.title}

{description.description}

**Research only. Not a medical device.**

- Network: {description.network} {dict(description.arguments)}, input channels {", ".join(description.channels)}
- Initialised: {description.init}
- Trained on {description.patients} patients of the LGG MRI segmentation set (Buda et al. 2019)
- Licence of the weights: {LICENCE}, see {DATA_LICENCE_FILE}

{description.measured}:

{metrics}
{plots}
## Use

`braintumorseg segment` runs it as it is meant to be run: classifier and segmentation together, on FLAIR, T1 and T1c in
any orientation, with a result that 3D Slicer opens. MONAI's own tools work too, where BrainTumorSeg is installed
(`pip install fire` for the command), without the slice gate and the mirrored view, as with
`--gate off --no-tta`. DIR holds a folder per study with flair.nii.gz and, where there are, t1.nii.gz and t1c.nii.gz:

```
python -m monai.bundle run --config_file configs/inference.json --bundle_root . --dataset_dir DIR --output_dir OUT
python -m monai.bundle ckpt_export --net_id network_def --filepath models/model.ts --ckpt_file models/model.pt \\
  --meta_file configs/metadata.json --config_file configs/inference.json --use_trace True
```
{_label_server(description)}
## Limits

Trained on pre-operative lower-grade glioma from five hospitals of TCGA-LGG, and on nothing else:
other tumours, treated tumours, children and other sequences are outside of its training data. The reference masks are
FLAIR abnormality outlined by one reader; two experts agree at a Dice of about 0.84-0.87. A qualified person must check
every slice of a result.
"""
