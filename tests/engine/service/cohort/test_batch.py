"""A batch: resumed, asked otherwise, with bad studies among good ones, with engines that don't start."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from BrainTumorSegLib.engine.errors import Cancelled, InputError, ModelError, OutputError
from BrainTumorSegLib.engine.service.cohort.batch import Batch, Ended, Outcome, Step, run_batch
from BrainTumorSegLib.engine.service.cohort.find import find_studies
from BrainTumorSegLib.engine.service.cohort.results import Record, new_folder, publish
from BrainTumorSegLib.engine.service.cohort.rows import DONE, StudyRow
from BrainTumorSegLib.engine.service.cohort.task import StudyTask
from BrainTumorSegLib.engine.settings import RunSettings

ENDS = {
    "bad": ("input", "FLAIR can't be read.", "Copy it again."),
    "big": ("memory", "Not enough memory.", "Buy some."),
}


class Workers:
    """Does each study at once, with the engine's own folders of results. ends: how studies end that fail, by name."""

    def __init__(self, ends: dict[str, tuple[str, str, str]] | None = None, room: int = 2) -> None:
        self.room, self.fractions = room, 0.0
        self.ends = ENDS if ends is None else ends
        self.begun: list[str] = []
        self.waiting: list[StudyTask] = []
        self.at_once = 0
        self.is_stopped = False

    def start(self, settings: RunSettings, is_cancelled: Callable[[], bool]) -> None:
        """Ready."""

    def submit(self, task: StudyTask) -> None:
        self.begun.append(task.name)
        self.waiting.append(task)
        self.room -= 1

    def poll(self, wait_s: float) -> list[Ended]:
        self.at_once = max(self.at_once, len(self.waiting))
        tasks, self.waiting = self.waiting, []
        self.room += len(tasks)
        return [self._end(task) for task in tasks]

    def _end(self, task: StudyTask) -> Ended:
        if task.name in self.ends:
            return Ended(task.name, None, *self.ends[task.name])
        with new_folder(task.folder) as temporary:
            (temporary / "segmentation.seg.nrrd").write_text("NRRD")
            row = StudyRow(task.name, DONE, volume_ml="1.000", threshold=str(task.settings.threshold))
            return Ended(
                task.name, publish(temporary, task.folder / task.name, Record(task.batch, task.inputs_key, row))
            )

    def stop(self) -> None:
        self.is_stopped = True


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    for name in ("anna", "bert", "carl"):
        (tmp_path / "in" / name).mkdir(parents=True)
        (tmp_path / "in" / name / "flair.nii.gz").write_text(name)
    return tmp_path


def batch_of(cohort: Path, settings: RunSettings = RunSettings(), **more: object) -> Batch:  # noqa: B008 - frozen
    studies = find_studies(cohort / "in")
    return Batch(studies, cohort / "out", settings, {"lgg": "ab" * 32}, **more)  # type: ignore[arg-type]


def never() -> bool:
    return False


def run(batch: Batch, workers: Workers | None = None, steps: list[Step] | None = None) -> Outcome:
    return run_batch(batch, workers or Workers(), ([] if steps is None else steps).append, never)


