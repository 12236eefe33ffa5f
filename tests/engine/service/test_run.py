from pathlib import Path

import pytest

from BrainTumorSegLib.engine.errors import InputError, OutputError
from BrainTumorSegLib.engine.output.writing import OutputPaths
from BrainTumorSegLib.engine.service.run import SegmentJob
from BrainTumorSegLib.engine.study.reading import StudyPaths


@pytest.fixture
def flair(tmp_path: Path) -> Path:
    path = tmp_path / "flair.nrrd"
    path.write_bytes(b"anything")
    return path


def test_good_job_passes_and_leaves_the_folder_as_it_was(flair: Path) -> None:
    outputs = OutputPaths(flair.with_name("o.seg.nrrd"), flair.with_name("p.nrrd"), flair.with_name("r.json"))
    SegmentJob(StudyPaths(flair), outputs).check()
    assert list(flair.parent.iterdir()) == [flair]


def test_missing_sequence_is_named(flair: Path) -> None:
    job = SegmentJob(StudyPaths(flair, t1c=Path("absent.nii")), OutputPaths(flair.with_name("o.seg.nrrd")))
    with pytest.raises(InputError, match=r"absent\.nii does not exist\. Check the path"):
        job.check()


def test_segmentation_needs_the_ending_that_slicer_knows(flair: Path) -> None:
    job = SegmentJob(StudyPaths(flair), OutputPaths(flair.with_name("tumour.nrrd")))
    with pytest.raises(InputError, match=r"does not end in \.seg\.nrrd\. .*choose a name"):
        job.check()


def test_output_never_replaces_an_input(flair: Path) -> None:
    outputs = OutputPaths(flair.with_name("o.seg.nrrd"), probability=flair)
    with pytest.raises(InputError, match=r"flair\.nrrd is also an input\. Choose another name"):
        SegmentJob(StudyPaths(flair), outputs).check()
    assert flair.read_bytes() == b"anything"


def test_output_in_a_missing_folder_is_refused_before_the_work(flair: Path) -> None:
    outputs = OutputPaths(flair.parent / "missing" / "o.seg.nrrd")
    with pytest.raises(OutputError, match="does not exist.* Create the folder"):
        SegmentJob(StudyPaths(flair), outputs).check()
