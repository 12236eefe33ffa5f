"""The page as a PDF of one A4 sheet, by reportlab; whatever does not fit is drawn smaller."""

from __future__ import annotations

import io
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from BrainTumorSegLib.engine.output.page import ink
from BrainTumorSegLib.engine.output.page.content import DISCLAIMER, LESION_HEADS, PageContent
from BrainTumorSegLib.engine.output.page.strip import FONT, strip_drawing

if TYPE_CHECKING:
    from reportlab.platypus import Flowable

_MARGIN_PT = 30.0
_STRIP_PT = 92.0
_GAP_PT = 8.0
_MOST_PICTURES_PT = 300.0


def write_pdf(content: PageContent, path: Path) -> None:
    """Write the page. The document's author is whoever corrected the outline."""
    from reportlab.lib.pagesizes import A4
    from reportlab.pdfgen.canvas import Canvas
    from reportlab.platypus import KeepInFrame

    canvas = Canvas(str(path), pagesize=A4)
    canvas.setTitle("Tumour segmentation")
    canvas.setSubject(DISCLAIMER)
    canvas.setCreator("BrainTumorSeg")
    canvas.setAuthor(content.corrected_by or "BrainTumorSeg")
    width, height = A4[0] - 2 * _MARGIN_PT, A4[1] - 2 * _MARGIN_PT - 12
    page = KeepInFrame(width, height, _story(content, width), mode="shrink", vAlign="TOP")
    page.wrapOn(canvas, width, height)
    page.drawOn(canvas, _MARGIN_PT, A4[1] - _MARGIN_PT - page.height)
    canvas.setFont(FONT, 7)
    canvas.setFillColor(_colour(ink.QUIET))
    canvas.drawString(_MARGIN_PT, _MARGIN_PT - 8, _drawable(content.footer))
    canvas.save()


def _story(content: PageContent, width: float) -> list[Flowable]:
    from reportlab.platypus import Spacer

    half = (width - 2 * _GAP_PT) / 2
    lesions = _table([LESION_HEADS, *content.lesions], half, (0.13, 0.19, 0.24, 0.26, 0.18))
    more = [_text(f"And {content.more_lesions} smaller ones.")] if content.more_lesions else []
    review = [_text(content.review_words)]
    if content.to_review:
        rows = [("Slice", "Why"), *((str(number), sentence) for number, sentence in content.to_review)]
        review = [_table(rows, half, (0.12, 0.88)), Spacer(1, 2), *review]
    left = [
        *(_head("Lesions"), *([lesions, *more] if content.lesions else [_text("None.")]), Spacer(1, _GAP_PT)),
        *(_head("Made by"), _table(content.made_by, half, (0.22, 0.78), heads=False)),
    ]
    right = [
        *(_head("Look at these slices first" if content.to_review else "Review"), *review, Spacer(1, _GAP_PT)),
        *(_head("Warnings"), *(_text(each) for each in content.warnings or ("None.",))),
    ]
    return [
        _text("Tumour segmentation", 17, bold=True),
        Spacer(1, 3),
        _text(content.summary, 10.5),
        Spacer(1, 6),
        _caution(width),
        Spacer(1, _GAP_PT),
        _figures(content, width),
        Spacer(1, _GAP_PT),
        _pictures(content, width),
        Spacer(1, _GAP_PT),
        strip_drawing(content.slices, content.gate, content.marked, width, _STRIP_PT),
        Spacer(1, 4),
        _columns(left, right, half),
    ]


def _text(text: str, size: float = 7.5, *, colour: ink.Ink = ink.INK, bold: bool = False) -> Flowable:
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.platypus import Paragraph

    style = ParagraphStyle(
        f"{size}",
        fontName=f"{FONT}-Bold" if bold else FONT,
        fontSize=size,
        leading=1.28 * size,
        textColor=_colour(colour),
        splitLongWords=True,
    )
    return Paragraph(escape(_drawable(text)), style)


def _head(text: str) -> Flowable:
    return _text(text, 8, colour=ink.QUIET, bold=True)


