"""Kill, cancel, starve and feed rubbish to the program again and again, count what it loses, and write the page.

python benchmarks/reliability.py docs/reliability.md

The network is replaced by a threshold (tests/widget/slow_engine.py) wherever the network itself is not what is tried:
the batch, the worker, the readers and the writers are the product's own. The soak runs the real worker and model.
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
from datetime import date
from pathlib import Path

import numpy as np
import psutil
import SimpleITK as sitk

REPOSITORY = Path(__file__).parents[1]
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "BrainTumorSeg")]

from BrainTumorSegLib import __version__  # noqa: E402
from BrainTumorSegLib.client.process import Event  # noqa: E402
from cohorts import WORKER, Patient, engine_environment, last_event, start_batch, write_volume  # noqa: E402
from dicom_series import write_series  # noqa: E402
from hostile_inputs import hostile_inputs  # noqa: E402


def main() -> None:
    """Try everything and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    for name, default in (("studies", 300), ("kills", 40), ("cancels", 200), ("flips", 60), ("soak", 500)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        parts = [
            batch_under_kills(Path(folder, "batch"), arguments.studies, arguments.kills),
            hostile(Path(folder, "hostile"), arguments.flips),
            cancels(Path(folder, "cancels"), arguments.cancels),
            bad_days(Path(folder, "days")),
            soak(Path(folder, "soak"), arguments.soak),
        ]
    arguments.page.write_text(page(parts), encoding="utf-8")


def page(parts: list[str]) -> str:
    """The page around the parts."""
    options = [each for each in sys.argv[1:] if each.startswith("-") or each.isdecimal()]
    command = shlex.join(["python", "benchmarks/reliability.py", "docs/reliability.md", *options])
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, version {__version__}, {date.today()}"
    return (
        f"# Reliability\n\nWritten by `{command}`\n({machine}).\n{(__doc__ or '').split(chr(10) * 2)[2].strip()}\n"
        + "".join(parts)
    )


def batch_under_kills(folder: Path, studies: int, kills: int) -> str:
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
    assert last_event(start_batch(folder / "in", folder / "out", environment))["event"] == "done"
    with (folder / "out" / "summary.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    found = {row["study"]: row["status"] for row in rows}
    times = Counter(log.read_text().split())
    good = [name for name, status in truth.items() if status == "done"]
    half = [name for name in good if not is_whole(folder / "out" / name)]
    left = [path.name for path in (folder / "out").glob(".braintumorseg-*-*")]
    return table(
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
            "studies lost": len(truth.keys() - found.keys()),
            "rows that are no study, or a second one": len(rows) - len(truth.keys() & found.keys()),
            "studies done twice": sum(count > 1 for count in times.values()),
            "results half written": len(half),
            "temporary folders left": len(left),
        },
    )


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


def hostile(folder: Path, flips: int) -> str:
    """Each broken input through one worker: what it answers, by the kind of damage."""
    folder.mkdir()
    patient = Patient(WORKER, engine_environment())
    counts: dict[str, Counter[str]] = {}
    for number, (kind, path) in enumerate(hostile_inputs(folder, seed=2029, flips=flips)):
        request = {"command": "segment", "flair": str(path), "output": str(folder / f"o{number}.seg.nrrd")}
        event = patient.ask(request)
        counts.setdefault(kind, Counter())[_answer(event)] += 1
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
    return "\n" + "\n".join(lines) + "\n"


def _answer(event: Event | None) -> str:
    if event is None:
        return "no answer"
    if event.name == "done":
        return "segmented"
    return {"crashed": "worker ended", "defect": "defect"}.get(event.content["kind"], "refused in words")


def cancels(folder: Path, count: int) -> str:
    """A study cancelled at random moments, each time another."""
    flair = write_volume(folder / "flair.nii.gz")
    patient = Patient(WORKER, engine_environment(stage_s=0.02))
    chance = random.Random(3)
    answers: Counter[str] = Counter()
    slowest_s = 0.0
    for number in range(count):
        wait_s = chance.uniform(0, 0.25)
        fields = {"study": f"s{number}", "folder": str(folder), "batch": "b", "inputs_key": "k", "flair": str(flair)}
        begun_s = time.monotonic()
        event = patient.ask({"command": "study", **fields}, wait_s)
        slowest_s = max(slowest_s, time.monotonic() - begun_s - wait_s)
        kind = "no answer" if event is None else "done" if event.name == "done" else event.content["kind"]
        is_there = (folder / f"s{number}").exists()
        answers[kind if is_there == (kind == "done") else "wrong"] += 1
    patient.worker.kill()
    return table(
        "## Cancelled at random moments",
        {
            "cancelled": count,
            "ended as cancelled, nothing written": answers["cancelled"],
            "was done before the cancel came, everything written": answers["done"],
            "anything else": count - answers["cancelled"] - answers["done"],
            "temporary folders left": len(list(folder.glob(".braintumorseg-*-*"))),
            "longest time from the cancel to the answer": f"{slowest_s:.2f} s",
        },
    )


def bad_days(folder: Path) -> str:
    """What a batch says to each fault, and whether the next call makes it whole."""
    faults: dict[str, Callable[[Path], str]] = {
        "the disk is full": _disk_full,
        "the folder for the results is read-only": _read_only,
        "the model is not there": lambda here: _told(here, load_fails=True),
        "every worker dies": lambda here: _told(here, die_at="segment"),
        "every worker runs out of memory": lambda here: _told(here, fail_at="segment"),
        "`batch.json` is damaged": _damaged_batch_file,
        "`summary.csv` was saved by Excel (semicolons, cp1252)": _excel,
    }
    lines = ["\n## Bad days\n", "| fault | what the batch said | called again without it |", "|---|---|---|"]
    for number, (name, provoke) in enumerate(faults.items()):
        here = folder / str(number)
        write_volume(here / "in" / "anna" / "flair.nii.gz")
        said = provoke(here).replace(str(here), "…").replace("|", "/")
        again = _told(here, redo="batch.json" in name)
        lines.append(f"| {name} | {said} | {again} |")
    return "\n".join(lines) + "\n"


def _told(here: Path, redo: bool = False, **slow_engine: object) -> str:
    process = start_batch(here / "in", here / "out", engine_environment(**slow_engine), redo=redo)
    event = last_event(process)
    if event["event"] == "error":
        return f"{event['message']} {event['action']}"
    with Path(event["summary"]).open(newline="", encoding="utf-8") as stream:
        (row,) = csv.DictReader(stream)
    return "done" if row["status"] == "done" else f"failed: {row['message']} {row['remedy']}"


def _disk_full(here: Path) -> str:
    out = here / "out"
    out.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40k", "none", str(out)], check=True)
    try:
        return _told(here)
    finally:
        subprocess.run(["umount", str(out)], check=True)


def _read_only(here: Path) -> str:
    out = here / "out"
    out.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,ro", "none", str(out)], check=True)
    try:
        return _told(here)
    finally:
        subprocess.run(["umount", str(out)], check=True)


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


def soak(folder: Path, count: int) -> str:
    """Studies through one real worker: what it holds after the first tenth and at the end."""
    flairs = [write_volume(folder / f"{number}_flair.nii.gz", number) for number in range(10)]
    environment = {**engine_environment(), "OMP_NUM_THREADS": "1", "TMPDIR": str(folder)}
    patient = Patient([sys.executable, "-m", "BrainTumorSegLib", "worker"], environment)
    early: dict[str, object] = {}
    failed = 0
    begun_s = time.monotonic()
    for number in range(count):
        request = {"command": "segment", "flair": str(flairs[number % 10]), "output": str(folder / "o.seg.nrrd")}
        event = patient.ask({**request, "tta": False, "gate": 0.0, "report": str(folder / "r.json")})
        failed += event is None or event.name != "done"
        if number == count // 10:
            early = _held(patient, folder)
    late = _held(patient, folder)
    minutes = (time.monotonic() - begun_s) / 60
    patient.worker.kill()
    lines = [
        "\n## Soak\n",
        f"{count} studies of 12 slices through one real worker and model in {minutes:.0f} minutes; {failed} failed.\n",
        f"| held by the worker | after {count // 10 + 1} | after {count} |",
        "|---|---|---|",
        *(f"| {name} | {early[name]} | {late[name]} |" for name in late),
    ]
    return "\n".join(lines) + "\n"


def _held(patient: Patient, folder: Path) -> dict[str, object]:
    process = psutil.Process(patient.worker.pid)
    return {
        "memory": f"{process.memory_info().rss / 2**20:.0f} MB",
        "descriptors": process.num_fds(),
        "threads": process.num_threads(),
        "temporary files": sum(1 for path in folder.iterdir() if path.name[0] == "." or path.name.startswith("tmp")),
        "workers that ended": patient.ended,
    }


def table(title: str, counts: dict[str, object]) -> str:
    """A section with one table."""
    return f"\n{title}\n\n| | |\n|---|---|\n" + "".join(f"| {name} | {value} |\n" for name, value in counts.items())


if __name__ == "__main__":
    if shutil.which("mount") is None or os.geteuid() != 0:
        sys.exit("A full disk is made by mount, which needs root on Linux.")
    main()
