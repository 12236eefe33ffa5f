"""A message reduced to the words that stand in this program's own source.

What came in from outside (paths, names of patients and series, identifiers, dates) is not looked for and removed: only
what is known to be ours is kept. So nothing depends on how a name is written.
"""

from __future__ import annotations

import ast
import builtins
import functools
import json
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from BrainTumorSegLib.engine.resources import resource

GAP = "…"
"""Stands for whatever is not known."""

_LIBRARY = Path(__file__).resolve().parents[1]
_FEWEST_LETTERS = 6
"""A template with fewer letters of its own fits anything."""
_MOST_FILES = 5
_LONGEST = 4000
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d{1,2})?")
_NUMBER = r"-?\d[\d,]*(?:\.\d+)?(?:e[+-]\d+)?%?"
_FIELD = re.compile(r"\{\w+(?::([^}]*))?\}")
_EXCEPTION = re.compile(r"[A-Z]\w*(?:Error|Exception|Interrupt)")
_PLACE = re.compile(r"\((\w[\w/]*\.py), line (\d{1,5})\)")


def knownWords(text: str, safe: frozenset[str] = frozenset()) -> str:
    """The text as our source makes it, with a gap for everything that was filled in but numbers and known words.

    safe: further words that may stay, such as versions.

    >>> knownWords("FLAIR: /data/Anna/flair.nii does not exist.")
    'FLAIR: … does not exist.'
    """
    return _Reading(text[:_LONGEST], safe).reduced()


def isSafe(value: str, safe: frozenset[str] = frozenset()) -> bool:
    """Whether a value is a word of ours: a device, a model, a signal, or a text of the source in full."""
    known = value in safe or value in _ourNames() or _DEVICE.fullmatch(value) is not None
    return known or (value.isprintable() and any(f'"{value}"' in source for source in _sources().values()))


@dataclass(frozen=True)
class _Template:
    """A text of the source. constants: what stands around the gaps, one more than these. numbers: which are numbers."""

    constants: tuple[str, ...]
    numbers: tuple[bool, ...]

    @property
    def letters(self) -> int:
        return sum(each.isalpha() for constant in self.constants for each in constant)

    def values(self, text: str) -> tuple[str, ...] | None:
        """What fills the gaps in this text; None if it is no such text."""
        if not all(constant in text for constant in self.constants):
            return None
        gaps = [f"({_NUMBER if isNumber else '.*?'})" for isNumber in self.numbers]
        parts = [re.escape(constant) for constant in self.constants]
        pattern = parts[0] + "".join(gap + part for gap, part in zip(gaps, parts[1:], strict=True))
        found = re.fullmatch(pattern, text, re.DOTALL)
        return found.groups() if found else None


class _Reading:
    """One text and the templates that may have made it."""

    def __init__(self, text: str, safe: frozenset[str]) -> None:
        self._text, self._safe = " ".join(text.split()), safe
        self._templates = sorted(
            {each for source in _candidates(self._text) for each in _templates(source)},
            key=lambda each: (-each.letters, each.constants),
        )

    def reduced(self) -> str:
        whole = self._asTemplate(self._text)
        if whole is None:
            bySentence = " ".join(self._known(sentence) for sentence in re.split(r"(?<=[.!?]) ", self._text))
            whole = max(bySentence, self._traces(self._text), key=len)
        return re.sub(rf"{GAP}(?:[ .,:]*{GAP})+", GAP, whole)

    def _asTemplate(self, text: str) -> str | None:
        for template in self._templates:
            values = template.values(text)
            if values is not None:
                filled = [
                    value if isNumber else self._known(value)
                    for value, isNumber in zip(values, template.numbers, strict=True)
                ]
                constants = template.constants
                return constants[0] + "".join(value + rest for value, rest in zip(filled, constants[1:], strict=True))
        return None

    def _known(self, value: str) -> str:
        """A part of the text: as it is where it is ours, as far as it is ours otherwise."""
        if not value.strip() or isSafe(value.strip(), self._safe):
            return value
        return self._asTemplate(value) or self._traces(value)

    def _traces(self, value: str) -> str:
        """What is ours in a text that is not: several words in a row, names, places in our code."""
        kept, end = "", 0
        for start, stop in sorted(self._spans(value), key=lambda span: (span[0], -span[1])):
            if start >= end:
                kept += _gapOf(value[end:start]) + value[start:stop]
                end = stop
        return " ".join((kept + _gapOf(value[end:])).split())

    def _spans(self, value: str) -> Iterator[tuple[int, int]]:
        for word in re.finditer(r"[\w.-]+", value):
            isOurs = word[0] in _ourNames() or (_EXCEPTION.fullmatch(word[0]) and hasattr(builtins, word[0]))
            if isOurs:
                yield word.span()
        for place in _PLACE.finditer(value):
            if (_LIBRARY / place[1]).is_file():
                yield place.span()
        title = re.match(r"(\w[\w ]{0,20}): ", value)
        if title and isSafe(title[1]):
            yield title.span()
        for constant in self._constants:
            yield from (found.span() for found in re.finditer(rf"\b{re.escape(constant)}\b", value))

    @functools.cached_property
    def _constants(self) -> frozenset[str]:
        """Texts of the source of several words, without the marks around them."""
        constants = (each.strip(" .,:;()") for template in self._templates for each in template.constants)
        return frozenset(each for each in constants if " " in each and sum(map(str.isalpha, each)) >= _FEWEST_LETTERS)


