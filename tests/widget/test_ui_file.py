"""The .ui itself: what Slicer's own loader and the parameter node will find in it."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

UI = Path(__file__).parents[2] / "BrainTumorSeg" / "Resources" / "UI" / "BrainTumorSeg.ui"

# The design's names, and the class that Slicer's parameter-node connectors ask for, exactly.
DESIGN = {
    "flairSelector": "qMRMLNodeComboBox",
    "t1Selector": "qMRMLNodeComboBox",
    "t1cSelector": "qMRMLNodeComboBox",
    "segmentationSelector": "qMRMLNodeComboBox",
    "segmentButton": "QPushButton",
    "progressBar": "QProgressBar",
    "statusLabel": "QLabel",
    "deviceComboBox": "QComboBox",
    "modelComboBox": "QComboBox",
    "gateCheckBox": "QCheckBox",
    "thresholdSlider": "ctkSliderWidget",
    "editButton": "QPushButton",
    "show3DButton": "QPushButton",
    "previousSliceButton": "QPushButton",
    "nextSliceButton": "QPushButton",
    "measurementsTable": "QTableWidget",
    "exportButton": "QPushButton",
}


@pytest.fixture(scope="module")
def root() -> ElementTree.Element:
    return ElementTree.parse(UI).getroot()


def widgets(root: ElementTree.Element) -> dict[str, ElementTree.Element]:
    return {each.get("name", ""): each for each in root.iter("widget")}


def property_of(widget: ElementTree.Element, name: str) -> str | None:
    found = widget.find(f"property[@name='{name}']/*")
    return None if found is None else found.text


@pytest.mark.parametrize("name", DESIGN)
def test_the_designs_widgets_are_there(root: ElementTree.Element, name: str) -> None:
    assert widgets(root)[name].get("class") == DESIGN[name]


def test_names_are_unique(root: ElementTree.Element) -> None:
    names = [each.get("name") for each in root.iter("widget")]
    assert len(names) == len(set(names))


def test_every_node_selector_gets_the_scene(root: ElementTree.Element) -> None:
    selectors = {name for name, each in widgets(root).items() if each.get("class") == "qMRMLNodeComboBox"}
    connections = root.findall("connections/connection")
    assert {each.findtext("receiver") for each in connections} == selectors
    for each in connections:
        assert each.findtext("sender") == root.findtext("class")
        assert each.findtext("signal") == "mrmlSceneChanged(vtkMRMLScene*)"
        assert each.findtext("slot") == "setMRMLScene(vtkMRMLScene*)"


def test_every_custom_class_is_declared(root: ElementTree.Element) -> None:
    used = {each.get("class", "") for each in root.iter("widget")}
    declared = {each.findtext("class") for each in root.iter("customwidget")}
    assert {name for name in used if not name.startswith("Q")} == declared


def test_every_parameter_has_one_widget(root: ElementTree.Element, module: object) -> None:
    from BrainTumorSegLib.widget.parameters import BrainTumorSegParameterNode

    bound = [property_of(each, "SlicerParameterName") for each in widgets(root).values()]
    bound = [name for name in bound if name]
    assert len(bound) == len(set(bound))
    # The model's choices come from the index, so modelChoice.py binds it.
    parameters = {name for name, what in vars(BrainTumorSegParameterNode).items() if isinstance(what, property)}
    assert parameters - set(bound) == {"model"}


def test_every_button_and_field_explains_itself(root: ElementTree.Element) -> None:
    kinds = ("QPushButton", "QCheckBox", "QComboBox", "qMRMLNodeComboBox", "ctkSliderWidget", "QDoubleSpinBox")
    silent = [name for name, each in widgets(root).items() if each.get("class") in kinds]
    assert [name for name in silent if not property_of(widgets(root)[name], "toolTip")] == []


def test_a_table_that_fits_its_contents_asks_for_no_width(root: ElementTree.Element) -> None:
    """In a ctkCollapsibleButton it asks for 14 px more at each layout, and the window grows without end."""
    for name, each in widgets(root).items():
        if each.get("class") == "QTableWidget" and property_of(each, "sizeAdjustPolicy") is not None:
            policy = each.find("property[@name='sizePolicy']/sizepolicy")
            assert policy is not None, name
            assert policy.get("hsizetype") == "Ignored", name


@pytest.mark.parametrize("width", [372, 388, 900])
def test_the_panel_keeps_its_width_however_often_it_is_laid_out(shell: Any, panel: Any, width: int) -> None:
    for section in ("inputs", "outputs", "advanced", "result", "review", "more", "batch", "models", "computer"):
        getattr(panel.ui, f"{section}CollapsibleButton").collapsed = False
    panel.controller.update()
    shell.parent.resize(width, 1100)
    for _ in range(200):
        # Slicer's module panel gives its content the width that it asks for, when that is more than it has.
        wanted = max(shell.parent.width(), shell.parent.layout().minimumSize().width())
        shell.parent.resize(wanted, 1100)
        shell.app.processEvents()
    assert shell.parent.width() == width


def test_no_section_that_is_opened_asks_for_more_width_than_the_panel_has(
    panel: Any, root: ElementTree.Element
) -> None:
    """Slicer makes its panel as wide as what is open in it asks for, and so the views narrower at each opening."""
    width = root.findtext("widget/property[@name='minimumSize']/size/width")
    for section in ("inputs", "outputs", "advanced", "result", "review", "more", "batch", "models", "computer"):
        getattr(panel.ui, f"{section}CollapsibleButton").collapsed = False
    panel.controller.update()
    assert panel.ui.inputsCollapsibleButton.parent().layout().minimumSize().width() <= int(width or 0)


@pytest.mark.parametrize("name", ["computerStatusLabel", "modelsStatusLabel", "batchStatusLabel", "notesLabel"])
def test_a_line_that_says_nothing_takes_no_room(panel: Any, name: str) -> None:
    """An empty one left a gap above what follows."""
    label = getattr(panel.ui, name)
    assert not label.text
    assert not label.isVisibleTo(label.parent())


def test_a_long_name_without_a_gap_does_not_widen_the_panel(root: ElementTree.Element) -> None:
    """In a real Slicer the name of a written file did."""
    labels = [each for each in widgets(root).values() if each.get("class") == "QLabel" and each.get("name")]
    wrapped = [each for each in labels if property_of(each, "wordWrap") == "true"]
    assert {"statusLabel", "notesLabel", "modelsStatusLabel"} <= {each.get("name") for each in wrapped}
    for each in wrapped:
        policy = each.find("property[@name='sizePolicy']/sizepolicy")
        assert policy is not None, each.get("name")
        assert policy.get("hsizetype") == "Ignored", each.get("name")