def rows_of(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "out" / "summary.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len({row["study"] for row in rows}) == len(rows)
    return {row["study"]: row for row in rows}


def test_every_study_is_done_once_and_has_a_row(cohort: Path) -> None:
    steps: list[Step] = []
    workers = Workers()
    outcome = run(batch_of(cohort), workers, steps)
    assert (outcome.done, outcome.failed, outcome.earlier) == (3, 0, 0)
    assert sorted(workers.begun) == sorted(rows_of(cohort)) == ["anna", "bert", "carl"]
    assert workers.is_stopped
    assert steps[-1].ended == steps[-1].total == 3
    assert str(outcome) == "3 studies: 3 done, 0 failed."


def test_resuming_does_nothing_that_is_done(cohort: Path) -> None:
    run(batch_of(cohort))
    (cohort / "in" / "dora").mkdir()
    (cohort / "in" / "dora" / "flair.nii.gz").write_text("dora")
    workers = Workers()
    outcome = run(batch_of(cohort), workers)
    assert workers.begun == ["dora"]
    assert (outcome.done, outcome.earlier) == (4, 3)
    assert sorted(rows_of(cohort)) == ["anna", "bert", "carl", "dora"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda batch: replace(batch, settings=RunSettings(threshold=0.9)), "threshold 0.9 instead of by default"),
        (lambda batch: replace(batch, settings=RunSettings(tta=False)), "tta off instead of on"),
        (lambda batch: replace(batch, settings=RunSettings(register="on")), "register on instead of auto"),
        (
            lambda batch: replace(batch, models={"lgg": "cd" * 32}),
            "weights of lgg cdcdcdcdcdcd instead of abababababab",
        ),
    ],
    ids=["threshold", "tta", "register", "weights"],
)
def test_another_setting_or_model_in_the_same_folder_is_refused(
    cohort: Path, change: Callable[[Batch], Batch], said: str
) -> None:
    run(batch_of(cohort))
    workers = Workers()
    with pytest.raises(InputError, match=f"made otherwise: {said}.*--redo"):
        run(change(batch_of(cohort)), workers)
    assert not workers.begun
    outcome = run(replace(change(batch_of(cohort)), redo=True), workers)
    assert sorted(workers.begun) == ["anna", "bert", "carl"]
    assert (outcome.done, outcome.earlier) == (3, 0)


def test_another_device_goes_on_with_the_same_batch(cohort: Path) -> None:
    run(batch_of(cohort))
    workers = Workers()
    run(batch_of(cohort, RunSettings(device="cpu")), workers)
    assert not workers.begun


def test_a_redo_that_was_interrupted_goes_on_without_redo(cohort: Path) -> None:
    run(batch_of(cohort))
    asked: list[bool] = []
    settings = RunSettings(threshold=0.9)

    def is_cancelled() -> bool:
        asked.append(True)
        return len(asked) > 1

    with pytest.raises(Cancelled):
        run_batch(batch_of(cohort, settings, redo=True), Workers(room=1), lambda _: None, is_cancelled)
    workers = Workers()
    run(batch_of(cohort, settings), workers)
    assert sorted(workers.begun) == ["bert", "carl"]
    assert {row["threshold"] for row in rows_of(cohort).values()} == {"0.9"}


def test_cancelling_keeps_the_rows_of_what_is_done(cohort: Path) -> None:
    run(batch_of(cohort))
    (cohort / "in" / "dora").mkdir()
    (cohort / "in" / "dora" / "flair.nii.gz").write_text("dora")
    workers = Workers()
    with pytest.raises(Cancelled):
        run_batch(batch_of(cohort), workers, lambda _: None, lambda: True)
    assert workers.is_stopped
    assert sorted(rows_of(cohort)) == ["anna", "bert", "carl"]


