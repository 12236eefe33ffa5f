"""A result as one page, HTML or PDF by the name of the file."""

from __future__ import annotations

from pathlib import Path

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.output.page.content import PageRequest, page_content

SUFFIXES = (".html", ".pdf")


def save_page(request: PageRequest, path: Path) -> None:
    """Write the page. Raises InputError for another ending, or a name or 3D picture that can't be used."""
    check_page_name(path)
    content = page_content(request)
    if path.suffix.lower() == ".pdf":
        from BrainTumorSegLib.engine.output.page.pdf import write_pdf

        write_pdf(content, path)
    else:
        from BrainTumorSegLib.engine.output.page.html import html_page

        path.write_text(html_page(content), encoding="utf-8")


def check_page_name(path: Path) -> None:
    """Raises InputError for a name that ends in neither .html nor .pdf."""
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"The page's name {path} ends in neither .html nor .pdf.", "Choose a name such as page.pdf.")
