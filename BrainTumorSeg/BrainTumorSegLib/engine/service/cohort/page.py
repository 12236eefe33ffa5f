"""``summary.html``: the studies of a batch with their pictures, in one file that opens without a server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import quote

from BrainTumorSegLib.engine.files import atomic_path
from BrainTumorSegLib.engine.service.cohort.rows import DONE, StudyRow
from BrainTumorSegLib.engine.service.cohort.task import REPORT_NAME, THUMBNAIL_NAME

PAGE_NAME = "summary.html"

_HEADINGS = ("", "Study", "Status", "Volume (mL)", "Lesions", "Longest (mm)", "Seconds", "Message", "Made by")

_BEGIN = Template("""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>BrainTumorSeg: summary</title>
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src 'self' file:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width"><style>
body { font: 15px/1.4 system-ui, sans-serif; margin: 1.5rem; color: #1c2128; background: #fff; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .4rem .6rem; text-align: left; vertical-align: top; border-bottom: 1px solid #d9dde2; }
th { position: sticky; top: 0; background: #f3f5f7; white-space: nowrap; }
th button { font: inherit; font-weight: 600; border: 0; background: none; padding: 0; cursor: pointer; }
th[aria-sort=ascending] button::after { content: " \\25B2"; }
th[aria-sort=descending] button::after { content: " \\25BC"; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
td img { width: 120px; display: block; background: #0e1014; }
tr.failed td { background: #fdf1ef; }
td.small { font-size: .8rem; color: #59636e; overflow-wrap: anywhere; }
input { font: inherit; padding: .3rem .5rem; width: min(100%, 24rem); margin-bottom: 1rem; }
</style></head><body>
<h1>BrainTumorSeg: summary of a batch</h1>
<p><b>Not a medical device.</b> Every result has to be checked by a qualified person, slice by slice.</p>
<label>Show rows with <input type="search" id="filter"></label>
<table><thead><tr>$headings</tr></thead><tbody>
""")

_END = """</tbody></table><script>
"use strict";
const body = document.querySelector("tbody");
function key(row, column) {
  const text = row.cells[column].dataset.key ?? row.cells[column].textContent;
  const number = parseFloat(text);
  return text !== "" && String(text).match(/^-?[0-9.]+$/) ? number : text;
}
document.querySelectorAll("th button").forEach((button) => button.addEventListener("click", () => {
  const head = button.parentElement, column = head.cellIndex;
  const falling = head.getAttribute("aria-sort") === "ascending";
  document.querySelectorAll("th").forEach((each) => each.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", falling ? "descending" : "ascending");
  const rows = Array.from(body.rows, (row) => [key(row, column), row]);
  rows.sort(([a], [b]) => typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? -1 : 1);
  if (falling) rows.reverse();
  body.append(...rows.map(([, row]) => row));
}));
document.getElementById("filter").addEventListener("input", (event) => {
  const wanted = event.target.value.toLowerCase();
  for (const row of body.rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
});
</script></body></html>
"""


def write_page(folder: Path, rows: Iterable[StudyRow]) -> Path:
    """Write the page into the folder of results and say where it is. Raises OutputError."""
    path = folder / PAGE_NAME
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        stream.write(_BEGIN.substitute(headings="".join(map(_heading, _HEADINGS))))
        stream.writelines(map(_row, rows))
        stream.write(_END)
    return path


def _heading(text: str) -> str:
    return f'<th><button type="button">{escape(text)}</button></th>' if text else "<th></th>"


def _row(row: StudyRow) -> str:
    return f'<tr class="{escape(row.status)}">{"".join(_cells(row))}</tr>\n'


def _cells(row: StudyRow) -> Iterator[str]:
    folder = quote(row.study)
    is_done = row.status == DONE
    picture = f'<img loading="lazy" alt="" src="{folder}/{THUMBNAIL_NAME}">' if is_done else ""
    yield f"<td>{picture}</td>"
    name = escape(row.study)
    yield f'<td><a href="{folder}/{REPORT_NAME}">{name}</a></td>' if is_done else f"<td>{name}</td>"
    yield f"<td>{escape(row.status)}</td>"
    for number in (row.volume_ml, row.lesions, row.longest_diameter_mm, row.seconds):
        yield f'<td class="number">{escape(number)}</td>'
    yield f"<td>{escape(f'{row.message} {row.remedy}'.strip())}</td>"
    yield f'<td class="small">{escape(_made_by(row))}</td>'


def _made_by(row: StudyRow) -> str:
    model = f"{row.model} {row.model_version}".strip()
    weights = f" ({row.model_sha256[:12]})" if row.model_sha256 else ""
    settings = (
        f"threshold {row.threshold}, gate {row.gate}, at least {row.min_volume_ml} mL, mirrored {row.tta}, "
        f"registered {row.register}"
    )
    return f"{model}{weights}, {settings}, {row.device} {row.precision}".strip() if row.status == DONE else ""
