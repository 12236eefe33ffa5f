"""No two patients and no two sessions are ever one study, whatever they are called."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.service.cohort.find import find_studies
from BrainTumorSegLib.engine.service.cohort.plan import plan_of
from BrainTumorSegLib.engine.service.cohort.table import read_table, write_table
from BrainTumorSegLib.engine.study.roles import Role
from BrainTumorSegLib.engine.study.sequences import SERIES_DESCRIPTION, name_without_sequence, role_of
from dicom_series import write_series

PREFIXES = ("patient", "rest", "sub-", "TCGA_DU_", "TCGA-DU-", "Gliom", "x", "post", "contrast", "ct1", "gd")
SESSIONS = ("", "_ses-pre", "_ses-post", "_baseline", "_1", "_2", "_20240301", "_visit2")
WORDS = {
    Role.FLAIR: ("_flair", "_FLAIR", "_t2flair", "_ax_flair", "-t2f", "_t2_tirm_tra_dark-fluid"),
    Role.T1: ("_t1", "_T1w", "_AXT1", "_t1_pre", "-t1n", "_t1_se_tra", "_T1_MPRAGE_sag"),
    Role.T1C: ("_t1c", "_T1ce", "_t1_gd", "_t1_post", "_ce-gadolinium_T1w", "_t1_tse_tra_km"),
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


@pytest.mark.parametrize(
    ("first", "second"), [("se_flair", "t1"), ("dark_flair", "t1"), ("tse_flair", "ab_t1"), ("flair_se", "t1")]
)
def test_a_word_of_technique_is_somebodys_where_no_scanner_writes_it(tmp_path: Path, first: str, second: str) -> None:
    touch(tmp_path, f"both/{first}.nii.gz", f"both/{second}.nii.gz")
    (study,) = find_studies(tmp_path)
    assert "different patients or sessions" in study.problem


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


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def found_in(folder: Path) -> dict[str, dict[str, str]]:
    """Role and path of each study's clear files, by the study's name."""
    return {
        study.name: {role.value: path.relative_to(folder).as_posix() for role, path in study.files.items()}
        for study in find_studies(folder)
    }


def test_subfolders_and_groups_of_files_are_studies(tmp_path: Path) -> None:
    touch(tmp_path, "a/FLAIR.nii.gz", "a/T1.nii.gz", "a/T1_post.nii.gz", "a/notes.txt", "a/T2.nii.gz")
    touch(tmp_path, "p2_flair.nrrd", "p2_t1ce.nrrd", ".hidden/flair.nii")
    assert found_in(tmp_path) == {
        "a": {"flair": "a/FLAIR.nii.gz", "t1": "a/T1.nii.gz", "t1c": "a/T1_post.nii.gz"},
        "p2": {"flair": "p2_flair.nrrd", "t1c": "p2_t1ce.nrrd"},
    }


def test_names_that_differ_in_a_dash_are_different_and_kept(tmp_path: Path) -> None:
    touch(tmp_path, "A-1_flair.nii", "A-1-t1.nii", "A_1_flair.nii", "A_1_t1.nii")
    assert found_in(tmp_path) == {
        "A-1": {"flair": "A-1_flair.nii", "t1": "A-1-t1.nii"},
        "A_1": {"flair": "A_1_flair.nii", "t1": "A_1_t1.nii"},
    }


def test_studies_are_found_in_any_nesting(tmp_path: Path) -> None:
    touch(
        tmp_path, "site1/anna/2020/flair.nii", "site1/anna/2021/flair.nii", "site2/p1_flair.mha", "site2/p2_flair.mha"
    )
    assert sorted(found_in(tmp_path)) == ["site1__anna__2020", "site1__anna__2021", "site2__p1", "site2__p2"]


def test_a_folder_named_after_a_sequence_lends_it_to_its_files(tmp_path: Path) -> None:
    touch(tmp_path, "anna/FLAIR/image.nii.gz", "anna/T1c/image.nii.gz", "T1/flair.nii.gz", "T1/t1.nii.gz")
    assert found_in(tmp_path) == {
        "anna": {"flair": "anna/FLAIR/image.nii.gz", "t1c": "anna/T1c/image.nii.gz"},
        "T1": {"flair": "T1/flair.nii.gz", "t1": "T1/t1.nii.gz"},
    }


def test_folders_by_sequence_hold_one_study_a_name(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{sequence}/p{number}.nii" for sequence in ("flair", "t1") for number in (1, 2)))
    assert found_in(tmp_path) == {f"p{n}": {"flair": f"flair/p{n}.nii", "t1": f"t1/p{n}.nii"} for n in (1, 2)}


def test_a_bids_dataset_gives_one_study_a_session(tmp_path: Path) -> None:
    touch(tmp_path, "dataset_description.json", "derivatives/x/sub-01/ses-a/anat/sub-01_ses-a_FLAIR.nii.gz")
    for session in ("a", "post"):
        stem = f"sub-01/ses-{session}/anat/sub-01_ses-{session}"
        touch(tmp_path, f"{stem}_FLAIR.nii.gz", f"{stem}_acq-mprage_T1w.nii.gz", f"{stem}_ce-gadolinium_T1w.nii.gz")
    found = found_in(tmp_path)
    assert sorted(found) == ["sub-01_ses-a", "sub-01_ses-post"]
    assert found["sub-01_ses-post"] == {
        "flair": "sub-01/ses-post/anat/sub-01_ses-post_FLAIR.nii.gz",
        "t1": "sub-01/ses-post/anat/sub-01_ses-post_acq-mprage_T1w.nii.gz",
        "t1c": "sub-01/ses-post/anat/sub-01_ses-post_ce-gadolinium_T1w.nii.gz",
    }


@pytest.mark.parametrize("mask", ["p1_flair_seg", "p1_seg", "p1_flair_mask", "p1_FLAIR_label"])
def test_a_mask_is_no_sequence(tmp_path: Path, mask: str) -> None:
    touch(tmp_path, "p1/p1_flair.nii.gz", f"p1/{mask}.nii.gz")
    assert found_in(tmp_path) == {"p1": {"flair": "p1/p1_flair.nii.gz"}}


def test_two_files_for_one_sequence_are_a_problem_that_names_both(tmp_path: Path) -> None:
    touch(tmp_path, "a/flair.nii", "a/FLAIR.nii.gz")
    (study,) = find_studies(tmp_path)
    assert study.problem == "Several files are called FLAIR. Leave one of each."
    assert len(study.candidates[Role.FLAIR]) == 2


@pytest.mark.skipif(os.name == "nt", reason="Windows' names are Unicode, and links need rights there")
def test_a_file_that_can_not_be_opened_is_its_study_s_problem_alone(tmp_path: Path) -> None:
    touch(tmp_path, "a/flair.nii", "c/flair.nii", os.fsdecode(b"M\xfcller/flair.nii"))
    (tmp_path / "c" / "t1.nii").symlink_to("not_fetched.nii")
    latin, a, c = find_studies(tmp_path)
    assert a.problem == ""
    assert (
        c.problem == f"{tmp_path}/c/t1.nii is a link to a file that is not there. Bring that file, or remove the link."
    )
    assert "M\\xfcller/flair.nii is in another character set than UTF-8. Rename" in latin.problem
    write_table(tmp_path / "plan.csv", (a, c, latin))
    assert [bool(study.problem) for study in read_table(tmp_path / "plan.csv")] == [False, True, True]


def test_a_name_is_the_same_folder_however_its_letters_are_composed(tmp_path: Path) -> None:
    touch(tmp_path, "Mu\u0308ller/flair.nii")
    assert [study.name for study in find_studies(tmp_path)] == ["Müller"]


def test_results_and_pipes_are_no_cohort(tmp_path: Path) -> None:
    touch(tmp_path, "results/batch.json", "results/a/flair.nii", "in/a/flair.nii")
    for inputs, results in (("results", "out"), ("in", "in")):
        with pytest.raises(InputError, match="is one for results, no cohort. Choose two folders"):
            plan_of(tmp_path / inputs, tmp_path / results)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.csv")
        with pytest.raises(InputError, match=r"pipe.csv is neither a folder nor a file"):
            plan_of(tmp_path / "pipe.csv", tmp_path / "out")


def test_names_that_one_folder_could_not_keep_apart_get_their_own(tmp_path: Path) -> None:
    touch(tmp_path, "a/b__c/flair.nii", "a__b/c/flair.nii", "x/summary.csv/flair.nii")
    studies = find_studies(tmp_path)
    assert len({study.name.casefold() for study in studies}) == 3
    assert {study.files[Role.FLAIR].parent.name for study in studies} == {"b__c", "c", "summary.csv"}


def test_results_and_loops_of_links_are_not_searched(tmp_path: Path) -> None:
    touch(tmp_path, "a/flair.nii", "out/batch.json", "out/a/flair.nii", "results/b/flair.nii")
    (tmp_path / "a" / "again").symlink_to(tmp_path, target_is_directory=True)
    assert [study.name for study in find_studies(tmp_path, leave_out=tmp_path / "results")] == ["a"]


def test_the_series_of_an_export_are_grouped_by_study_over_all_folders(tmp_path: Path) -> None:
    volume = sitk.GetImageFromArray(np.arange(6 * 8 * 8, dtype=np.int16).reshape(6, 8, 8))
    for uid, patient in (("1.2.1", "A"), ("1.2.2", "A")):
        for number, description in enumerate(("AX FLAIR", "AX T1", "AX T1 POST GD", "AX T2")):
            folder = tmp_path / f"DISK{number % 2}" / f"{uid[-1]}{number}"
            write_series(folder, volume, SeriesDescription=description, StudyInstanceUID=uid, PatientID=patient)
    studies = find_studies(tmp_path)
    assert len(studies) == 2
    for study in studies:
        assert study.problem == ""
        assert set(study.files) == set(Role)
        assert len({path.name[0] for path in study.files.values()}) == 1


def test_two_series_of_one_folder_are_named_by_a_file_of_each(tmp_path: Path) -> None:
    volume = sitk.GetImageFromArray(np.arange(6 * 8 * 8, dtype=np.int16).reshape(6, 8, 8))
    for description in ("FLAIR", "T1"):
        write_series(tmp_path / "anna", volume, SeriesDescription=description)
    (study,) = find_studies(tmp_path)
    assert (study.name, study.problem) == ("anna", "")
    assert {role for role, path in study.files.items() if path.is_file()} == {Role.FLAIR, Role.T1}


def test_series_of_two_patients_under_one_study_are_refused(tmp_path: Path) -> None:
    volume = sitk.GetImageFromArray(np.zeros((6, 8, 8), np.int16))
    for patient in ("A", "B"):
        write_series(tmp_path / patient, volume, SeriesDescription=f"FLAIR {patient}", PatientID=patient)
    (study,) = find_studies(tmp_path)
    assert study.problem == "Its series are of different patients by their headers. Part them."


def test_damaged_dicom_is_a_study_that_can_not_be_segmented(tmp_path: Path) -> None:
    touch(tmp_path, "b/flair_dicom/1.dcm", "a/flair.nii")
    problems = {study.name: study.problem for study in find_studies(tmp_path)}
    assert problems["a"] == ""
    assert "DICOM files can't be read" in problems["b__flair_dicom"]


def test_a_dicom_study_cut_short_is_neither_lost_nor_passed_over(tmp_path: Path) -> None:
    volume = sitk.GetImageFromArray(np.arange(6 * 8 * 8, dtype=np.int16).reshape(6, 8, 8))
    for name, uid in (("anna", "1.2.1"), ("bert", "1.2.2")):
        write_series(tmp_path / name / "FLAIR", volume, SeriesDescription="AX FLAIR", StudyInstanceUID=uid)
    for path in (tmp_path / "bert" / "FLAIR").iterdir():
        path.write_bytes(path.read_bytes()[:-40])
    problems = {study.name: study.problem for study in find_studies(tmp_path)}
    assert problems.pop("anna") == ""
    assert [problem[:40] for problem in problems.values()] == ["Its DICOM files can't be read. Copy or e"]


@pytest.mark.filterwarnings("ignore:.*VR:UserWarning")
def test_what_headers_hold_is_never_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    volume = sitk.GetImageFromArray(np.arange(6 * 8 * 8, dtype=np.int16).reshape(6, 8, 8))
    uids = {"StudyInstanceUID": "1.2.PLANTED", "PatientID": "PLANTED" * 20}
    write_series(tmp_path / "anna", volume, uid="1.2.PLANTED.3", SeriesDescription="FLAIR", **uids)
    caplog.clear()
    with caplog.at_level("DEBUG", logger=""):
        assert [study.problem for study in find_studies(tmp_path)] == [""]
    assert "PLANTED" not in caplog.text


def test_a_study_of_changed_or_other_files_has_another_key(tmp_path: Path) -> None:
    touch(tmp_path, "a/flair.nii", "b/flair.nii")
    a, b = find_studies(tmp_path)
    before = a.inputs_key()
    assert before == a.inputs_key() != b.inputs_key()
    (tmp_path / "a" / "flair.nii").write_bytes(b"x")
    assert a.inputs_key() != before


def test_a_study_has_one_key_on_whatever_way_its_files_are_reached(tmp_path: Path) -> None:
    touch(tmp_path, "in/a/flair.nii")
    (tmp_path / "link").symlink_to(tmp_path / "in", target_is_directory=True)
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "list.csv").write_text("id,flair\na,../in/a/flair.nii\n")
    studies = (
        *find_studies(tmp_path / "in"),
        *find_studies(tmp_path / "link"),
        *read_table(tmp_path / "lists" / "list.csv"),
    )
    assert len({study.inputs_key() for study in studies}) == 1
