from __future__ import annotations

import pytest

from BrainTumorSegLib.cli.rendering import REMEDIES, rendering_errors
from BrainTumorSegLib.engine.errors import GeometryError, InputError, Remedy


@pytest.mark.parametrize("remedy", Remedy)
def test_a_remedy_is_told_with_its_option_in_the_one_line(remedy: Remedy, capsys: pytest.CaptureFixture[str]) -> None:
    with rendering_errors(debug=False) as outcome:
        raise GeometryError("T1 and FLAIR lie apart.", "Register it.", remedy)
    assert outcome.exit_code == 2
    assert capsys.readouterr().err == f"braintumorseg: T1 and FLAIR lie apart. Register it. {REMEDIES[remedy]}\n"


def test_an_error_without_remedy_ends_with_its_advice(capsys: pytest.CaptureFixture[str]) -> None:
    with rendering_errors(debug=False):
        raise InputError("The file is gone.", "Check the path.")
    assert capsys.readouterr().err == "braintumorseg: The file is gone. Check the path.\n"