def _gapOf(text: str) -> str:
    """Marks between words stay, words don't."""
    return f" {GAP} " if any(map(str.isalnum, text)) else text


def _candidates(text: str) -> Iterator[str]:
    """The sources that share most words in a row with the text; to parse all of them would hold up Slicer."""
    words = text.split()
    runs = {
        " ".join(words[start : start + length]).strip(" .,:;()"): length
        for length in (2, 3, 4)
        for start in range(len(words) - length + 1)
    }
    shared = {source: sum(runs[run] for run in runs if run in source) for source in _sources().values()}
    ranked = sorted((source for source in shared if shared[source]), key=lambda source: -shared[source])
    yield from ranked[:_MOST_FILES]


@functools.cache
def _sources() -> dict[str, str]:
    paths = [_LIBRARY.parent / "BrainTumorSeg.py", *sorted(_LIBRARY.rglob("*.py"))]
    return {str(path): path.read_text(encoding="utf-8") for path in paths if path.is_file()}


@functools.cache
def _ourNames() -> frozenset[str]:
    """Models of the packaged index and names of signals."""
    index = json.loads(resource("Models.json").read_text(encoding="utf-8"))
    models = {each[key] for each in index["models"] for key in ("name", "version", "file", "licence")}
    return frozenset({*models, *(each.name for each in signal.Signals)})


@functools.cache
def _templates(source: str) -> frozenset[_Template]:
    kinds = (ast.Constant, ast.JoinedStr, ast.BinOp)
    found = (_template(node) for node in ast.walk(ast.parse(source)) if isinstance(node, kinds))
    return frozenset(each for each in found if each.letters >= _FEWEST_LETTERS)


def _template(node: ast.expr) -> _Template:
    constants, numbers = [""], list[bool]()
    for part in _parts(node):
        if isinstance(part, str):
            constants[-1] += part
        elif constants[-1] or not numbers:
            constants.append("")
            numbers.append(part)
        else:
            numbers[-1] = False  # two gaps side by side are one, of any kind
    return _Template(tuple(" ".join(f"|{each}|".split())[1:-1] for each in constants), tuple(numbers))


def _parts(node: ast.expr) -> Iterator[str | bool]:
    """Texts as they are, and for each gap whether it can only be a number."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        end = 0
        for field in _FIELD.finditer(node.value):
            yield node.value[end : field.start()]
            yield _isNumeric(field[1] or "")
            end = field.end()
        yield node.value[end:]
    elif isinstance(node, ast.JoinedStr):
        for part in node.values:
            yield from _parts(part)
    elif isinstance(node, ast.FormattedValue):
        spec = node.format_spec.values[-1] if isinstance(node.format_spec, ast.JoinedStr) else None
        yield _isNumeric(spec.value if isinstance(spec, ast.Constant) else "")
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from _parts(node.left)
        yield from _parts(node.right)
    else:
        yield False


def _isNumeric(formatSpec: object) -> bool:
    """Whether Python would refuse anything but a number for it."""
    return isinstance(formatSpec, str) and formatSpec.endswith(("d", "f", "g", "e", "%", ","))
