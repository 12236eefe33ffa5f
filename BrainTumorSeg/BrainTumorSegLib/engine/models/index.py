"""Which models exist: pure data, read from the index that is released with them and checked by plain code."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from BrainTumorSegLib.engine.errors import ModelError
from BrainTumorSegLib.engine.networks.registry import Task

SCHEMA = 1
_BRING_AGAIN = "Bring that folder of models again where you chose one; otherwise install BrainTumorSeg again."


@dataclass(frozen=True)
class ModelEntry:
    """One model as the index describes it.

    file: "NAME-VERSION.zip", a MONAI bundle. sha256: of that file, 64 lower-case hexadecimal digits. size_bytes: its
    size. classifier: for a segmentation model, the name of its slice classifier, or None. recommendation: what a run
    uses where nothing is chosen, by the names of the settings: threshold, gate and min_volume_ml. metrics:
    patient-level measures by name. default: whether this is the model of its task that is used when none is named.
    """

    name: str
    version: str
    task: Task
    file: str
    sha256: str
    size_bytes: int
    licence: str
    title: str
    description: str
    classifier: str | None
    recommendation: Mapping[str, float] = field(hash=False)
    metrics: Mapping[str, object] = field(hash=False)
    default: bool


@dataclass(frozen=True)
class ModelIndex:
    """All models of one index, in its order. Raises ModelError when they contradict each other."""

    models: tuple[ModelEntry, ...]

    def __post_init__(self) -> None:
        """Check what no single entry can show: unique names and files, companions that exist, one default a task."""
        _check(_unique(entry.name for entry in self.models), "two models have one name")
        _check(_unique(entry.file for entry in self.models), "two models have one file")
        classifiers = {entry.name for entry in self.models if entry.task is Task.CLASSIFICATION}
        for entry in self.models:
            known = entry.classifier is None or entry.classifier in classifiers
            _check(known, f"model {entry.name} names the classifier {entry.classifier}, which is not in the index")
        for task in Task:
            defaults = [entry.name for entry in self.models if entry.task is task and entry.default]
            _check(len(defaults) <= 1, f"several {task} models are the default: {', '.join(defaults)}")

    def entry(self, name: str | None = None) -> ModelEntry:
        """The model of that name; the default segmentation model for None. Raises ModelError if there is none."""
        for entry in self.models:
            if entry.name == name or (name is None and entry.default and entry.task is Task.SEGMENTATION):
                return entry
        if name is None:
            raise ModelError("The index of models names no default segmentation model.", f"Choose {self._choice()}.")
        raise ModelError(f"There is no model named {name!r}.", f"Choose {self._choice()}.")

    def needed(self, name: str | None = None) -> tuple[ModelEntry, ...]:
        """The model of that name (None: the default) and the slice classifier that it names: what a run needs.

        Raises ModelError if there is no such model.
        """
        entry = self.entry(name)
        return (entry,) if entry.classifier is None else (entry, self.entry(entry.classifier))

    def with_sha256(self, sha256: str) -> ModelEntry | None:
        """The model whose file has this SHA-256, or None."""
        return next((entry for entry in self.models if entry.sha256 == sha256), None)

    def _choice(self) -> str:
        return "one of " + ", ".join(entry.name for entry in self.models) if self.models else "another version"


def read_index(path: Path) -> ModelIndex:
    """Read an index file. Raises ModelError naming the file and the first thing wrong in it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no JSON"
        raise ModelError(f"The index of models {path} can't be read: {why}.", _BRING_AGAIN) from error
    try:
        return parse_index(content)
    except ModelError as error:
        raise ModelError(f"{error.message[:-1]}, in {path}.", error.action) from error


def parse_index(content: object) -> ModelIndex:
    """Build an index from decoded JSON. Raises ModelError naming the first thing wrong."""
    if not isinstance(content, dict):
        raise _wrong("it is not a JSON object")
    _check(content.get("schema") == SCHEMA, f"its schema is {content.get('schema')!r}, but {SCHEMA} is needed")
    _check(isinstance(content.get("models"), list), "'models' is not a list")
    return ModelIndex(tuple(_parse_entry(number, item) for number, item in enumerate(content["models"])))


def _parse_entry(number: int, item: object) -> ModelEntry:
    if not isinstance(item, dict):
        raise _wrong(f"model number {number} is not a JSON object")
    expected = {each.name for each in fields(ModelEntry)}
    for key in sorted(expected ^ item.keys()):
        _check(key in item, f"model number {number} lacks {key!r}")
        _check(key in expected, f"model number {number} has {key!r}, which is unknown")
    for key, is_valid, need in _RULES:
        _check(is_valid(item[key]), f"model number {number} has {key} {item[key]!r}, which is not {need}")
    file = f"{item['name']}-{item['version']}.zip"
    _check(item["file"] == file, f"model number {number} has file {item['file']!r} instead of {file!r}")
    return ModelEntry(**{**item, "task": Task(item["task"])})


def _are_numbers(value: object) -> bool:
    names = {"threshold", "gate", "min_volume_ml"}
    return (
        isinstance(value, dict) and value.keys() == names and all(type(one) in (int, float) for one in value.values())
    )


def _matches(pattern: str) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


# The name and version make the file's name, so they may hold nothing that leads out of the folder.
_RULES: tuple[tuple[str, Callable[[object], bool], str], ...] = (
    ("name", _matches(r"[A-Za-z0-9][A-Za-z0-9_+-]*"), "a name of letters, digits, '_', '+' and '-'"),
    ("version", _matches(r"[0-9]+(\.[0-9A-Za-z]+)*"), "a version such as '1.0.0'"),
    ("task", _matches("|".join(Task)), "'segmentation' or 'classification'"),
    ("sha256", _matches(r"[0-9a-f]{64}"), "64 lower-case hexadecimal digits"),
    ("size_bytes", lambda value: type(value) is int and value > 0, "a positive whole number"),
    ("licence", _matches(r".+"), "a text"),
    ("title", _matches(r".+"), "a text"),
    ("description", _matches(r"(?s).+"), "a text"),
    ("classifier", lambda value: value is None or isinstance(value, str), "a name or null"),
    ("recommendation", _are_numbers, "an object of the numbers threshold, gate and min_volume_ml"),
    ("metrics", lambda value: isinstance(value, dict), "a JSON object"),
    ("default", lambda value: isinstance(value, bool), "true or false"),
)


def _unique(values: Iterable[str]) -> bool:
    # Some file systems, Windows' and macOS's, don't tell upper case from lower.
    folded = [value.casefold() for value in values]
    return len(folded) == len(set(folded))


def _check(condition: bool, what_is_wrong: str) -> None:
    if not condition:
        raise _wrong(what_is_wrong)


def _wrong(what: str) -> ModelError:
    return ModelError(f"The index of models is wrong: {what}.", _BRING_AGAIN)


@dataclass(frozen=True)
class ModelProvenance:
    """Which weights made a result."""

    name: str
    version: str
    sha256: str
    licence: str