def test_the_row_of_a_failed_study_names_its_files_in_full(cohort: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(cohort)
    run(Batch(find_studies(Path("in")), Path("out"), RunSettings(), {"lgg": "ab" * 32}), Workers({"carl": ENDS["bad"]}))
    row = rows_of(cohort)["carl"]
    assert row["status"] == "failed"
    assert row["flair"] == str(cohort / "in" / "carl" / "flair.nii.gz")


def test_a_bad_study_is_a_row_with_reason_and_remedy_and_stops_no_other(cohort: Path) -> None:
    for name in ("bad", "mixed"):
        (cohort / "in" / name).mkdir()
        (cohort / "in" / name / "flair.nii.gz").touch()
    (cohort / "in" / "mixed" / "other_t1.nii.gz").touch()
    outcome = run(batch_of(cohort))
    assert (outcome.done, outcome.failed) == (3, 2)
    rows = rows_of(cohort)
    assert (rows["bad"]["status"], rows["bad"]["message"], rows["bad"]["remedy"]) == ("failed", *ENDS["bad"][1:])
    assert "different patients or sessions" in rows["mixed"]["message"]
    assert rows["mixed"]["remedy"] == "Part them."


def test_a_failed_study_is_tried_again_by_the_next_call(cohort: Path) -> None:
    run(batch_of(cohort), Workers({"bert": ENDS["bad"]}))
    assert rows_of(cohort)["bert"]["status"] == "failed"
    workers = Workers()
    outcome = run(batch_of(cohort), workers)
    assert workers.begun == ["bert"]
    assert (outcome.done, outcome.failed) == (3, 0)
    assert rows_of(cohort)["bert"]["status"] == "done"


def test_a_study_that_ran_out_of_memory_is_tried_once_more_alone(cohort: Path) -> None:
    workers = Workers({"anna": ENDS["big"], "carl": ENDS["big"]})
    outcome = run(batch_of(cohort), workers)
    assert workers.begun == ["anna", "bert", "carl", "anna", "carl"]
    assert (outcome.done, outcome.failed) == (1, 2)
    assert rows_of(cohort)["anna"]["message"] == "Not enough memory."


@pytest.mark.parametrize(("kind", "error"), [("model", ModelError), ("output", OutputError)])
def test_what_every_study_would_fail_by_stops_the_batch_with_one_message(
    cohort: Path, kind: str, error: type[Exception]
) -> None:
    workers = Workers({"anna": (kind, "It is gone.", "Bring it.")}, room=1)
    with pytest.raises(error, match=r"It is gone\. Bring it\."):
        run(batch_of(cohort), workers)
    assert workers.begun == ["anna"]
    assert workers.is_stopped


def test_results_of_other_files_under_one_name_are_never_taken_or_replaced(cohort: Path) -> None:
    run(batch_of(cohort))
    (cohort / "in" / "anna" / "flair.nii.gz").write_text("another patient")
    workers = Workers()
    with pytest.raises(InputError, match=r"anna was made from other files, or they were changed.*remove"):
        run(batch_of(cohort), workers)
    assert not workers.begun
    shutil.rmtree(cohort / "out" / "anna")
    run(batch_of(cohort), workers)
    assert workers.begun == ["anna"]


def test_a_folder_that_is_no_result_is_never_replaced(cohort: Path) -> None:
    (cohort / "out" / "bert").mkdir(parents=True)
    (cohort / "out" / "bert" / "thesis.txt").write_text("years of work")
    for redo in (False, True):
        with pytest.raises(InputError, match=r"bert is there already, and is no result of a batch"):
            run(batch_of(cohort, redo=redo))
    assert (cohort / "out" / "bert" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("name", ["summary.csv", "summary.html"])
def test_a_user_s_own_table_is_never_replaced(cohort: Path, name: str) -> None:
    (cohort / "out").mkdir()
    (cohort / "out" / name).write_text("id,flair,scanner\n")
    with pytest.raises(InputError, match=rf"{name} is there already, and is no result of a batch"):
        run(batch_of(cohort))
    assert (cohort / "out" / name).read_text() == "id,flair,scanner\n"


def test_a_path_that_is_no_utf8_fails_its_study_and_no_other(cohort: Path) -> None:
    if os.name == "nt":
        pytest.skip("Windows' names are Unicode")
    (cohort / "in" / os.fsdecode(b"d\xfcrr")).mkdir()
    (cohort / "in" / os.fsdecode(b"d\xfcrr") / "flair.nii.gz").touch()
    assert str(run(batch_of(cohort))) == "4 studies: 3 done, 1 failed."
    assert rows_of(cohort)["d_rr"]["flair"].endswith("d\\xfcrr/flair.nii.gz")


def test_results_among_the_inputs_are_refused(cohort: Path) -> None:
    studies = find_studies(cohort / "in")
    with pytest.raises(InputError, match="lie where its results would"):
        run(Batch(studies, cohort / "in", RunSettings()))


SPOILT = {
    "saved by Excel": lambda text: text.replace(",", ";").replace("\n", "\r\n").encode("cp1252"),
    "with a byte-order mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "with a torn last line": lambda text: text.encode()[:-30],
    "lost": lambda _: b"",
    "with numbers changed": lambda text: text.replace("1.000", "Jan 00").encode(),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_no_known_row_is_lost_whatever_became_of_the_summary(cohort: Path, spoil: Callable[[str], bytes]) -> None:
    run(batch_of(cohort))
    summary = cohort / "out" / "summary.csv"
    before = summary.read_bytes()
    summary.write_bytes(spoil(summary.read_text()))
    workers = Workers()
    run(batch_of(cohort), workers)
    assert not workers.begun
    assert summary.read_bytes() == before


def test_rows_are_appended_while_the_batch_runs(cohort: Path) -> None:
    lengths: list[int] = []
    summary = cohort / "out" / "summary.csv"
    run_batch(batch_of(cohort), Workers(room=1), lambda _: lengths.append(len(summary.read_bytes())), never)
    assert lengths == sorted(lengths)
    assert len(set(lengths)) == 3


def test_two_batches_never_share_a_folder(cohort: Path) -> None:
    def second(_step: Step) -> None:
        with pytest.raises(InputError, match="Another batch is at work"):
            run(batch_of(cohort))

    run_batch(batch_of(cohort), Workers(), second, never)


def test_a_lost_or_broken_batch_file_is_told(cohort: Path) -> None:
    run(batch_of(cohort))
    (cohort / "out" / "batch.json").write_text("{")
    with pytest.raises(InputError, match=r"batch\.json can't be read.*--redo"):
        run(batch_of(cohort))


def test_the_page_needs_no_server_and_escapes_what_it_shows(cohort: Path) -> None:
    ends = {"bert": ("input", "<script>alert(1)</script> & so on.", "Try <again>.")}
    outcome = run(batch_of(cohort), Workers(ends))
    page = outcome.page.read_text()
    assert page.count("<tr") == 4
    assert 'src="anna/thumbnail.jpg"' in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; so on. Try &lt;again&gt;." in page
    assert page.count("<script>") == 1
    assert not any(word in page for word in ("http://", "https://", "//cdn"))


def test_two_thousand_finished_studies_are_looked_through_in_seconds(tmp_path: Path) -> None:
    for number in range(2000):
        name = f"s{number:04d}"
        (tmp_path / "in" / name).mkdir(parents=True)
        (tmp_path / "in" / name / "flair.nii.gz").touch()
    batch = batch_of(tmp_path)
    first = batch.studies[:1]
    run(replace(batch, studies=first))
    record = json.loads((tmp_path / "out" / "s0000" / "study.json").read_text())
    for study in batch.studies[1:]:
        (tmp_path / "out" / study.name).mkdir()
        own = {**record, "inputs_key": study.inputs_key(), "row": {**record["row"], "study": study.name}}
        (tmp_path / "out" / study.name / "study.json").write_text(json.dumps(own))
    workers = Workers()
    outcome = run(batch, workers)
    assert not workers.begun
    assert outcome.earlier == 2000


def test_no_log_names_a_patient_or_a_path(cohort: Path, caplog: pytest.LogCaptureFixture) -> None:
    patient = "DOE_JANE_19620304"
    (cohort / "in" / patient).mkdir()
    (cohort / "in" / patient / "flair.nii.gz").write_text("x")
    with caplog.at_level("DEBUG"):
        run(batch_of(cohort), Workers({patient: ENDS["big"]}))
    said = "\n".join(each.getMessage() for each in caplog.records if each.name.startswith("BrainTumorSegLib"))
    assert "Study 4 of 4: failed" in said
    assert patient not in said
    assert str(cohort) not in said
