"""Where the files that come with the code are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from BrainTumorSegLib.engine.errors import DefectError
from BrainTumorSegLib.engine.resources import resource


@pytest.mark.parametrize("place", ["Resources", "BrainTumorSegLib/Resources"], ids=["module", "wheel"])
def test_a_resource_is_found_beside_the_library_and_inside_it(tmp_path: Path, place: str) -> None:
    library = tmp_path / "BrainTumorSegLib"
    with pytest.raises(DefectError, match=r"it has no Resources/Models\.json\. Install it again"):
        resource("Models.json", library)
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / place / "Models.json").touch()
    assert resource("Models.json", library) == tmp_path / place / "Models.json"