def _caution(width: float) -> Flowable:
    from reportlab.platypus import Table

    style: list[tuple[Any, ...]] = [
        ("BACKGROUND", (0, 0), (-1, -1), _colour(ink.CAUTION_PAPER)),
        ("LINEBEFORE", (0, 0), (0, -1), 2.5, _colour(ink.DOUBT)),
        ("LEFTPADDING", (0, 0), (-1, -1), 8),
    ]
    return Table([[_text(DISCLAIMER, 8, colour=ink.CAUTION)]], colWidths=[width], style=style)


def _figures(content: PageContent, width: float) -> Flowable:
    from reportlab.platypus import Table

    cells = [[_text(value, 15, bold=True), _text(name, 7, colour=ink.QUIET)] for name, value in content.figures]
    style: list[tuple[Any, ...]] = [
        ("BACKGROUND", (0, 0), (-1, -1), _colour(ink.PAPER)),
        ("LEFTPADDING", (0, 0), (-1, -1), 8),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 6),
        ("LINEAFTER", (0, 0), (-2, -1), 5, _colour("#ffffff")),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ]
    return Table([cells], colWidths=[width / len(cells)] * len(cells), style=style)


def _pictures(content: PageContent, width: float) -> Flowable:
    from reportlab.platypus import Table

    pictures = [(content.slices_png, width if content.picture_3d_png is None else 0.67 * width)]
    if content.picture_3d_png is not None:
        pictures.append((content.picture_3d_png, 0.33 * width))
    cells = [_image(png, room - 8) for png, room in pictures]
    style: list[tuple[Any, ...]] = [
        ("BACKGROUND", (0, 0), (-1, -1), _colour("#0e1014")),
        ("ALIGN", (0, 0), (-1, -1), "CENTER"),
        ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
        *((f"{side}PADDING", (0, 0), (-1, -1), 4) for side in ("LEFT", "RIGHT", "TOP", "BOTTOM")),
    ]
    return Table([cells], colWidths=[room for _, room in pictures], style=style)


def _image(png: bytes, room_pt: float) -> Flowable:
    from PIL import Image as Pillow
    from reportlab.platypus import Image

    with Pillow.open(io.BytesIO(png)) as picture:
        width, height = picture.size
    scale = min(room_pt / width, _MOST_PICTURES_PT / height)
    return Image(io.BytesIO(png), width=scale * width, height=scale * height)


def _table(rows: Any, width: float, shares: tuple[float, ...], *, heads: bool = True) -> Flowable:
    from reportlab.platypus import Table

    cells = [
        [
            _text(cell, colour=ink.QUIET if (heads and number == 0) or (not heads and column == 0) else ink.INK)
            for column, cell in enumerate(row)
        ]
        for number, row in enumerate(rows)
    ]
    style: list[tuple[Any, ...]] = [
        ("LINEBELOW", (0, 0), (-1, -1), 0.5, _colour(ink.RULE)),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), 4),
        ("TOPPADDING", (0, 0), (-1, -1), 1.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
    ]
    return Table(cells, colWidths=[share * width for share in shares], style=style)


def _columns(left: list[Flowable], right: list[Flowable], half: float) -> Flowable:
    """Two columns of sections."""
    from reportlab.platypus import Table

    style: list[tuple[Any, ...]] = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), 0),
        ("TOPPADDING", (0, 0), (-1, -1), 4),
    ]
    return Table([[left, "", right]], colWidths=[half, 2 * _GAP_PT, half], style=style)


def _drawable(text: str) -> str:
    """The text in the letters that the PDF's own typeface has; others by their base letter, else "?"."""
    shown = []
    for letter in text:
        plain = letter if _has(letter) else unicodedata.normalize("NFKD", letter)[0]
        shown.append(plain if _has(plain) else "?")
    return "".join(shown)


def _has(letter: str) -> bool:
    try:
        letter.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True


def _colour(value: ink.Ink) -> object:
    from reportlab.lib.colors import HexColor

    return HexColor(value)
