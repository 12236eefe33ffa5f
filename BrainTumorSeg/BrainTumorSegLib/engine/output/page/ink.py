"""Colours of the page, on white paper."""

from __future__ import annotations

Ink = str
"""A colour as #rrggbb."""

INK: Ink = "#1c2530"
QUIET: Ink = "#66717f"
RULE: Ink = "#d9dee5"
PAPER: Ink = "#f5f7fa"
BAR: Ink = "#8fb4e6"
BAR_SKIPPED: Ink = "#cfd6df"
AREA: Ink = "#2e8b57"
DOUBT: Ink = "#e08e0b"
REVIEW: Ink = "#d9483b"
CAUTION_PAPER: Ink = "#fff4dc"
CAUTION: Ink = "#8a5a00"
