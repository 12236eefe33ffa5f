"""Files appear whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from BrainTumorSegLib.engine.errors import BrainTumorSegError, Cancelled, OutputError
from BrainTumorSegLib.engine.files import atomic_path, atomic_paths, check_writable, publish


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_only_when_the_block_has_ended(tmp_path: Path) -> None:
    target = tmp_path / "scores.json"
    with atomic_path(target) as temporary:
        temporary.write_text("[1]")
        assert not target.exists()
        assert temporary.parent == target.parent
    assert target.read_text() == "[1]"
    assert names_in(tmp_path) == ["scores.json"]


@pytest.mark.parametrize("name", ["mask.seg.nrrd", "flair.nii.gz", "report.json", "plain"])
def test_the_temporary_name_ends_as_the_target_does(tmp_path: Path, name: str) -> None:
    with atomic_path(tmp_path / name) as temporary:
        assert temporary.suffixes == Path(name).suffixes
        temporary.touch()


@pytest.mark.parametrize(
    "reason", [ValueError("x"), Cancelled(), KeyboardInterrupt()], ids=["error", "cancel", "ctrl-c"]
)
def test_what_stops_the_block_leaves_the_earlier_file_and_nothing_else(tmp_path: Path, reason: BaseException) -> None:
    target = tmp_path / "mask.nrrd"
    target.write_text("earlier")
    with pytest.raises(type(reason)), atomic_path(target) as temporary:  # noqa: PT012 - the block is what is tested
        temporary.write_text("half")
        raise reason
    assert target.read_text() == "earlier"
    assert names_in(tmp_path) == ["mask.nrrd"]


def test_a_file_has_the_permissions_that_the_user_wants_for_new_files(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a.txt") as temporary:
        temporary.touch()
    (tmp_path / "b.txt").touch()
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "b.txt").stat().st_mode


def test_a_symbolic_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    real, link = tmp_path / "there" / "mask.nrrd", tmp_path / "link.nrrd"
    real.write_text("earlier")
    link.symlink_to(real)
    with atomic_path(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert real.read_text() == "new"


def test_several_files_appear_together(tmp_path: Path) -> None:
    targets = [tmp_path / "a.nrrd", tmp_path / "b.json"]
    targets[1].write_text("earlier")
    with atomic_paths(targets) as temporaries:
        for number, temporary in enumerate(temporaries):
            temporary.write_text(f"new {number}")
        assert not targets[0].exists()
        assert targets[1].read_text() == "earlier"
    assert [target.read_text() for target in targets] == ["new 0", "new 1"]
    assert names_in(tmp_path) == ["a.nrrd", "b.json"]


def test_a_rename_that_fails_takes_those_before_it_back(tmp_path: Path) -> None:
    old, fresh, blocked = tmp_path / "old.nrrd", tmp_path / "fresh.nrrd", tmp_path / "blocked.nrrd"
    old.write_text("earlier")
    with pytest.raises(OutputError, match=r"blocked\.nrrd: it is a folder.*Give the name"):  # noqa: PT012, SIM117
        with atomic_paths([old, fresh, blocked]) as temporaries:
            for temporary in temporaries:
                temporary.write_text("new")
            # Made after the first check, as another program could: replacing it by a file must fail.
            blocked.mkdir()
    assert old.read_text() == "earlier"
    assert not fresh.exists()
    assert names_in(tmp_path) == ["blocked.nrrd", "old.nrrd"]


def test_two_outputs_with_one_path_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="same path.*its own file name"):  # noqa: SIM117
        with atomic_paths([tmp_path / "a.nrrd", tmp_path / "x" / ".." / "a.nrrd"]):
            pytest.fail("the block must not run")


def test_a_missing_folder_is_named_before_anything_is_computed(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"the folder .*nowhere does not exist.*Create the folder"):  # noqa: SIM117
        with atomic_path(tmp_path / "nowhere" / "mask.nrrd"):
            pytest.fail("the block must not run")


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"the folder .*file is not a folder.*choose another"):
        check_writable(tmp_path / "file" / "mask.nrrd")


def test_a_folder_in_the_place_of_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"it is a folder.*Give the name of a file"):
        check_writable(tmp_path)


def test_no_permission_is_said_with_a_way_out(forbidden_folder: Path) -> None:
    with pytest.raises(OutputError, match=r"no permission.*Choose a folder in which you may write"):
        check_writable(forbidden_folder / "mask.nrrd")


def test_a_full_disk_is_said_and_leaves_the_earlier_file(small_disk: Path) -> None:
    target = small_disk / "mask.bin"
    target.write_bytes(b"earlier")
    with pytest.raises(OutputError, match=r"the disk is full.*Free some space"), atomic_path(target) as temporary:
        temporary.write_bytes(bytes(512 * 1024))
    assert target.read_bytes() == b"earlier"
    assert names_in(small_disk) == ["mask.bin"]


@pytest.mark.parametrize("suffix", [".nrrd", ".seg.nrrd", ".nii.gz", ".mha"])
@pytest.mark.parametrize("compress", [True, False], ids=["compressed", "plain"])
def test_a_full_disk_is_said_when_itk_writes(small_disk: Path, suffix: str, compress: bool) -> None:
    noise = np.random.default_rng(0).integers(0, 2**16, (64, 64, 64), dtype=np.uint16)
    image = sitk.GetImageFromArray(noise)
    with pytest.raises(OutputError, match=r"the disk is full.*Free some space"):  # noqa: SIM117
        with atomic_path(small_disk / f"mask{suffix}") as temporary:
            sitk.WriteImage(image, str(temporary), useCompression=compress)
    assert names_in(small_disk) == []


def test_an_error_of_another_kind_is_not_taken_for_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="unrelated"), atomic_path(tmp_path / "mask.nrrd"):
        raise RuntimeError("unrelated")


def test_a_block_that_writes_nothing_is_a_defect(tmp_path: Path) -> None:
    with pytest.raises(BrainTumorSegError, match="Nothing was written.*please report"), atomic_path(tmp_path / "a.txt"):
        pass
    assert names_in(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="links and names as Unix has them")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("x" * 300, "File name too long"),
        ("circle", "Too many levels of symbolic links"),
        (os.fsdecode("Müller.nrrd".encode("latin-1")), r"M\\xfcller.nrrd: its name is in another character set"),
    ],
    ids=["too long", "circle", "latin-1"],
)
def test_a_name_that_can_not_be_one_is_told_before_the_work(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(OutputError, match=said):
        check_writable(tmp_path / name)
    with pytest.raises(OutputError, match=said), atomic_path(tmp_path / name):
        pytest.fail("the block must not run")
    assert names_in(tmp_path) == ["circle"]


def test_a_long_name_still_gets_a_temporary_one(tmp_path: Path) -> None:
    target = tmp_path / f"{'n' * 240}.seg.nrrd"
    with atomic_path(target) as temporary:
        temporary.touch()
    assert names_in(tmp_path) == [target.name]


def test_a_complete_file_can_be_published_over_an_earlier_one(tmp_path: Path) -> None:
    part, target = tmp_path / "model.part", tmp_path / "model.zip"
    part.write_text("new")
    target.write_text("earlier")
    publish(part, target)
    assert target.read_text() == "new"
    assert names_in(tmp_path) == ["model.zip"]
