"""The page as one HTML file: pictures inside, no script, nothing fetched, every text escaped."""

from __future__ import annotations

import base64
from html import escape

from BrainTumorSegLib.engine.output.page import ink
from BrainTumorSegLib.engine.output.page.content import DISCLAIMER, LESION_HEADS, PageContent
from BrainTumorSegLib.engine.output.page.strip import strip_drawing

_STRIP_PT = (530.0, 96.0)

_STYLE = f"""
@page {{ size: A4; margin: 10mm }}
* {{ box-sizing: border-box }}
body {{ margin: 0 auto; max-width: 210mm; padding: 8mm 10mm; color: {ink.INK}; background: #fff;
  font: 10.5px/1.45 Helvetica, Arial, sans-serif; -webkit-print-color-adjust: exact; print-color-adjust: exact }}
h1 {{ margin: 0; font-size: 20px; font-weight: 600 }}
h2 {{ margin: 0 0 4px; font-size: 11px; font-weight: 600; color: {ink.QUIET} }}
p {{ margin: 0 }}
.summary {{ margin: 2px 0 8px; font-size: 12.5px }}
.caution {{ padding: 6px 10px; border-left: 3px solid {ink.DOUBT}; background: {ink.CAUTION_PAPER};
  color: {ink.CAUTION} }}
.figures {{ display: flex; gap: 8px; margin: 9px 0 }}
.figures div {{ flex: 1; padding: 6px 10px; background: {ink.PAPER}; color: {ink.QUIET} }}
.figures b {{ display: block; font-size: 18px; font-weight: 600; color: {ink.INK} }}
.pictures {{ display: flex; gap: 6px; align-items: center; background: #0e1014; padding: 5px }}
.pictures img {{ display: block; min-width: 0; flex: 2 }}
.pictures img + img {{ flex: 1 }}
.strip svg {{ display: block; width: 100%; height: auto; margin: 8px 0 }}
.columns {{ display: grid; grid-template-columns: 1fr 1fr; gap: 18px }}
section {{ margin-bottom: 9px }}
table {{ width: 100%; border-collapse: collapse }}
th, td {{ padding: 2.5px 6px 2.5px 0; border-bottom: 1px solid {ink.RULE}; text-align: left; vertical-align: top;
  overflow-wrap: anywhere }}
th, .facts td:first-child {{ font-weight: normal; color: {ink.QUIET} }}
.narrow td, .facts td:first-child {{ white-space: nowrap }}
footer {{ margin-top: 9px; color: {ink.QUIET} }}
"""


def html_page(content: PageContent) -> str:
    """The whole document."""
    left = [
        _section(
            "Lesions",
            _table(LESION_HEADS, content.lesions, _more(content), "narrow") if content.lesions else "<p>None.</p>",
        ),
        _section("Made by", _table((), content.made_by, "", "facts")),
    ]
    right = [
        _section("Look at these slices first" if content.to_review else "Review", _review(content)),
        _section("Warnings", "".join(f"<p>{escape(each)}</p>" for each in content.warnings) or "<p>None.</p>"),
    ]
    parts = [
        "<h1>Tumour segmentation</h1>",
        f'<p class="summary">{escape(content.summary)}</p>',
        f'<p class="caution">{escape(DISCLAIMER)}</p>',
        f'<div class="figures">{"".join(_figure(name, value) for name, value in content.figures)}</div>',
        f'<div class="pictures">{_pictures(content)}</div>',
        f'<div class="strip">{_svg(content)}</div>',
        f'<div class="columns"><div>{"".join(left)}</div><div>{"".join(right)}</div></div>',
        f"<footer>{escape(content.footer)}</footer>",
    ]
    head = f'<meta charset="utf-8"><title>Tumour segmentation</title><style>{_STYLE}</style>'
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(parts) + "\n</body></html>\n"


def _figure(name: str, value: str) -> str:
    return f"<div><b>{escape(value)}</b>{escape(name)}</div>"


def _pictures(content: PageContent) -> str:
    named = [(content.slices_png, "Axial slices with the outline"), (content.picture_3d_png, "The tumour in 3D")]
    return "".join(
        f'<img alt="{text}" src="data:image/png;base64,{base64.b64encode(picture).decode("ascii")}">'
        for picture, text in named
        if picture is not None
    )


def _svg(content: PageContent) -> str:
    """The strip, without the XML prologue that has no place inside HTML."""
    from reportlab.graphics import renderSVG

    text: str = renderSVG.drawToString(strip_drawing(content.slices, content.gate, content.marked, *_STRIP_PT))
    return text[text.index("<svg") :]


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _table(heads: tuple[str, ...], rows: tuple[tuple[str, ...], ...], below: str, kind: str = "") -> str:
    head = "".join(f"<th>{escape(each)}</th>" for each in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table class='{kind}'>{f'<tr>{head}</tr>' if head else ''}{body}</table>{below}"


def _more(content: PageContent) -> str:
    return f"<p>And {content.more_lesions} smaller ones.</p>" if content.more_lesions else ""


def _review(content: PageContent) -> str:
    rows = tuple((str(number), sentence) for number, sentence in content.to_review)
    words = f"<p>{escape(content.review_words)}</p>"
    return _table(("Slice", "Why"), rows, words) if rows else words
