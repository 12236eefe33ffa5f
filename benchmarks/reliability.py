"""Kill, cancel, starve and feed rubbish to the program again and again, count what it loses, and write the page.

python benchmarks/reliability.py docs/reliability.md

The network is replaced by a threshold (tests/widget/slow_engine.py) wherever the network itself is not what is tried:
the batch, the worker, the readers and the writers are the product's own. The cancels, the search for identifiers and
the soak run the real program and model. Every server and proxy is one on this machine.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import psutil
import SimpleITK as sitk

REPOSITORY = Path(__file__).parents[1]
sys.path[:0] = [str(REPOSITORY / each) for each in ("tests", "BrainTumorSeg", "benchmarks")]

from BrainTumorSegLib import __version__  # noqa: E402
from BrainTumorSegLib.client.process import Event  # noqa: E402
from BrainTumorSegLib.client.workers import LocalWorkers  # noqa: E402
from BrainTumorSegLib.engine.errors import BrainTumorSegError  # noqa: E402
from BrainTumorSegLib.engine.service.cohort.batch import Batch, run_batch  # noqa: E402
from BrainTumorSegLib.engine.service.cohort.find import find_studies  # noqa: E402
from BrainTumorSegLib.engine.settings import RunSettings  # noqa: E402
from cohorts import (  # noqa: E402
    WORKER,
    Patient,
    engine_environment,
    last_event,
    start_batch,
    write_cohort,
    write_volume,
)
from dicom_series import write_series  # noqa: E402
from hostile_inputs import hostile_inputs  # noqa: E402
from jumping_clock import JumpingClock  # noqa: E402
from model_faults import NOBODY, model_faults  # noqa: E402
from planted import IN_HEADERS, IN_PATHS, files_with, write_planted  # noqa: E402
from tally import Tally, tally_table  # noqa: E402

REAL_WORKER = [sys.executable, "-m", "BrainTumorSegLib", "worker"]
DAY_S = 24 * 3600


@dataclass(frozen=True)
class Part:
    """A section of the page, and what it adds to the table of all faults."""

    text: str
    tallies: tuple[Tally, ...]


def main() -> None:
    """Try everything and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    defaults = {"studies": 300, "kills": 40, "cancels": 200, "flips": 60, "faults": 50, "soak": 500}
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # a second user has to get through
        begun_s = time.monotonic()
        parts = [
            batch_under_kills(folder / "batch", arguments.studies, arguments.kills),
            hostile(folder / "hostile", arguments.flips),
            cancels(folder / "cancels", arguments.cancels),
            bad_days(folder / "days"),
            jumps(folder / "jumps", arguments.faults),
            Part("", tuple(model_faults(folder / "models", arguments.faults))),
            identifiers(folder / "identifiers"),
            soak(folder / "soak", arguments.soak),
        ]
        minutes = (time.monotonic() - begun_s) / 60
    arguments.page.write_text(page(parts, minutes), encoding="utf-8")


def page(parts: list[Part], minutes: float) -> str:
    """The page around the parts."""
    options = [each for each in sys.argv[1:] if each.startswith("-") or each.isdecimal()]
    command = shlex.join(["python", "benchmarks/reliability.py", "docs/reliability.md", *options])
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, version {__version__}, {date.today()}"
    return (
        f"# Reliability\n\nWritten by `{command}`\n({machine}, {minutes:.0f} minutes).\n"
        f"{(__doc__ or '').split(chr(10) * 2)[2].strip()}\n\n"
        "## All faults\n\nSurvived: what was said or done was right, and the next call worked. Lost: studies that "
        "should be done or told and were not. Half written: files that look like results or models and are not "
        "whole.\n\n"
        + tally_table(tally for part in parts for tally in part.tallies)
        + "".join(part.text for part in parts)
    )


