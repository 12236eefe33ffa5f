"""What a user may choose about one segmentation: each choice is defined here, once, and checked once on entry.

``CHOICES`` makes the command's options, the worker's fields, the training package's options, the report's settings and
their schema, the segment's tags and the panel's limits. A new setting is one more ``Choice`` and
its field below: of ``SegmentSettings`` if it changes the result, of ``RunSettings`` if it says how that is made.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from BrainTumorSegLib.engine.errors import InputError


@dataclass(frozen=True)
class Choice:
    """One setting, as pure data.

    name: the field's, the worker's and the report's. kind: float, bool or str. default: None leaves it to the model.
    title: for messages and tags. limits: of a number; both belong to what is allowed only if ``limits_included`` says
    so. rule: the limits in words, after "must". example: what to do instead. off: a word that stands for 0.
    words: all that a text may be; () for any. in_panel: the slider's limits, where the panel has one.
    """

    name: str
    kind: type
    help: str
    default: Any = None
    metavar: str | None = None
    title: str = ""
    tag: str = ""
    unit: str = ""
    limits: tuple[float, float] | None = None
    limits_included: tuple[bool, bool] = (True, True)
    rule: str = ""
    example: str = ""
    off: str | None = None
    words: tuple[str, ...] = ()
    in_panel: tuple[float, float] | None = None

    @property
    def option(self) -> str:
        """The command's option: "--min-volume" of "min_volume_ml"."""
        return "--" + self.name.removesuffix("_ml").replace("_", "-")

    @property
    def json_types(self) -> tuple[type, ...]:
        """The Python types of a JSON value that may stand for it; a whole number counts as a number."""
        return (float, int) if self.kind is float else (self.kind,)

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of its value in a report."""
        if self.kind is not float:
            schema: dict[str, Any] = {"type": {bool: "boolean", str: "string"}[self.kind], "description": self.help}
            return schema | ({"enum": list(self.words)} if self.words else {})
        schema = {"type": "number", "description": self.help}
        if self.limits is not None:
            low, high = self.limits_included
            schema["minimum" if low else "exclusiveMinimum"] = self.limits[0]
            schema["maximum" if high else "exclusiveMaximum"] = self.limits[1]
        return schema

    def check(self, value: Any) -> None:
        """Raises InputError for a number out of range or another word; None, the model's own choice, never is."""
        if value is None:
            return
        if self.words and value not in self.words:
            raise InputError(
                f"The {self.title} is {value!r}, but must be one of {', '.join(self.words)}.", self.example
            )
        if self.limits is None:
            return
        (low, high), (with_low, with_high) = self.limits, self.limits_included
        if not ((low <= value if with_low else low < value) and (value <= high if with_high else value < high)):
            raise InputError(f"The {self.title} is {value}{self.unit}, but must {self.rule}.", self.example)

    def tag_value(self, value: Any) -> str:
        """Its value in a segment's tags."""
        return {True: "on", False: "off"}[value] if self.kind is bool else str(value)

    def from_text(self, text: str) -> float:
        """A number as people write it, or the word for 0. Raises InputError for anything else."""
        if self.off is not None and text == self.off:
            return 0.0
        try:
            return float(text)
        except ValueError as error:
            raise InputError(
                f"The {self.title} is {text!r}, which is neither a number nor {self.off!r}.", self.example
            ) from error

    def add_option(self, parser: argparse._ActionsContainer) -> None:
        """Adds its option to a command's grammar."""
        if self.kind is bool:
            action = argparse.BooleanOptionalAction if self.default else "store_true"
            parser.add_argument(self.option, dest=self.name, action=action, default=self.default, help=self.help)
            return
        convert = self.from_text if self.off is not None else self.kind
        parser.add_argument(
            self.option, dest=self.name, type=convert, default=self.default, metavar=self.metavar, help=self.help
        )

    def arguments(self, value: Any) -> list[str]:
        """What sets it on a command line; nothing for what is the default anyway."""
        if value is None or value == self.default:
            return []
        if self.kind is bool:
            return [self.option if value else self.option.replace("--", "--no-", 1)]
        return [self.option, self.off if self.off is not None and value == 0 else str(value)]


