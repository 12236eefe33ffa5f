"""Paths on the command line."""

from __future__ import annotations

import argparse
from pathlib import Path


def path(text: str) -> Path:
    """The type of an option that takes a path. Raises ArgumentTypeError for an empty one, which would mean "here"."""
    if not text:
        raise argparse.ArgumentTypeError("the path is empty")
    return Path(text)
