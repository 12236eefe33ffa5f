"""The page for people: one sheet, everything said, nothing that tells who the patient is, every text as text."""

from __future__ import annotations

import datetime
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pypdfium2
import pytest
from PIL import Image

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.measurement.result import Result
from BrainTumorSegLib.engine.output.axis import round_ceiling
from BrainTumorSegLib.engine.output.page.content import MOST_LESIONS, PageRequest
from BrainTumorSegLib.engine.output.page.page import save_page
from BrainTumorSegLib.engine.output.report import build_report
from BrainTumorSegLib.engine.study.geometry import Volume
from result_phantoms import GRIDS, ellipsoid, phantom_result

both = pytest.mark.parametrize("ending", ["html", "pdf"])
GRID = GRIDS["oblique"]


def result(tumour: bool = True) -> Result:
    return phantom_result(GRID, ellipsoid(GRID, (4.0, -8.0, 25.0), (7.0, 12.0, 9.0)) & tumour)


def request(of: Result | None = None, **changed: object) -> PageRequest:
    found = of or result()
    base = PageRequest(build_report(found), Volume(found.study.flair, GRID), found.mask)
    return replace(base, made_on=datetime.date(2026, 1, 2), **changed)  # type: ignore[arg-type]


class _Texts(HTMLParser):
    """What a reader sees of an HTML file, and its tags."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: set[str] = set()
        self.images = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.images += tag == "img"
        assert not [name for name, _ in attrs if name.startswith("on")], "no script in an attribute"

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(path: Path) -> str:
    """The words of a page, as a reader copies them."""
    if path.suffix == ".html":
        parser = _Texts()
        parser.feed(path.read_text(encoding="utf-8"))
        assert "script" not in parser.tags
        return " ".join(" ".join(parser.texts).split())
    with pypdfium2.PdfDocument(path) as document:
        assert len(document) == 1, "one page"
        return " ".join(document[0].get_textpage().get_text_bounded().split())


def written(folder: Path, ending: str, of: PageRequest) -> str:
    path = folder / f"page.{ending}"
    save_page(of, path)
    return read(path)


@both
def test_page_says_what_was_found_by_what_and_that_it_is_no_diagnosis(tmp_path: Path, ending: str) -> None:
    found = result()
    words = written(tmp_path, ending, request(found))
    lesion = found.lesions[0]
    longest, across = lesion.axial_diameters_mm
    for expected in (
        *("Not a diagnosis. Not a medical device.", "Tumour found: 1 lesion", f"{found.volume_ml:.1f} mL"),
        *(f"{longest:.0f} × {across:.0f} mm", f"{lesion.slices[0] + 1}–{lesion.slices[1] + 1}"),
        *("lgg-resunet 1.0.0", "lgg-slices 1.2.0", "threshold 0.5", "lesions from 0.05 mL", "cpu in float32"),
        *("T1c is missing.", "No one has corrected this outline.", "2026-01-02", "Look at these slices first"),
    ):
        assert expected in words
    assert "ab" * 32 in re.sub(r"\s", "", words)
    assert found.review[0].sentence in words


@both
def test_strip_has_round_axes_and_says_what_its_marks_are(tmp_path: Path, ending: str) -> None:
    found = result()
    words = written(tmp_path, ending, request(found))
    top = round_ceiling(max(each.area_mm2 for each in found.slices))
    for expected in ("to review", "below the dashed line", f"{top:,.4g}", f"{top / 2:,.4g}"):
        assert expected in words


@both
def test_page_tells_nothing_about_the_patient(tmp_path: Path, ending: str) -> None:
    identified = phantom_result(GRID, result().mask, flair_path="/data/DOE_JANE/flair.nii.gz")
    save_page(request(identified), tmp_path / f"page.{ending}")
    content = (tmp_path / f"page.{ending}").read_bytes()
    for secret in (b"DOE_JANE", b"/data/", b"1.2.840.1"):
        assert secret not in content


@both
def test_empty_result_is_said_in_words(tmp_path: Path, ending: str) -> None:
    words = written(tmp_path, ending, request(result(tumour=False)))
    assert "No tumour found in 18 slices" in words
    assert "0 mL" in words


@both
def test_correction_names_who(tmp_path: Path, ending: str) -> None:
    words = written(tmp_path, ending, request(corrected_by="Jane Möller", reviewed=7))
    assert "Corrected by Jane Möller. 7 of 18 slices reviewed." in words


@both
def test_correction_without_a_name_is_no_untouched_outline(tmp_path: Path, ending: str) -> None:
    words = written(tmp_path, ending, request(corrected_by="  "))
    assert "Corrected by somebody who gave no name." in words


@both
def test_whatever_is_too_much_for_a_page_is_counted(tmp_path: Path, ending: str) -> None:
    base = build_report(result())
    long = "A warning that takes a whole line of the page, and then some more of the next one, without any use. "
    report = {**base, "lesions": base["lesions"] * 30, "warnings": [long * 2] * 20}
    words = written(tmp_path, ending, request(report=report))
    assert f"And {30 - MOST_LESIONS} smaller ones." in words
    assert "And 15 more, which are in the report file." in words
    assert "2026-01-02" in words, "the footer still stands"


@both
def test_markup_in_texts_stays_text(tmp_path: Path, ending: str) -> None:
    report = {**build_report(result()), "warnings": ["<script>alert(1)</script> & <b>bold</b>"]}
    words = written(tmp_path, ending, request(report=report, corrected_by="<i>Eve</i>"))
    assert "<script>alert(1)</script> & <b>bold</b>" in words
    assert "Corrected by <i>Eve</i>." in words


def test_name_in_letters_that_the_pdf_lacks_is_its_author(tmp_path: Path) -> None:
    path = tmp_path / "page.pdf"
    save_page(request(corrected_by="Ilžė Łuka Иванова"), path)
    with pypdfium2.PdfDocument(path) as document:
        assert document.get_metadata_dict()["Author"] == "Ilžė Łuka Иванова"
    assert "Corrected by Ilže ?uka ???????." in read(path)


def test_html_is_one_file_with_its_pictures(tmp_path: Path) -> None:
    Image.new("RGB", (1200, 900), "red").save(tmp_path / "3d.png")
    save_page(request(picture_3d=tmp_path / "3d.png"), tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    parser = _Texts()
    parser.feed(text)
    assert parser.images == 2
    assert "svg" in parser.tags
    assert not re.findall(r'(?:src|href)="(?!data:)', text)


def test_pdf_shows_slices_strip_and_3d_picture(tmp_path: Path) -> None:
    Image.new("RGB", (1200, 900), (250, 0, 0)).save(tmp_path / "3d.png")
    save_page(request(picture_3d=tmp_path / "3d.png"), tmp_path / "page.pdf")
    with pypdfium2.PdfDocument(tmp_path / "page.pdf") as document:
        picture = document[0].render(scale=2).to_pil().convert("RGB")
    colours = {colour for _, colour in picture.getcolors(1 << 22) or []}
    assert (250, 0, 0) in colours, "the 3D picture"
    assert (143, 180, 230) in colours, "the strip's bars"
    assert any(max(colour) < 20 for colour in colours), "the slices' black ground"


def test_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "3d.png").write_text("no picture")
    with pytest.raises(InputError, match=r"3d\.png can't be read.*Give a PNG"):
        save_page(request(picture_3d=tmp_path / "3d.png"), tmp_path / "page.html")


def test_other_endings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"page\.doc ends in neither \.html nor \.pdf.*page\.pdf"):
        save_page(request(), tmp_path / "page.doc")
