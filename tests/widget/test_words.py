"""The panel says what a clinician can do in it, never what only a shell has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from BrainTumorSegLib.engine.errors import BrainTumorSegError, ModelError
from BrainTumorSegLib.engine.models.index import parse_index
from BrainTumorSegLib.engine.models.store import ModelStore
from model_server import make_entry

SHELL = re.compile(r"`|BRAINTUMORSEG_|--[a-z]")


@pytest.fixture
def words(shell: Any) -> Any:
    from BrainTumorSegLib.widget import words

    return words


@pytest.mark.parametrize(
    ("advice", "said"),
    [
        ("Run `braintumorseg models download lgg` (4.6 MB), or import its file lgg.zip again.", ""),
        (
            "Choose one of these, or auto; `braintumorseg doctor` tells why a GPU is not seen.",
            "Choose one of these, or auto.",
        ),
        ("Free some space there, or set BRAINTUMORSEG_HOME to a folder on another disk.", "Free some space there."),
        (
            "Check the network. Or get lgg.zip another way and run `braintumorseg models import FILE`, or set "
            "BRAINTUMORSEG_MIRROR to an address or a folder that has it.",
            "Check the network.",
        ),
        (
            "Choose another folder, or have all of them done again (--redo, in Python resume=False).",
            "Choose another folder, or have all of them done again.",
        ),
        ("Choose a scalar volume as FLAIR (one grey value).", "Choose a scalar volume as FLAIR (one grey value)."),
        ("", ""),
    ],
)
def test_advice_keeps_what_can_be_done_here(words: Any, advice: str, said: str) -> None:
    assert words.inPanel(advice) == said


def errors_of(tmp_path: Path) -> list[BrainTumorSegError]:
    """What the store of models says in its troubles."""
    entry = make_entry("net", b"weights", default=True)
    store = ModelStore(parse_index({"schema": 1, "models": [entry]}), tmp_path / "home", None, str(tmp_path / "none"))
    found: list[BrainTumorSegError] = []
    damaged = tmp_path / "home" / "models" / "net-1.0.0.zip"

    def collect(action: Any) -> None:
        with pytest.raises(ModelError) as raised:
            action()
        found.append(raised.value)

    collect(store.path)
    collect(store.download)
    damaged.parent.mkdir(parents=True, exist_ok=True)
    damaged.write_bytes(b"damaged")
    collect(store.path)
    return found


def test_no_trouble_with_models_sends_a_clinician_to_a_shell(words: Any, tmp_path: Path) -> None:
    from BrainTumorSegLib.jobs.activity import failureOf

    errors = errors_of(tmp_path)
    assert len(errors) == 3
    for error in errors:
        text = words.failureText(failureOf(error))
        assert not SHELL.search(text), text
        assert "'Import file...' under 'Models'" in text


def test_long_notes_take_a_line_each_until_asked_for(panel: Any) -> None:
    notes = [
        "T1 lies 17 mm beside FLAIR and covers only a third of it; it was left out of the result.",
        "T1c is missing.",
    ]
    panel.controller._segmentPanel.showText("Tumour found.", notes)
    shown = panel.ui.notesLabel.text.splitlines()
    assert len(shown) == 2
    assert all(len(line) <= 52 for line in shown)
    assert shown[1] == "T1c is missing."
    panel.ui.notesButton.click()
    assert panel.ui.notesLabel.text.splitlines() == notes
    panel.controller._segmentPanel.showText("Next.")
    assert panel.ui.notesLabel.text == ""
