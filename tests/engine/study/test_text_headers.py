"""Headers of NRRD and MetaImage files are held against what they must say before ITK sees them."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from BrainTumorSegLib.engine.errors import GeometryError, InputError
from BrainTumorSegLib.engine.study.reading import StudyPaths, read_study

VOXELS = np.random.default_rng(0).integers(0, 900, (6, 20, 24)).astype("<i2")
META = {
    "ObjectType": "Image",
    "NDims": "3",
    "BinaryData": "True",
    "BinaryDataByteOrderMSB": "False",
    "TransformMatrix": "1 0 0 0 1 0 0 0 1",
    "Offset": "-20 30 10",
    "ElementSpacing": "0.9 0.9 5.5",
    "DimSize": "24 20 6",
    "ElementType": "MET_SHORT",
}
NRRD = {
    "type": "short",
    "dimension": "3",
    "space": "left-posterior-superior",
    "sizes": "24 20 6",
    "space directions": "(0.9,0,0) (0,0.9,0) (0,0,5.5)",
    "kinds": "domain domain domain",
    "endian": "little",
    "encoding": "raw",
    "space origin": "(-20,30,10)",
}


def meta(folder: Path, **changed: str | None) -> Path:
    last = {"ElementDataFile": changed.pop("ElementDataFile", "LOCAL")}
    fields = {name: value for name, value in (META | changed | last).items() if value is not None}
    path = folder / "flair.mha"
    path.write_bytes("".join(f"{name} = {value}\n" for name, value in fields.items()).encode() + VOXELS.tobytes())
    return path


def nrrd(folder: Path, **changed: str | None) -> Path:
    changed = {name.replace("_", " "): value for name, value in changed.items()}
    fields = {name: value for name, value in (NRRD | changed).items() if value is not None}
    path = folder / "flair.nrrd"
    header = "NRRD0005\n" + "".join(f"{name}: {value}\n" for name, value in fields.items()) + "\n"
    path.write_bytes(header.encode() + VOXELS.tobytes())
    return path


@pytest.mark.parametrize("write", [meta, nrrd])
def test_a_whole_header_is_read_without_a_warning(tmp_path: Path, write: object) -> None:
    study = read_study(StudyPaths(write(tmp_path)))  # type: ignore[operator]
    np.testing.assert_array_equal(study.flair, VOXELS)
    assert study.geometry.spacing_mm == pytest.approx((0.9, 0.9, 5.5))
    assert study.geometry.origin_lps == pytest.approx((-20, 30, 10))
    assert study.warnings == ()


@pytest.mark.parametrize("spacing", ["-0.9 0.9 5.5", "0.9 0.9 -5.5", "0 0.9 5.5"])
@pytest.mark.parametrize("named", [{"write": meta, "field": "ElementSpacing"}, {"write": nrrd, "field": "spacings"}])
def test_a_spacing_that_turns_an_axis_round_is_refused(tmp_path: Path, named: dict, spacing: str) -> None:
    without = {"space_directions": None, "space": None, "space_origin": None} if named["write"] is nrrd else {}
    with pytest.raises(GeometryError, match=rf"FLAIR has a voxel spacing of {spacing.replace(' ', ' x ')} mm in "):
        read_study(StudyPaths(named["write"](tmp_path, **without, **{named["field"]: spacing})))


@pytest.mark.parametrize(
    ("first", "second", "other"),
    [("transformmatrix", "Rotation", "-1 0 0 0 1 0 0 0 1"), ("offset", "Position", "0 0 0")],
)
def test_a_meta_image_that_gives_one_thing_by_two_names_must_mean_the_same(
    tmp_path: Path, first: str, second: str, other: str
) -> None:
    same = next(value for name, value in META.items() if name.lower() == first)
    assert read_study(StudyPaths(meta(tmp_path, **{second: same}))).warnings == ()
    with pytest.raises(InputError, match=f"its header gives {first} twice, as {second.lower()} too"):
        read_study(StudyPaths(meta(tmp_path, **{second: other})))


NONSENSE = [
    {"NDims": "-1"},
    {"NDims": "0"},
    {"NDims": "11"},
    {"NDims": "1e9"},
    {"NDims": "99999999999999999999"},
    {"NDims": None},
    {"NDims": "4"},
    {"DimSize": "-24 20 6"},
    {"DimSize": "24 20"},
    {"DimSize": "24 20 inf"},
    {"DimSize": "99999999999 20 6"},
    {"ElementSpacing": "a b c"},
    {"ElementSpacing": "0.9 0.9"},
    {"Offset": "nan 0 0"},
    {"TransformMatrix": "1 0 0"},
    {"ElementNumberOfChannels": "-1"},
    {"HeaderSize": "-5"},
    {"HeaderSize": "999999999999"},
    {"DimSize": "24 20 7"},
    {"ElementDataFile": "%d.raw 1 9 1"},
    {"ElementDataFile": "%s%s%s%n"},
    {"ElementDataFile": "LIST"},
    {"ndims": "3"},
]


@pytest.mark.parametrize("changed", NONSENSE, ids=str)
def test_nonsense_in_a_meta_image_is_refused_before_itk_sees_it(
    tmp_path: Path, changed: dict[str, str | None], capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match=r"can't be read: (its header gives|it has|its data are in) "):
        read_study(StudyPaths(meta(tmp_path, **changed)))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "changed",
    [{"dimension": "x"}, {"dimension": "-1"}, {"sizes": "24 20"}, {"sizes": "24 20 -6"}, {"line_skip": "x"}],
    ids=str,
)
def test_nonsense_in_an_nrrd_header_is_refused(tmp_path: Path, changed: dict[str, str]) -> None:
    with pytest.raises(
        InputError, match=r"flair\.nrrd can't be read: its header gives .* as .*Copy or export it again"
    ):
        read_study(StudyPaths(nrrd(tmp_path, **changed)))


@pytest.mark.parametrize(
    ("write", "changed"),
    [
        (meta, {"ElementSpacing": None}),
        (nrrd, {"space_directions": None, "space_origin": None, "space": None}),
        (nrrd, {"space_directions": None, "space_origin": None, "space": None, "spacings": "0.9 nan nan"}),
    ],
    ids=["MetaImage", "NRRD", "NRRD with holes"],
)
def test_voxels_without_a_size_are_refused(tmp_path: Path, write: object, changed: dict[str, str | None]) -> None:
    with pytest.raises(GeometryError, match=r"does not say how large a voxel is.*save the image with its spacing"):
        read_study(StudyPaths(write(tmp_path, **changed)))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("write", "changed", "taken"),
    [
        (meta, {"TransformMatrix": None}, "as axial slices"),
        (meta, {"Offset": None}, "Its axes are kept"),
        (nrrd, {"space": "scanner-xyz"}, "Its axes are kept"),
        (nrrd, {"space_origin": None}, "Its axes are kept"),
        (
            nrrd,
            {"space_directions": None, "space_origin": None, "space": None, "spacings": "0.9 0.9 5.5"},
            "as axial slices",
        ),
    ],
)
def test_a_header_that_does_not_say_how_it_lies_is_a_warning(
    tmp_path: Path, write: object, changed: dict[str, str | None], taken: str
) -> None:
    study = read_study(StudyPaths(write(tmp_path, **changed)))  # type: ignore[operator]
    np.testing.assert_array_equal(study.flair, VOXELS)
    assert [warning[:46] for warning in study.warnings] == ["FLAIR's header does not say how the image lies"]
    assert taken in study.warnings[0]


@pytest.mark.parametrize(
    ("write", "changed"), [(meta, {"ElementType": "MET_FOO"}), (nrrd, {"type": "block"}), (nrrd, {"type": None})]
)
def test_types_that_are_not_supported_are_not_called_damaged(
    tmp_path: Path, write: object, changed: dict[str, str | None]
) -> None:
    with pytest.raises(InputError, match=r"FLAIR has voxels of a type that is not supported .*16-bit integers"):
        read_study(StudyPaths(write(tmp_path, **changed)))  # type: ignore[operator]


def test_random_damage_to_headers_never_ends_the_process(tmp_path: Path) -> None:
    """600 headers with changed bytes, read one after the other in one process."""
    paths = []
    for seed in range(600):
        chance = random.Random(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        path = meta(folder) if seed % 2 else nrrd(folder)
        data = bytearray(path.read_bytes())
        for _ in range(chance.choice([1, 2, 5])):
            data[chance.randrange(len(data) - VOXELS.nbytes)] = chance.choice(
                [*b"-0919. xX\n=:%", chance.randrange(256)]
            )
        path.write_bytes(data)
        paths.append(str(path))
    code = (
        "import sys; from pathlib import Path; from BrainTumorSegLib.engine.errors import InputError\n"
        "from BrainTumorSegLib.engine.study.reading import StudyPaths, read_study\n"
        "for line in sys.stdin:\n"
        "    try: read_study(StudyPaths(Path(line.strip())))\n"
        "    except InputError: pass\n"
        "print('end')"
    )
    run = subprocess.run([sys.executable, "-c", code], input="\n".join(paths), capture_output=True, text=True)
    assert run.stdout == "end\n", run.stderr
