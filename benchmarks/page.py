"""The measured parts of a page of the documentation, each between two comments that name it."""

from __future__ import annotations

import re
from pathlib import Path


def replace_part(page: Path, name: str, text: str) -> None:
    """Puts the text between ``<!-- NAME -->`` and ``<!-- /NAME -->``. Raises ValueError for a page without these."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    old = page.read_text(encoding="utf-8")
    new, found = re.subn(f"{begin}.*?{end}", lambda _: f"{begin}\n{text}\n{end}", old, flags=re.DOTALL)
    if not found:
        raise ValueError(f"{page} has no part {name}: it needs the lines {begin} and {end}.")
    page.write_text(new, encoding="utf-8")


def table(header: list[str], rows: list[list[str]]) -> str:
    """Markdown."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *rows))
