"""No two patients and no two sessions are ever one study, whatever they are called."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from BrainTumorSegLib.engine.study.cohort import find_studies
from BrainTumorSegLib.engine.study.roles import Role
from BrainTumorSegLib.engine.study.sequences import SERIES_DESCRIPTION, name_without_sequence, role_of

PREFIXES = ("patient", "rest", "sub-", "TCGA_DU_", "Gliom", "x", "post", "contrast", "ct1", "gd")
SESSIONS = ("", "_ses-pre", "_ses-post", "_baseline", "_1", "_2", "_20240301", "_visit2")
WORDS = {
    Role.FLAIR: ("_flair", "_FLAIR", "_t2flair", "_ax_flair"),
    Role.T1: ("_t1", "_T1w", "_AXT1", "_t1_pre"),
    Role.T1C: ("_t1c", "_T1ce", "_t1_gd", "_t1_post", "_ce-gadolinium_T1w"),
}


def subjects() -> list[str]:
    return [f"{prefix}{digits}" for prefix, digits in product(PREFIXES, ("1", "2", "11", "007"))]


def names() -> Iterator[tuple[str, Role, str]]:
    """(subject and session, role, name of the file without its ending)"""
    for subject, session in product(subjects(), SESSIONS):
        for role, words in WORDS.items():
            for word in words:
                yield f"{subject}{session}", role, f"{subject}{session}{word}"


@pytest.mark.parametrize("role", Role)
def test_a_name_speaks_for_its_sequence_alone(role: Role) -> None:
    wrong = [name for _, its, name in names() if its is role and role_of({SERIES_DESCRIPTION: name}) is not role]
    assert wrong == []


def test_names_agree_without_their_sequence_if_and_only_if_they_are_of_one_session() -> None:
    of_rest: dict[str, set[str]] = {}
    of_study: dict[str, set[str]] = {}
    for study, _, name in names():
        rest = name_without_sequence(name)
        of_rest.setdefault(rest, set()).add(study)
        of_study.setdefault(study, set()).add(rest)
    assert [studies for studies in of_rest.values() if len(studies) > 1] == []
    assert [rests for rests in of_study.values() if len(rests) > 1] == []


@pytest.mark.parametrize("seed", range(20))
def test_files_side_by_side_become_one_study_per_session(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    sessions = chance.sample([f"{a}{b}" for a, b in product(subjects(), SESSIONS)], 6)
    for study in sessions:
        for role in Role:
            (tmp_path / f"{study}{chance.choice(WORDS[role])}.nii.gz").touch()
    found = find_studies(tmp_path)
    assert len(found) == len(sessions)
    for study in found:
        assert study.problem == ""
        assert set(study.files) == set(Role)
        assert len({name_without_sequence(path.name.removesuffix(".nii.gz")) for path in study.files.values()}) == 1


def test_a_folder_with_files_of_two_patients_is_refused_in_words(tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    for name in ("patient1_flair.nii.gz", "patient2_t1.nii.gz"):
        (folder / name).touch()
    (study,) = find_studies(tmp_path)
    assert "different patients or sessions by their names: patient1, patient2" in study.problem


@pytest.mark.parametrize("name", ["REST1", "patient1", "ct1", "post", "ses-post"])
def test_no_word_of_a_patient_or_session_is_a_sequence(name: str) -> None:
    assert role_of({SERIES_DESCRIPTION: name}) is None