def batch_under_kills(folder: Path, studies: int, kills: int) -> Part:
    """Studies of mixed kinds through one batch that is killed at random moments, then the summary against the truth."""
    truth = mixed_cohort(folder / "in", studies)
    log = folder / "done.txt"
    environment = engine_environment(stage_s=0.005, done=str(log))
    chance = random.Random(2029)
    killed = 0
    for _ in range(kills):
        process = start_batch(folder / "in", folder / "out", environment)
        time.sleep(chance.uniform(0.2, 8.0))
        killed += process.poll() is None
        process.kill()
        process.communicate()
    is_done = last_event(start_batch(folder / "in", folder / "out", environment))["event"] == "done"
    with (folder / "out" / "summary.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    found = {row["study"]: row["status"] for row in rows}
    times = Counter(log.read_text().split())
    good = [name for name, status in truth.items() if status == "done"]
    half = [name for name in good if not is_whole(folder / "out" / name)]
    left = [path.name for path in (folder / "out").glob(".braintumorseg-*-*")]
    lost = len(truth.keys() - found.keys())
    text = table(
        "## A batch that is killed\n\n"
        f"{studies} studies: NIfTI, NRRD, MetaImage, DICOM exports and BIDS, among them damaged files, studies without "
        "FLAIR, with two, and of two patients. `kill -9` at random moments, the batch called again each time.",
        {
            "batches killed while at work": killed,
            "studies that should be done, and are": f"{sum(found.get(name) == 'done' for name in good)} of {len(good)}",
            "studies that should fail with a reason and a remedy, and do": (
                f"{sum(row['status'] == 'failed' and bool(row['message'] and row['remedy']) for row in rows)} "
                f"of {len(truth) - len(good)}"
            ),
            "studies lost": lost,
            "rows that are no study, or a second one": len(rows) - len(truth.keys() & found.keys()),
            "studies done twice": sum(count > 1 for count in times.values()),
            "results half written": len(half),
            "temporary folders left": len(left),
        },
    )
    return Part(text, (Tally("`kill -9` of a batch at work", killed, killed * is_done, lost, len(half)),))


def mixed_cohort(folder: Path, count: int) -> dict[str, str]:
    """Writes so many studies of mixed kinds. Returns "done" or "failed" for each by its name."""
    chance = random.Random(7)
    kinds: list[Callable[[Path, str, int], tuple[str, str]]] = [
        _volumes(".nii.gz"), _volumes(".nrrd"), _volumes(".mha"), _side_by_side, _bids, _dicom,
        _damaged, _without_flair, _doubled, _two_patients,
    ]  # fmt: skip
    weights = [4, 3, 3, 3, 3, 2, 1, 1, 1, 1]
    truth = {}
    for number in range(count):
        name = f"{chance.choice(('patient', 'p', 'TCGA-', 'Ü', 'post', 't1'))}{number:03d}"
        kind = chance.choices(kinds, weights)[0]
        study, status = kind(folder, name, number)
        truth[study] = status
    return truth


def _volumes(ending: str) -> Callable[[Path, str, int], tuple[str, str]]:
    def write(folder: Path, name: str, number: int) -> tuple[str, str]:
        for word in ("flair", "T1", "t1_post")[: 1 + number % 3]:
            write_volume(folder / "site" / name / f"{word}{ending}", number)
        return f"site__{name}", "done"

    return write


def _side_by_side(folder: Path, name: str, number: int) -> tuple[str, str]:
    for word in ("FLAIR", "t1ce"):
        write_volume(folder / f"{name}_{word}.nii", number)
    return name, "done"


def _bids(folder: Path, _name: str, number: int) -> tuple[str, str]:
    stem = f"sub-{number:03d}_ses-post"
    where = folder / "bids" / f"sub-{number:03d}" / "ses-post" / "anat"
    for word in ("FLAIR", "acq-mprage_T1w", "ce-gadolinium_T1w"):
        write_volume(where / f"{stem}_{word}.nii.gz", number)
    return stem, "done"


def _dicom(folder: Path, name: str, number: int) -> tuple[str, str]:
    image = sitk.Cast(sitk.ReadImage(str(write_volume(folder / "x.nii", number))), sitk.sitkInt16)
    (folder / "x.nii").unlink()
    for word in ("AX FLAIR", "AX T1"):
        where = folder / "export" / name / word.replace(" ", "")
        write_series(where, image, SeriesDescription=word, StudyInstanceUID=f"1.2.{number}", PatientID=name)
    return f"export__{name}", "done"


def _damaged(folder: Path, name: str, number: int) -> tuple[str, str]:
    path = write_volume(folder / "site" / name / "flair.nii.gz", number)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return f"site__{name}", "failed"


def _without_flair(folder: Path, name: str, number: int) -> tuple[str, str]:
    write_volume(folder / "site" / name / "t1.nii.gz", number)
    return f"site__{name}", "failed"


def _doubled(folder: Path, name: str, number: int) -> tuple[str, str]:
    for word in ("flair", "FLAIR_3d"):
        write_volume(folder / "site" / name / f"{word}.nii.gz", number)
    return f"site__{name}", "failed"


def _two_patients(folder: Path, name: str, number: int) -> tuple[str, str]:
    write_volume(folder / "site" / name / f"{name}_flair.nii.gz", number)
    write_volume(folder / "site" / name / f"other{number}_t1.nii.gz", number)
    return f"site__{name}", "failed"


def is_whole(folder: Path) -> bool:
    """Whether a study's results can be read, each."""
    try:
        json.loads((folder / "report.json").read_text())
        json.loads((folder / "study.json").read_text())
        mask = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "segmentation.seg.nrrd")))
        return bool(np.isin(mask, (0, 1)).all()) and (folder / "thumbnail.jpg").read_bytes().endswith(b"\xff\xd9")
    except (OSError, ValueError, RuntimeError):
        return False


