"""Lists of studies as spreadsheets save them, and the list that --list writes, given back."""

from __future__ import annotations

from pathlib import Path

import pytest

from BrainTumorSegLib.engine.errors import InputError, OutputError
from BrainTumorSegLib.engine.service.cohort.find import find_studies
from BrainTumorSegLib.engine.service.cohort.study_files import unique_names
from BrainTumorSegLib.engine.service.cohort.table import read_table, write_table
from BrainTumorSegLib.engine.study.roles import Role

TEXT = "id,flair,t1\n007,a.nii,b.nii\nMüller,c.nii,\n"
FORMS = {
    "plain": TEXT.encode(),
    "with a byte-order mark": TEXT.encode("utf-8-sig"),
    "semicolons": TEXT.replace(",", ";").encode(),
    "tabs in UTF-16": TEXT.replace(",", "\t").encode("utf-16"),
    "Windows": TEXT.replace(",", ";").replace("\n", "\r\n").encode("cp1252"),
    "other columns, other order": b"age,T1,Flair,ID\n7,b.nii,a.nii,007\n8,,c.nii,M\xc3\xbcller\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.nii", "b.nii", "c.nii"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize("content", FORMS.values(), ids=FORMS)
def test_a_list_is_read_however_it_was_saved(folder: Path, content: bytes) -> None:
    (folder / "list.csv").write_bytes(content)
    first, second = read_table(folder / "list.csv")
    assert (first.name, first.problem, second.name, second.problem) == ("007", "", "Müller", "")
    assert first.files == {Role.FLAIR: folder / "a.nii", Role.T1: folder / "b.nii"}
    assert second.files == {Role.FLAIR: folder / "c.nii"}


def test_written_list_is_read_from_another_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``batch --list . out`` finds studies below the current folder, and writes the list elsewhere."""
    (folder / "study").mkdir()
    (folder / "a.nii").rename(folder / "study" / "flair.nii")
    (folder / "results").mkdir()
    monkeypatch.chdir(folder)
    write_table(Path("results/plan.csv"), find_studies(Path()))
    monkeypatch.chdir("/")
    found = [study for study in read_table(folder / "results/plan.csv") if Role.FLAIR in study.candidates]
    assert [(study.problem, study.files[Role.FLAIR]) for study in found] == [("", folder / "study" / "flair.nii")]


WRONG_ROWS = {
    "x,,": "names no FLAIR. Fill in",
    "x,|,": "names no FLAIR. Fill in",
    ",a.nii,": "has no id. Give",
    "x,missing.nii,": "missing.nii does not exist. Correct",
    "x,a.nii | c.nii,": "names 2 files for FLAIR. Leave one",
    "x,a.nii,a.nii": "one file for two sequences. Leave one",
    "x,a.nii | ?,b.nii | ?": "is in doubt (?). Leave the files of one patient",
    f"x,{'a' * 300}.nii,": "does not exist. Correct",
    "good,a.nii,b.nii": "The id good stands in 2 rows. Give",
}


@pytest.mark.parametrize(("row", "problem"), WRONG_ROWS.items())
def test_a_wrong_row_is_that_study_s_problem_alone(folder: Path, row: str, problem: str) -> None:
    (folder / "list.csv").write_text(f"id,flair,t1\n{row}\ngood,a.nii,\nlast,a.nii,b.nii\n")
    wrong, _, last = read_table(folder / "list.csv")
    assert problem in wrong.problem
    assert last.problem == ""


def test_names_that_were_given_once_stay_when_a_list_gives_them_again() -> None:
    """``--list`` writes them, and the list names the same studies as the folder does."""
    wished = ["site 1/anna", "x" * 300, "y" * 100, "Bert", "bert", "z" * 99 + "A", "z" * 99 + "a", "CON"]
    given = unique_names([(name, f"study {number}") for number, name in enumerate(wished)])
    assert len({name.casefold() for name in given}) == len(wished)
    assert max(len(name) for name in given) <= 100
    assert unique_names([(name, f"row {number}") for number, name in enumerate(given)]) == given


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "x" * 300, "..", "summary.csv", "CON", " ", "=1+1"])
def test_no_id_leads_out_of_the_folder_of_results(folder: Path, name: str) -> None:
    (folder / "list.csv").write_text(f"id,flair\n{name},a.nii\n")
    (study,) = read_table(folder / "list.csv")
    assert study.name == Path(study.name).name not in ("", ".", "..", "summary.csv")
    assert len(study.name) < 120
    assert study.name[0] not in "=+-@"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no column 'id'"),
        (b"name,flair\nx,a.nii\n", "no column 'id'"),
        (b"id,t1\nx,a.nii\n", "no column 'flair'"),
        (b"id,flair\n", "is empty"),
        (b"id,flair,t1,Flair\nx,a.nii,,b.nii\n", "two columns 'flair'.*each once"),
        (b"\xff\xfeabc", "is no table: it holds no text. Give a folder of studies, or a CSV"),
        (b"\x1f\x8b\x08\x00 a volume", "is no table: it holds no text"),
        (bytes(range(128, 256)) * 10, "is no table: it holds no text"),
        (b'id,flair\nx,a.nii\n"y,b.nii\nz,c.nii\n', "is no table from line 3: a quotation mark there has no partner"),
    ],
)
def test_what_is_no_list_is_refused_in_words(folder: Path, content: bytes, message: str) -> None:
    (folder / "list.csv").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_table(folder / "list.csv")


def test_a_path_may_hold_the_line_that_parts_candidates(folder: Path) -> None:
    (folder / "a | b.nii").touch()
    (folder / "list.csv").write_text("id,flair\nx,a | b.nii\n")
    (study,) = read_table(folder / "list.csv")
    assert (study.problem, study.files) == ("", {Role.FLAIR: folder / "a | b.nii"})


def test_a_list_that_may_hold_corrections_is_never_replaced(folder: Path) -> None:
    plan = folder / "plan.csv"
    studies = find_studies(folder.parent)
    write_table(plan, studies)
    write_table(plan, studies)
    corrected = plan.read_text() + "mine,a.nii,,,\n"
    plan.write_text(corrected)
    with pytest.raises(OutputError, match=r"plan.csv: it is there already with other content.*move it away"):
        write_table(plan, studies)
    assert plan.read_text() == corrected


def test_two_patients_of_one_row_are_not_merged_by_giving_the_list_back(tmp_path: Path) -> None:
    (tmp_path / "in" / "mixed").mkdir(parents=True)
    for name in ("patient1_flair.nii", "patient2_t1.nii"):
        (tmp_path / "in" / "mixed" / name).touch()
    plan = tmp_path / "plan.csv"
    write_table(plan, find_studies(tmp_path / "in"))
    (study,) = read_table(plan)
    assert "in doubt (?)" in study.problem
    plan.write_text(plan.read_text().replace(" | ?", "", 1).replace(f"{tmp_path}/in/mixed/patient2_t1.nii | ?", ""))
    (study,) = read_table(plan)
    assert (study.problem, set(study.files)) == ("", {Role.FLAIR})


def test_the_list_that_is_written_can_be_corrected_and_given_back(tmp_path: Path) -> None:
    for name in ("a/flair.nii", "b/flair.nii", "b/FLAIR.mha"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).touch()
    found = find_studies(tmp_path / "in")
    plan = tmp_path / "plan.csv"
    write_table(plan, found)
    a, b = read_table(plan)
    assert (a.files, a.problem) == (found[0].files, "")
    assert "2 files for FLAIR" in b.problem
    lines = plan.read_text().splitlines()
    plan.write_text("\n".join(line.split(" | ")[0] + ",,,\n" if " | " in line else line for line in lines))
    assert [study.problem for study in read_table(plan)] == ["", ""]
