"""What headers say that a series is: real FLAIRs in every spelling stay FLAIRs, other sequences are named."""

from __future__ import annotations

import itertools

import pytest

from BrainTumorSegLib.engine.study.roles import Role
from BrainTumorSegLib.engine.study.sequences import (
    ECHO_TIME,
    IMAGE_TYPE,
    INVERSION_TIME,
    PROTOCOL_NAME,
    REPETITION_TIME,
    SCANNING_SEQUENCE,
    SERIES_DESCRIPTION,
    contradiction,
    is_volume,
    role_of,
)

TAGS = {
    "description": "0008|103e",
    "protocol": "0018|1030",
    "image_type": "0008|0008",
    "agent": "0018|0010",
    "sequence": "0018|0020",
    "tr": "0018|0080",
    "te": "0018|0081",
    "ti": "0018|0082",
}
FLAIRS = (
    *("FLAIR", "T2 FLAIR", "T2_FLAIR", "t2flair", "T2W-FLAIR", "eT2W_FLAIR", "FLAIR T2", "CUBE T2 FLAIR FS"),
    *("t2_tirm_tra_dark-fluid", "t2_spc_da-fl_sag_p2_iso", "t2_space_dark_fluid", "tirm_tra", "IR_TSE", "IR FSE"),
    *("3D_Brain_VIEW_FLAIR_SHC", "FLAIR_longTR", "T2 FLR", "t2_blade_dark_fl_fs", "T2 FLAIR PROPELLER", "VISTA FLAIR"),
)
T1S = ("T1", "t1_mprage_sag_iso", "BRAVO", "3D SPGR", "T1W_3D_TFE", "T1 FLAIR", "t1_tirm_tra_dark-fluid", "T1 VIBE FS")
OTHERS = {
    "T2": ("T2", "T2 FSE", "t2_tse_tra", "T2W_TSE", "T2 PROPELLER", "eT2W"),
    "diffusion": ("DWI", "DWI b1000", "DTI 32 dir", "ep2d_diff_3scan"),
    "perfusion": ("Perfusion DSC", "pCASL", "perf_DCE"),
    "functional MR": ("BOLD", "fMRI fingers"),
    "susceptibility-weighted": ("SWI", "SWAN", "GRE HEMO"),
    "an angiogram": ("TOF 3D", "MRA"),
    "cisternography": ("CISS 3D", "FIESTA-C"),
    "proton density": ("PD", "PDW TSE"),
}
BEFORE = ("", "AX ", "Sag_", "cor-", "3D ", "BRAIN: ", "1.2 ")
BEHIND = ("", " 5mm", "_post", " +C", " FS", " (repeat)", "_ND")


def spelled(words: tuple[str, ...]) -> list[str]:
    whole = [before + word + behind for before, word, behind in itertools.product(BEFORE, words, BEHIND)]
    return [form for text in whole for form in (text, text.lower(), text.upper())]


@pytest.mark.parametrize("tag", [SERIES_DESCRIPTION, PROTOCOL_NAME], ids=["description", "protocol"])
def test_a_flair_is_a_flair_in_every_spelling(tag: str) -> None:
    for text in spelled(FLAIRS):
        assert role_of({tag: text}) is Role.FLAIR, text
        assert contradiction({tag: text}, Role.FLAIR) is None, text


def test_a_flair_is_none_of_the_others() -> None:
    for text in spelled(FLAIRS):
        assert contradiction({SERIES_DESCRIPTION: text}, Role.T1) == "FLAIR", text


def test_a_t1_is_a_t1_in_every_spelling_and_no_flair() -> None:
    for text in spelled(T1S):
        assert role_of({SERIES_DESCRIPTION: text}) in (Role.T1, Role.T1C), text
        assert contradiction({SERIES_DESCRIPTION: text}, Role.FLAIR) in ("T1", "T1 with contrast"), text
        assert contradiction({SERIES_DESCRIPTION: text}, Role.T1C) is None, text


@pytest.mark.parametrize("name", OTHERS)
def test_another_sequence_is_refused_by_its_name(name: str) -> None:
    for text in spelled(OTHERS[name]):
        assert role_of({SERIES_DESCRIPTION: text}) is None, text
        for role in Role:
            assert contradiction({SERIES_DESCRIPTION: text}, role) == name, text


@pytest.mark.parametrize("text", ["", "REST1", "patient1", "head", "Serie 4", "Brain t20", "opt2mised"])
def test_words_that_say_nothing_refuse_nothing(text: str) -> None:
    tags = {SERIES_DESCRIPTION: text}
    assert role_of(tags) is None
    assert all(contradiction(tags, role) is None for role in Role)


def test_a_t2_whose_inversion_nulls_fluid_is_a_flair() -> None:
    tags = {SERIES_DESCRIPTION: "t2_spc_ir", INVERSION_TIME: "1800", ECHO_TIME: "390", REPETITION_TIME: "5000"}
    assert role_of(tags) is Role.FLAIR
    assert contradiction(tags, Role.FLAIR) is None