def hostile(folder: Path, flips: int) -> Part:
    """Each broken input through one worker: what it answers, by the kind of damage."""
    folder.mkdir()
    patient = Patient(WORKER, engine_environment())
    counts: dict[str, Counter[str]] = {}
    half = 0
    for number, (kind, path) in enumerate(hostile_inputs(folder, seed=2029, flips=flips)):
        output = folder / f"o{number}.seg.nrrd"
        answer = _answer(patient.ask({"command": "segment", "flair": str(path), "output": str(output)}))
        counts.setdefault(kind, Counter())[answer] += 1
        half += output.exists() is not (answer == "segmented")
    patient.worker.kill()
    columns = ("segmented", "refused in words", "defect", "worker ended", "no answer")
    lines = [
        "## Broken and hostile inputs\n",
        "Made by `tests/hostile_inputs.py` and given to one worker. An input whose voxels alone were changed, without "
        "a checksum that could tell, is segmented: it is a valid image.\n",
        f"| input | tried | {' | '.join(columns)} |",
        f"|---|{'---|' * (len(columns) + 1)}",
    ]
    for kind, found in counts.items():
        lines.append(f"| {kind} | {found.total()} | {' | '.join(str(found[column]) for column in columns)} |")
    total = sum(counts.values(), Counter())
    lines.append(f"| all | {total.total()} | {' | '.join(str(total[column]) for column in columns)} |")
    right = total["segmented"] + total["refused in words"]
    tally = Tally("a broken or hostile input", total.total(), right, half_written=half)
    return Part("\n" + "\n".join(lines) + "\n", (tally,))


def _answer(event: Event | None) -> str:
    if event is None:
        return "no answer"
    if event.name == "done":
        return "segmented"
    return {"crashed": "worker ended", "defect": "defect"}.get(event.content["kind"], "refused in words")


def cancels(folder: Path, count: int) -> Part:
    """A study cancelled at random moments in the real worker, each time another."""
    flair = small_volume(folder / "flair.nii.gz")
    patient = Patient(REAL_WORKER, real_environment(folder))
    chance = random.Random(3)
    answers: Counter[str] = Counter()
    slowest_s = usual_s = 0.0
    for number in range(-3, count):  # the first ones load the model and say how long a study takes
        wait_s = chance.uniform(0, 1.1 * usual_s) if number >= 0 else None
        begun_s = time.monotonic()
        event = patient.ask(study_request(folder, f"s{number}", flair), wait_s)
        passed_s = time.monotonic() - begun_s
        if wait_s is None:
            usual_s = passed_s
            continue
        slowest_s = max(slowest_s, passed_s - wait_s)
        kind = "no answer" if event is None else "done" if event.name == "done" else event.content["kind"]
        is_there = is_whole(folder / f"s{number}") if kind == "done" else (folder / f"s{number}").exists()
        answers[kind if is_there == (kind == "done") else "wrong"] += 1
    patient.worker.kill()
    left = len(list(folder.glob(".braintumorseg-*-*")))
    right = answers["cancelled"] + answers["done"]
    text = table(
        "## Cancelled at random moments",
        {
            "cancelled": count,
            "ended as cancelled, nothing written": answers["cancelled"],
            "was done before the cancel came, everything written": answers["done"],
            "anything else": count - right,
            "temporary folders left": left,
            "a study that is not cancelled takes": f"{usual_s:.2f} s",
            "longest time from the cancel to the answer": f"{slowest_s:.2f} s",
        },
    )
    return Part(text, (Tally("a study cancelled", count, right, half_written=answers["wrong"] + left),))


def small_volume(path: Path, seed: int = 7) -> Path:
    """Six slices of ``write_volume``'s, the tumour among them."""
    image = sitk.ReadImage(str(write_volume(path, seed)))
    sitk.WriteImage(image[:, :, 3:9], str(path))
    return path


def real_environment(temporary: Path) -> dict[str, str]:
    """What the real program runs in, with its temporary files where they can be counted."""
    return {**engine_environment(), "OMP_NUM_THREADS": "1", "TMPDIR": str(temporary)}


