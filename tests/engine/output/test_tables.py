from __future__ import annotations

import csv
from pathlib import Path

import pytest

from BrainTumorSegLib.engine.output.report import build_report
from BrainTumorSegLib.engine.output.tables import LESION_COLUMNS, SLICE_COLUMNS, save_lesions, save_slices
from result_phantoms import GRIDS, ellipsoid, phantom_result

GRID = GRIDS["oblique"]
RESULT = phantom_result(
    GRID, ellipsoid(GRID, (4.0, -8.0, 25.0), (7.0, 9.0, 9.0)) | ellipsoid(GRID, (18.0, 4.0, 14.0), (3.0, 3.0, 3.0))
)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_lesions_are_those_of_the_result(tmp_path: Path) -> None:
    save_lesions(build_report(RESULT), tmp_path / "lesions.csv")
    found = rows(tmp_path / "lesions.csv")
    assert len(found) == len(RESULT.lesions) == 2
    assert set(found[0]) == set(LESION_COLUMNS)
    for row, lesion in zip(found, RESULT.lesions, strict=True):
        assert float(row["volume_ml"]) == pytest.approx(lesion.volume_ml, abs=1e-3)
        assert float(row["centroid_s_mm"]) == pytest.approx(lesion.centroid_ras[2], abs=1e-3)
        assert (int(row["first_slice"]), int(row["last_slice"])) == tuple(n + 1 for n in lesion.slices)


def test_slices_are_in_order_with_rank_and_reason(tmp_path: Path) -> None:
    save_slices(build_report(RESULT), tmp_path / "slices.csv")
    found = rows(tmp_path / "slices.csv")
    assert set(found[0]) == set(SLICE_COLUMNS)
    assert [int(row["slice"]) for row in found] == list(range(1, len(RESULT.slices) + 1))
    ranks = {int(row["review_rank"]): int(row["slice"]) - 1 for row in found}
    assert [ranks[rank] for rank in sorted(ranks)] == [need.index for need in RESULT.review]
    by_index = {need.index: need.sentence for need in RESULT.review}
    assert all(row["review_sentence"] == by_index[int(row["slice"]) - 1] for row in found)


def test_no_lesion_gives_the_head_alone(tmp_path: Path) -> None:
    save_lesions(build_report(phantom_result(GRID, RESULT.mask & False)), tmp_path / "lesions.csv")
    assert (tmp_path / "lesions.csv").read_text(encoding="utf-8").strip() == ",".join(LESION_COLUMNS)
