import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from BrainTumorSegLib.cli import segment
from BrainTumorSegLib.cli.main import build_parser, main
from BrainTumorSegLib.engine.errors import Remedy
from BrainTumorSegLib.engine.settings import RunSettings
from BrainTumorSegLib.engine.study.geometry import Geometry
from result_phantoms import phantom_result


@pytest.fixture
def flair(tmp_path: Path) -> Path:
    path = tmp_path / "flair.nrrd"
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 4, 5), np.float32)), str(path))
    return path


def parsed(*arguments: str) -> argparse.Namespace:
    return build_parser().parse_args(["segment", "--flair", "f.nii", "--output", "o.seg.nrrd", *arguments])


def test_choices_become_the_job() -> None:
    job = segment._job(
        parsed(
            *("--t1", "a.nii", "--t1c", "b.nii", "--probability", "p.nrrd", "--report", "r.json", "--preview", "v.png"),
            *("--model", "lgg", "--device", "cuda:1", "--threshold", "0.4", "--gate", "0.1", "--min-volume", "0.5"),
            *("--no-tta", "--register", "on"),
        )
    )
    assert job.settings == RunSettings(
        threshold=0.4, gate=0.1, min_volume_ml=0.5, tta=False, model="lgg", device="cuda:1", register="on"
    )
    assert (job.inputs.flair, job.inputs.t1, job.inputs.t1c) == (Path("f.nii"), Path("a.nii"), Path("b.nii"))
    assert (job.outputs.segmentation, job.outputs.probability) == (Path("o.seg.nrrd"), Path("p.nrrd"))
    assert (job.outputs.report, job.outputs.preview) == (Path("r.json"), Path("v.png"))


def test_nothing_chosen_leaves_it_to_the_model() -> None:
    job = segment._job(parsed())
    assert job.settings == RunSettings()
    assert job.settings.tta, "both views, where nobody asks for speed"


def test_gate_off_segments_every_slice() -> None:
    assert segment._job(parsed("--gate", "off")).settings.gate == 0.0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--threshold", "1.5"], "The threshold is 1.5"),
        (["--gate", "2"], "The gate is 2.0"),
        (["--gate", "half"], "The gate is 'half', which is neither a number nor 'off'"),
        (["--min-volume", "-1"], "The minimum lesion volume is -1.0 mL"),
        (["--t1", "no-such-file.nii"], "no-such-file.nii does not exist"),
    ],
)
def test_bad_choice_is_refused_in_one_line(
    options: list[str], said: str, flair: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = flair.with_name("o.seg.nrrd")
    assert main(["segment", "--flair", str(flair), "--output", str(output), *options]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert said in err
    assert not output.exists()


def test_missing_flair_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flair, output = tmp_path / "nothing.nii", tmp_path / "o.seg.nrrd"
    assert main(["segment", "--flair", str(flair), "--output", str(output)]) == 2
    assert capsys.readouterr().err == f"braintumorseg: FLAIR: {flair} does not exist. Check the path.\n"


def test_a_warning_is_followed_by_the_option_that_helps(
    flair: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    geometry = Geometry((5, 4, 3), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    result = phantom_result(geometry, np.ones((3, 4, 5), np.bool_))
    told = replace(result.study, remedies=(Remedy.REGISTER,))
    warned = replace(result, study=told, warnings=("T1 covers only 80% of the head.",))
    monkeypatch.setattr("BrainTumorSegLib.engine.service.run.run_job", lambda *_: warned)
    assert main(["segment", "--flair", str(flair), "--output", str(flair.with_name("o.seg.nrrd"))]) == 0
    said = capsys.readouterr().err
    assert said.endswith(
        "warning: T1 covers only 80% of the head.\nhint: The option --register on registers T1 and T1c to FLAIR.\n"
    )