def study_request(folder: Path, name: str, flair: Path) -> dict[str, object]:
    """A study of a batch, as small as it may be, every slice through the network."""
    fields = {"study": name, "folder": str(folder), "batch": "b", "inputs_key": "k", "flair": str(flair)}
    return {"command": "study", **fields, "tta": False, "gate": 0.0}


def bad_days(folder: Path) -> Part:
    """What a batch says to each fault, and whether the next call makes it whole."""
    faults: dict[str, Callable[[Path], str]] = {
        "the disk is full": lambda here: _on_disk(here, "size=40k"),
        "the disk fills up while a study is written": lambda here: _on_disk(here, "size=76k"),
        "the disk of the results is read-only": lambda here: _on_disk(here, "size=1m,ro"),
        "the folder for the results belongs to another user": _forbidden,
        "the model is not there": lambda here: _told(here, load_fails=True),
        "every worker dies": lambda here: _told(here, die_at="segment"),
        "every worker runs out of memory": lambda here: _told(here, fail_at="segment"),
        "`batch.json` is damaged": _damaged_batch_file,
        "`summary.csv` was saved by Excel (semicolons, cp1252)": _excel,
    }
    lines = ["\n## Bad days\n", "| fault | what the batch said | called again without it |", "|---|---|---|"]
    tallies = []
    for number, (name, provoke) in enumerate(faults.items()):
        here = folder / str(number)
        write_volume(here / "in" / "anna" / "flair.nii.gz")
        said = provoke(here).replace(str(here), "…").replace("|", "/")
        again = _told(here, redo="batch.json" in name)
        lines.append(f"| {name} | {said} | {again} |")
        tallies.append(Tally(name, 1, int(again == "done" and bool(said))))
    return Part("\n".join(lines) + "\n", tuple(tallies))


def _told(here: Path, redo: bool = False, **slow_engine: object) -> str:
    process = start_batch(here / "in", here / "out", engine_environment(**slow_engine), redo=redo)
    event = last_event(process)
    if event["event"] == "error":
        return f"{event['message']} {event['action']}"
    with Path(event["summary"]).open(newline="", encoding="utf-8") as stream:
        (row,) = csv.DictReader(stream)
    return "done" if row["status"] == "done" else f"failed: {row['message']} {row['remedy']}"


def _on_disk(here: Path, options: str) -> str:
    """The results on a disk of its own."""
    out = here / "out"
    out.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(out)], check=True)
    try:
        return _told(here)
    finally:
        subprocess.run(["umount", str(out)], check=True)


def _forbidden(here: Path) -> str:
    """In this process: what starts others may be out of another user's reach."""
    (here / "out").mkdir()
    batch = Batch(find_studies(here / "in"), here / "out", RunSettings())
    os.seteuid(NOBODY)
    try:
        return str(run_batch(batch, LocalWorkers(WORKER), lambda _: None, lambda: False))
    except BrainTumorSegError as error:
        return f"{error.message} {error.action}"
    finally:
        os.seteuid(0)


def _damaged_batch_file(here: Path) -> str:
    _told(here)
    (here / "out" / "batch.json").write_text("{")
    return _told(here)


def _excel(here: Path) -> str:
    _told(here)
    summary = here / "out" / "summary.csv"
    before = summary.read_bytes()
    summary.write_bytes(before.decode().replace(",", ";").encode("cp1252"))
    said = _told(here)
    return f"{said}; every row as before" if summary.read_bytes() == before else "rows were lost"