def test_the_description_counts_more_than_the_protocol_of_the_whole_examination() -> None:
    assert role_of({SERIES_DESCRIPTION: "AX T2", PROTOCOL_NAME: "BRAIN FLAIR T1 T2"}) is None
    assert role_of({SERIES_DESCRIPTION: "AX FLAIR", PROTOCOL_NAME: "T1 BRAIN"}) is Role.FLAIR
    assert contradiction({SERIES_DESCRIPTION: "AX", PROTOCOL_NAME: "BRAIN T1 T2 DWI"}, Role.FLAIR) is None


def test_acquisition_parameters_refuse_where_words_say_nothing() -> None:
    t1 = {SCANNING_SEQUENCE: "SE", REPETITION_TIME: "550", ECHO_TIME: "14"}
    assert contradiction(t1, Role.FLAIR) == "T1"
    flair = {INVERSION_TIME: "2500", ECHO_TIME: "120", REPETITION_TIME: "9000"}
    assert contradiction(flair, Role.T1) == "FLAIR"
    assert contradiction(flair, Role.FLAIR) is None


@pytest.mark.parametrize(
    ("image_type", "usable"),
    [
        ("ORIGINAL\\PRIMARY\\M\\ND", True),
        ("ORIGINAL\\PRIMARY\\M_IR\\M\\IR", True),
        ("DERIVED\\SECONDARY\\REFORMATTED", True),
        ("ORIGINAL\\PRIMARY\\P\\ND", False),
        ("ORIGINAL\\PRIMARY\\PHASE MAP\\P\\SE", False),
        ("ORIGINAL\\PRIMARY\\R_IR\\R\\IR", False),
        ("ORIGINAL\\PRIMARY\\M\\ND\\MOSAIC", False),
        ("ORIGINAL\\PRIMARY\\LOCALIZER\\M", False),
        ("DERIVED\\PRIMARY\\DIFFUSION\\ADC", False),
        ("DERIVED\\SECONDARY\\PROJECTION IMAGE", False),
    ],
)
def test_image_types_tell_volumes_from_maps_and_phases(image_type: str, usable: bool) -> None:
    assert is_volume({IMAGE_TYPE: image_type, SERIES_DESCRIPTION: "FLAIR"}) is usable


HINTS = [
    ({"description": "AX FLAIR"}, Role.FLAIR),
    ({"description": "t2_tirm_tra_dark-fluid_3mm"}, Role.FLAIR),
    ({"description": "Sag CUBE T2 FLAIR", "agent": "GADAVIST"}, Role.FLAIR),
    ({"description": "AX FLAIR POST"}, Role.FLAIR),
    ({"protocol": "FLAIR_longTR"}, Role.FLAIR),
    ({"sequence": "SE\\IR", "ti": "2250", "te": "125", "tr": "9000"}, Role.FLAIR),
    ({"description": "AX T1 FLAIR", "ti": "860", "te": "22"}, Role.T1),
    ({"description": "T1W/T2 FLAIR brain", "ti": "2500", "te": "120"}, Role.FLAIR),
    ({"description": "AX T1 PRE GD"}, Role.T1),
    ({"description": "t1_mprage_sag_iso"}, Role.T1),
    ({"description": "Ax T1 without contrast"}, Role.T1),
    ({"description": "T1 SE nativ"}, Role.T1),
    ({"sequence": "SE", "tr": "550", "te": "14"}, Role.T1),
    ({"sequence": "GR\\IR", "ti": "900", "te": "3", "tr": "2000"}, Role.T1),
    ({"description": "AX T1 POST GD"}, Role.T1C),
    ({"description": "AX T1 +C"}, Role.T1C),
    ({"description": "Ax T1 C+"}, Role.T1C),
    ({"description": "t1_se_tra_KM"}, Role.T1C),
    ({"description": "T1Gd"}, Role.T1C),
    ({"description": "t1ce"}, Role.T1C),
    ({"description": "SPGR", "agent": "10ml Magnevist"}, Role.T1C),
    ({"description": "AX T1", "agent": "NONE"}, Role.T1),
    ({"description": "AX T2 FSE", "te": "100", "tr": "4000"}, None),
    ({"description": "DWI b1000"}, None),
    ({"description": "ADC (FLAIR DWI)"}, None),
    ({"description": "FLAIR localizer"}, None),
    ({"description": "T1 MIP"}, None),
    ({"description": "T1", "image_type": "DERIVED\\SECONDARY\\PROJECTION IMAGE"}, None),
    ({"description": "Perfusion DSC"}, None),
    ({}, None),
]


@pytest.mark.parametrize(("hints", "role"), HINTS, ids=[" ".join(hints.values()) or "nothing" for hints, _ in HINTS])
def test_header_tells_the_sequence(hints: dict[str, str], role: Role | None) -> None:
    assert role_of({TAGS[name]: value for name, value in hints.items()}) is role