MODEL = Choice("model", str, "model to use (see `braintumorseg models list`)", metavar="NAME")
DEVICE = Choice("device", str, "default: auto", default="auto", metavar="auto|cpu|cuda|cuda:N|mps")
THRESHOLD = Choice(
    name="threshold",
    kind=float,
    help="tumour probability that counts, 0-1 (default: the model's)",
    metavar="T",
    title="threshold",
    tag="Threshold",
    limits=(0, 1),
    limits_included=(False, False),
    rule="lie between 0 and 1",
    example="Choose a probability such as 0.5.",
    in_panel=(0.05, 0.95),
)
GATE = Choice(
    name="gate",
    kind=float,
    help="slice probability below which slices are left out, 0-1; off segments every slice (default: the model's)",
    metavar="T|off",
    title="gate",
    tag="Gate",
    limits=(0, 1),
    limits_included=(True, False),
    rule="be at least 0 and less than 1",
    example="Choose a slice probability such as 0.05, or 'off'.",
    off="off",
)
MIN_VOLUME = Choice(
    name="min_volume_ml",
    kind=float,
    help="drop lesions smaller than this, in mL (default: the model's)",
    metavar="ML",
    title="minimum lesion volume",
    tag="MinimumVolume_mL",
    unit=" mL",
    limits=(0, 1000),
    limits_included=(True, False),
    rule="be between 0 and 1000 mL",
    example="Choose a volume such as 0.1.",
    in_panel=(0.0, 10.0),
)
TTA = Choice(
    name="tta",
    kind=bool,
    help="average with the mirrored study; --no-tta is faster and a little less accurate (default: average)",
    default=True,
    tag="TestTimeAugmentation",
)
REGISTER = Choice(
    name="register",
    kind=str,
    help="register T1 and T1c rigidly to FLAIR: auto where they lie badly and then fit much better, on, off",
    default="auto",
    metavar="auto|on|off",
    title="registration",
    words=("auto", "on", "off"),
    example="Choose auto, on or off.",
)

OF_RESULT = (THRESHOLD, GATE, MIN_VOLUME, TTA)
"""What changes the result of a study; the report and the segment's tags say each of them."""
CHOICES = (MODEL, DEVICE, *OF_RESULT, REGISTER)
"""Everything that may be chosen about a run, in the order of the command's help."""


@dataclass(frozen=True)
class SegmentSettings:
    """Choices for one run; ``None`` takes the value that the model's own metadata recommends.

    threshold: tumour probability, 0-1 exclusive, from which a voxel belongs to the mask.
    gate: slice probability, 0-1, below which a slice and its neighbours count as clear and are not segmented;
        0 segments every slice (the gate is off).
    min_volume_ml: lesions smaller than this are dropped; 0 keeps all.
    tta: average the prediction with that of the left-right mirrored slices (the network's time twice).
    """

    threshold: float | None = THRESHOLD.default
    gate: float | None = GATE.default
    min_volume_ml: float | None = MIN_VOLUME.default
    tta: bool = TTA.default

    def __post_init__(self) -> None:
        """Raises InputError for a value out of range."""
        for choice in OF_RESULT:
            choice.check(getattr(self, choice.name))

    @classmethod
    def chosen(cls, given: Mapping[str, Any]) -> Self:
        """From the values by name; those that are not given stay the model's, what is no setting is passed over."""
        names = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in given.items() if name in names and value is not None})

    def with_recommended(self, recommended: Mapping[str, Any]) -> UsedSettings:
        """What a run uses: each choice, and where nothing was chosen what is recommended under its name."""
        chosen = {choice.name: getattr(self, choice.name) for choice in OF_RESULT}
        return UsedSettings(**{name: recommended[name] if value is None else value for name, value in chosen.items()})


@dataclass(frozen=True)
class RunSettings(SegmentSettings):
    """Everything that may be chosen about a run.

    model: name in the index of models, None for the default. device: "auto", "cpu", "cuda", "cuda:N" or "mps".
    register: whether T1 and T1c are brought onto FLAIR by rigid registration: "on", "off", or "auto" where they lie
        badly by their headers and fit much better then.
    """

    model: str | None = MODEL.default
    device: str = DEVICE.default
    register: str = REGISTER.default

    def __post_init__(self) -> None:
        """Raises InputError for a value out of range."""
        super().__post_init__()
        REGISTER.check(self.register)

    def arguments(self) -> list[str]:
        """What asks for them on the command line of ``braintumorseg segment``."""
        return [part for choice in CHOICES for part in choice.arguments(getattr(self, choice.name))]

    def request(self) -> dict[str, Any]:
        """The fields of a worker's segment request that ask for them."""
        values = {choice.name: getattr(self, choice.name) for choice in CHOICES}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class UsedSettings:
    """The settings of a finished run: as SegmentSettings, with the model's recommendation where nothing was chosen."""

    threshold: float
    gate: float
    min_volume_ml: float
    tta: bool

    def by_name(self) -> dict[str, Any]:
        """Each value by the name of its choice."""
        return {choice.name: getattr(self, choice.name) for choice in OF_RESULT}

    def tags(self) -> dict[str, str]:
        """Each value as text, by the name it has in a segment's tags."""
        return {choice.tag: choice.tag_value(getattr(self, choice.name)) for choice in OF_RESULT}


def settings_schema() -> dict[str, Any]:
    """The JSON Schema of the settings in a report, which ``report_schema.json`` must hold word for word."""
    return {
        "type": "object",
        "description": "The values used, none left to a default.",
        "additionalProperties": False,
        "required": [choice.name for choice in OF_RESULT],
        "properties": {choice.name: choice.schema() for choice in OF_RESULT},
    }
