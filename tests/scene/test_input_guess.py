"""The right volumes are offered before the user chooses any."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("slicer", reason="needs real MRML: pip install slicer-core")

from BrainTumorSegLib.scene.inputGuess import guessInputs
from scene.phantomScene import addVolume


def names(guess: Any) -> tuple[str | None, ...]:
    return tuple(node.GetName() if node is not None else None for node in (guess.flair, guess.t1, guess.t1c))


@pytest.mark.parametrize(
    ("loaded", "expected"),
    [
        (["flair", "t1", "t1c"], ("flair", "t1", "t1c")),
        (
            ["5: AX T2 FLAIR", "3: AX T1 PRE", "8: AX T1 POST GD"],
            ("5: AX T2 FLAIR", "3: AX T1 PRE", "8: AX T1 POST GD"),
        ),
        (["BraTS_01_t1ce", "BraTS_01_flair", "BraTS_01_t2"], ("BraTS_01_flair", None, "BraTS_01_t1ce")),
        (["MPRAGE", "t2_tirm_tra_dark-fluid"], ("t2_tirm_tra_dark-fluid", "MPRAGE", None)),
        (["CT head", "T2"], (None, None, None)),
        ([], (None, None, None)),
    ],
    ids=["plain names", "scanner's names", "BraTS names", "Siemens names", "another study", "empty scene"],
)
def test_volumes_are_recognised_by_name(scene: Any, loaded: list[str], expected: tuple[str | None, ...]) -> None:
    assert names(guessInputs([addVolume(scene, name) for name in loaded])) == expected


def test_dicom_header_decides_where_names_say_nothing(scene: Any) -> None:
    headers = {
        "1.1": {"0008,103e": "AX IR", "0018,0082": "2200", "0018,0081": "120"},
        "1.2": {"0008,103e": "AX SE T1", "0018,0010": "Gadavist"},
    }
    nodes = []
    for uid in headers:
        node = addVolume(scene, f"{len(nodes)}: series")
        node.SetAttribute("DICOM.instanceUIDs", f"{uid} {uid}.2")
        nodes.append(node)
    guess = guessInputs(nodes, lambda uid, tag: headers[uid].get(tag, ""))
    assert (guess.flair, guess.t1, guess.t1c) == (nodes[0], None, nodes[1])


def test_t1_comes_from_the_study_of_flair(scene: Any) -> None:
    hierarchy = scene.GetSubjectHierarchyNode()
    studies = [hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), name) for name in ("old", "new")]
    oldT1, flair, newT1 = (addVolume(scene, name) for name in ("T1", "FLAIR", "T1"))
    for node, study in ((oldT1, studies[0]), (flair, studies[1]), (newT1, studies[1])):
        hierarchy.CreateItem(study, node)
    guess = guessInputs([oldT1, flair, newT1])
    assert guess.t1 is newT1


def test_labelmaps_and_own_probability_volumes_are_not_offered(scene: Any) -> None:
    label = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "FLAIR label")
    probability = addVolume(scene, "FLAIR tumour probability")
    probability.SetAttribute("BrainTumorSeg.Role", "BrainTumorSeg.Probability")
    assert names(guessInputs([label, probability])) == (None, None, None)