def jumps(folder: Path, count: int) -> Part:
    """Batches whose clock of the day is set back and forward by up to ten years while they work, some killed."""
    folder.mkdir()
    names = [f"s{number:02d}" for number in range(30)]
    write_cohort(folder / "in", names)
    clock, log = JumpingClock(folder), folder / "done.txt"
    environment = {**engine_environment(stage_s=0.1, done=str(log)), **clock.environment}
    chance = random.Random(4)
    process = start_batch(folder / "in", folder / "out", environment)
    for number in range(count):
        time.sleep(chance.uniform(0.1, 0.6))
        clock.jump_to(chance.randrange(-3650 * DAY_S, 3650 * DAY_S))
        if number % 10 == 9:
            process.kill()
            process.communicate()
            process = start_batch(folder / "in", folder / "out", environment)
    is_done = last_event(process)["event"] == "done"
    with (folder / "out" / "summary.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    is_sane = all(0 < float(row["seconds"]) < 600 for row in rows)
    done = {row["study"] for row in rows if row["status"] == "done" and is_whole(folder / "out" / row["study"])}
    twice = sum(times > 1 for times in Counter(log.read_text().split()).values())
    is_well = is_done and is_sane and not twice and len(rows) == len(names)
    return Part("", (Tally("the clock of the day jumps", count, count * is_well, len(set(names) - done)),))


def identifiers(folder: Path) -> Part:
    """A DICOM cohort full of identifiers through the real command, killed once; then every file is searched."""
    write_planted(folder / "in", 4)
    for name in ("home", "temporary", "log"):
        (folder / name).mkdir()
    own = {"HOME": str(folder / "home"), "BRAINTUMORSEG_HOME": str(folder / "home")}
    environment = {**real_environment(folder / "temporary"), **own}
    command = [sys.executable, "-m", "BrainTumorSegLib", "--debug", "batch", str(folder / "in"), str(folder / "out")]
    with (folder / "log" / "log").open("wb") as log:
        first = subprocess.Popen([*command, "--workers", "1"], env=environment, stdout=subprocess.PIPE, stderr=log)
        while not list((folder / "out").glob(".braintumorseg-*-*")) and first.poll() is None:
            time.sleep(0.02)
        first.kill()
        first.communicate()
        held = len(list((folder / "out").glob(".braintumorseg-*-*")))
        subprocess.run([*command, "--workers", "1"], env=environment, stdout=subprocess.PIPE, stderr=log, check=False)
    left = len(list((folder / "out").glob(".braintumorseg-*-*")))
    private = [folder / name for name in ("home", "temporary")]
    everything = [folder / "out", folder / "log", *private]
    everywhere = files_with(everything, IN_HEADERS.values())
    paths = files_with(private, [IN_PATHS])
    searched = sum(path.is_file() for each in everything for path in each.rglob("*"))
    text = table(
        "## Identifiers\n\n"
        f"4 DICOM studies, {len(IN_HEADERS)} identifiers in every header and one in each folder's name, through "
        "`braintumorseg --debug batch`, killed in the first study and called again. Searched: results, log, home and "
        "temporary folder.",
        {
            "files searched": searched,
            "half-done folders left by the kill": held,
            "of these left after the next call": left,
            "identifiers of headers found anywhere": len(everywhere),
            "folders' names found beside the results and the log": len(paths),
        },
    )
    planted = 4 * (len(IN_HEADERS) + 1)
    return Part(text, (Tally("an identifier planted", planted, planted - len(everywhere) - len(paths), 0, left),))


def soak(folder: Path, count: int) -> Part:
    """Studies through one real worker: what it holds early and later."""
    flairs = [small_volume(folder / f"{number}_flair.nii.gz", number) for number in range(10)]
    (folder / "out").mkdir()
    patient = Patient(REAL_WORKER, real_environment(folder))
    looks = sorted({max(1, count * part // 10) for part in (1, 4, 7, 10)})
    held: dict[int, dict[str, object]] = {}
    failed = 0
    begun_s = time.monotonic()
    for number in range(1, count + 1):
        event = patient.ask(study_request(folder / "out", f"s{number:03d}", flairs[number % 10]))
        failed += event is None or event.name != "done"
        if number in looks:
            held[number] = _held(patient, folder)
    minutes = (time.monotonic() - begun_s) / 60
    patient.worker.kill()
    half = sum(not is_whole(path) for path in (folder / "out").iterdir())
    rows = [f"| {name} | {' | '.join(str(held[look][name]) for look in looks)} |" for name in held[looks[0]]]
    lines = [
        "\n## Soak\n",
        f"{count} studies of 6 slices through one real worker and model in {minutes:.0f} minutes; {failed} failed.\n",
        f"| held by the worker | {' | '.join(f'after {look}' for look in looks)} |",
        f"|---{'|---' * len(looks)}|",
        *rows,
    ]
    return Part("\n".join(lines) + "\n", (Tally("a study of the soak", count, count - failed, failed, half),))


def _held(patient: Patient, folder: Path) -> dict[str, object]:
    process = psutil.Process(patient.worker.pid)
    return {
        "memory": f"{process.memory_info().rss / 2**20:.0f} MB",
        "descriptors": process.num_fds(),
        "threads": process.num_threads(),
        "temporary files": sum(path.name.startswith((".", "tmp")) for path in folder.rglob("*")),
        "workers that ended": patient.ended,
    }


def table(title: str, counts: dict[str, object]) -> str:
    """A section with one table."""
    return f"\n{title}\n\n| | |\n|---|---|\n" + "".join(f"| {name} | {value} |\n" for name, value in counts.items())


if __name__ == "__main__":
    if shutil.which("mount") is None or os.geteuid() != 0:
        sys.exit("A full disk is made by mount, which needs root on Linux.")
    main()
