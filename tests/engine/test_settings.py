"""Each choice is defined once; what is made from it says the same everywhere."""

from __future__ import annotations

import argparse
from dataclasses import fields

import jsonschema
import pytest

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.settings import (
    CHOICES,
    OF_RESULT,
    Choice,
    RunSettings,
    SegmentSettings,
    UsedSettings,
    settings_schema,
)


def parsed(arguments: list[str]) -> RunSettings:
    parser = argparse.ArgumentParser()
    for choice in CHOICES:
        choice.add_option(parser)
    return RunSettings.chosen(vars(parser.parse_args(arguments)))


EXAMPLES = [
    RunSettings(),
    RunSettings(threshold=0.3, gate=0.0, min_volume_ml=0.5, tta=False, model="m", device="cpu", register="off"),
    RunSettings(gate=0.2, min_volume_ml=0.0),
]


@pytest.mark.parametrize("settings", EXAMPLES)
def test_the_command_line_and_the_request_ask_for_the_same(settings: RunSettings) -> None:
    assert parsed(settings.arguments()) == settings
    assert RunSettings.chosen(settings.request()) == settings


def test_every_choice_has_its_field_and_every_field_its_choice() -> None:
    assert {each.name for each in fields(RunSettings)} == {each.name for each in CHOICES}
    assert {each.name for each in fields(SegmentSettings)} == {each.name for each in OF_RESULT}
    assert {each.name for each in fields(UsedSettings)} == {each.name for each in OF_RESULT}


@pytest.mark.parametrize("choice", [each for each in OF_RESULT if each.limits], ids=lambda each: each.name)
def test_a_value_out_of_range_is_refused_with_its_limits_by_the_program_and_the_schema(choice: Choice) -> None:
    assert choice.limits is not None
    low, high = choice.limits
    for value, is_allowed in [
        (low, choice.limits_included[0]),
        (high, choice.limits_included[1]),
        ((low + high) / 2, True),
        (low - 1, False),
        (high + 1, False),
        (float("nan"), False),
    ]:
        if is_allowed:
            choice.check(value)
        else:
            with pytest.raises(InputError, match=f"The {choice.title} is .*, but must {choice.rule}"):
                choice.check(value)
        if value == value:
            valid = jsonschema.Draft202012Validator(settings_schema()["properties"][choice.name]).is_valid(value)
            assert valid is is_allowed


def test_the_panels_limits_are_allowed() -> None:
    for choice in CHOICES:
        for value in choice.in_panel or ():
            choice.check(value)
