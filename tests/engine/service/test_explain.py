"""The classifier's explanation from files to a file: never another classifier's."""

from __future__ import annotations

from pathlib import Path

import pytest

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.models.store import ModelStore
from BrainTumorSegLib.engine.service.explain import ExplainJob, explain
from BrainTumorSegLib.engine.study.reading import StudyPaths


def test_another_version_of_the_classifier_explains_nothing(tmp_path: Path) -> None:
    job = ExplainJob(StudyPaths(tmp_path / "flair.nrrd"), 3, tmp_path / "map.nrrd", classifier_sha256="ab" * 32)
    with pytest.raises(InputError, match=r"another version of the slice classifier .*\. Segment the study again"):
        explain(job, ModelStore.default(), bool)
    assert list(tmp_path.iterdir()) == []
