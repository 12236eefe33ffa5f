"""What a calibrated temperature does to the probabilities of patients whom the network has never seen.

    python benchmarks/calibration.py --runs 'RUNS/fold{fold}' --folds folds.csv --fold 0 --cache CACHE --plot OUT.png

The run must have kept patients aside (a recipe's part 'validation'): the temperature is chosen on these, as
`braintumorseg-train calibrate` does, and its effect measured on the fold's held-out patients. Expected calibration
error (ECE; Guo et al. 2017) over voxels: of 15 bins of predicted probability, the mean distance of probability from
frequency, weighted by count. Within the brain, and within 10 pixels, in its slice, of tumour by the reference or by
the network at 0.5, which no temperature changes. Probabilities are the network's own: no mirrored view, refiner, gate.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from brain_tumor_training.bundles.fold_bundles import unseeing_run_of_fold
from brain_tumor_training.calibration.calibration import ProbabilityFit
from brain_tumor_training.calibration.fold_calibration import held_out_logits
from brain_tumor_training.calibration.run_calibration import calibrate_run
from brain_tumor_training.data.cache import load_cache
from brain_tumor_training.data.folds import read_folds
from brain_tumor_training.data.slices import BRAIN, FLAIR
from brain_tumor_training.fitting.prediction import PatientLogits
from brain_tumor_training.fitting.validation import counts_of
from brain_tumor_training.metrics.bootstrap import patient_bootstrap
from brain_tumor_training.metrics.charts import reliability_diagram
from brain_tumor_training.metrics.overlap import volumetric_dice
from brain_tumor_training.metrics.reliability import pooled, surroundings
from BrainTumorSegLib.engine.inference.normalisation import BACKGROUND
from BrainTumorSegLib.engine.networks.inputs import SIZE_PX

REACH_PX = 10
IN_BRAIN, AROUND = "in the brain", f"within {REACH_PX} pixels of tumour"

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Patient:
    """Logits of one held-out patient, with the regions in which they are judged, all [S, H, W]."""

    logits: PatientLogits
    regions: dict[str, Mask]

    def fit(self, region: str, temperature: float) -> ProbabilityFit:
        """How well the probabilities of a region fit the reference."""
        chosen = self.regions[region]
        return ProbabilityFit.of(self.logits.logits[chosen], self.logits.mask[chosen], temperature)


def main() -> None:
    """Measures, prints a Markdown table and draws the reliability diagram."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", required=True, metavar="PATTERN", help="finished runs, {fold} standing for the fold")
    parser.add_argument("--folds", type=Path, required=True, metavar="CSV", help="folds by patient")
    parser.add_argument("--fold", type=int, required=True, metavar="K", help="its patients are measured")
    parser.add_argument("--cache", type=Path, required=True, metavar="DIR", help="the run's cache")
    parser.add_argument("--plot", type=Path, required=True, metavar="PNG")
    parser.add_argument("--device", default="auto", metavar="D")
    arguments = parser.parse_args()
    names = [name for name, number in read_folds(arguments.folds).items() if number == arguments.fold]
    run = unseeing_run_of_fold(arguments.runs, arguments.fold, names)
    chosen = calibrate_run(run, arguments.cache, arguments.device)
    patients = held_out(run, names, arguments.cache, arguments.device)
    dice = np.mean([volumetric_dice(counts_of(one.logits)) for one in patients])
    temperatures = {"before": 1.0, "after": chosen.recommendation.temperature}
    print(
        f"{len(patients)} held-out patients, mean volumetric Dice {dice:.3f}; temperature "
        f"{temperatures['after']:.3f}, chosen on {chosen.patients} patients kept aside\n"
    )
    print("| voxels | | ECE [95 % interval over patients] | mean negative log-likelihood, nats |\n|---|---|---|---|")
    lines = {}
    for region in (IN_BRAIN, AROUND):
        for when, temperature in temperatures.items():
            fits = [one.fit(region, temperature) for one in patients]
            parts = [each.reliability for each in fits]
            error = patient_bootstrap(parts, lambda some: pooled(some).calibration_error, seed=0)
            counts = [int(part.count.sum()) for part in parts]
            loss = np.average([each.log_loss for each in fits], weights=counts)
            print(f"| {region} | {when} | {error.value:.4f} [{error.low:.4f}, {error.high:.4f}] | {loss:.4f} |")
            lines[f"{when}, {region} (ECE {error.value:.4f})"] = pooled(parts).points()
    title = f"Voxels of {len(patients)} held-out patients, T = {temperatures['after']:.2f}"
    arguments.plot.write_bytes(reliability_diagram(lines, title))


def held_out(run: Path, names: list[str], cache: Path, device: str) -> list[Patient]:
    """What the run says of patients whom it has not seen, and where it is judged."""
    images = {one.name: one.variants for one in load_cache(cache, names, SIZE_PX)}
    return [
        Patient(
            one,
            {
                IN_BRAIN: np.asarray(images[one.name][BRAIN, FLAIR] > BACKGROUND),
                AROUND: surroundings(one.logits > 0, one.mask, REACH_PX),
            },
        )
        for one in held_out_logits(run, names, cache, device)
    ]


if __name__ == "__main__":
    main()
