"""Recipes: training settings as YAML in the form of MONAI's bundle configurations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from monai.bundle import ConfigParser

from brain_tumor_training.recipes.settings import LEAKY, TrainingSettings
from BrainTumorSegLib.engine.errors import InputError

FOLDER = Path(__file__).parent
SETTINGS = "settings"


def recipe_names() -> list[str]:
    """The recipes that come with this package."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_recipe(name: str, overrides: Mapping[str, Any] | None = None) -> TrainingSettings:
    """The settings of a recipe that comes with this package, or of a YAML file.

    overrides: MONAI's ids within the settings, such as {"batch_size": 4, "phases::0::steps": 100}. A recipe is a
    program (MONAI evaluates its $ expressions): use only files you trust. Raises InputError for one that is none.
    """
    path = recipe_path(name)
    parser = ConfigParser()
    parser.read_config(str(path))
    try:
        for key, value in (overrides or {}).items():
            parser[f"{SETTINGS}::{key.replace('.', '::')}"] = value
        settings = parser.get_parsed_content(SETTINGS)
    except (KeyError, RuntimeError, TypeError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"The recipe {path.name} can't be used: {_root(error)}.", "Correct the recipe.") from error
    if not isinstance(settings, TrainingSettings):
        raise InputError(f"The recipe {path.name} defines no TrainingSettings.", "See the recipes of this package.")
    return settings


@dataclass(frozen=True)
class Publication:
    """What a recipe says about the paper that it follows; empty for a recipe of this project.

    reported: what the authors print, by their own names. chosen: what was decided where they are silent.
    contradictions: where the paper does not agree with itself. stands_in_for: the recipe whose protocol this one runs
    with another network, because that one's first weights can't always be had; empty for all others.
    """

    reported: Mapping[str, float]
    chosen: Sequence[str]
    contradictions: Sequence[str]
    stands_in_for: str = ""


def publication(name: str) -> Publication:
    """Of a recipe. Raises InputError where there is none of that name."""
    parser = ConfigParser()
    parser.read_config(str(recipe_path(name)))
    found = parser.config
    return Publication(
        dict(found.get("reported") or {}),
        tuple(found.get("chosen") or ()),
        tuple(found.get("contradictions") or ()),
        found.get("stands_in_for") or "",
    )


def published_recipes() -> list[str]:
    """The recipes that follow a published system's protocol, sorted by name."""
    return list(_published())


def stand_ins(original: str) -> list[str]:
    """The published recipes that run this one's protocol with another network, sorted by name."""
    return [name for name, stands_in_for in _published().items() if stands_in_for == original]


@cache
def _published() -> Mapping[str, str]:
    """The published recipes, and which one each stands in for.

    Read once: a page of all systems asks with every line, and the files come with the package.
    """
    names = (name for name in recipe_names() if load_recipe(name).split.protocol == LEAKY)
    return {name: publication(name).stands_in_for for name in names}


def recipe_path(name: str) -> Path:
    """The file of a recipe. Raises InputError that lists the known ones."""
    path = Path(name) if name.endswith((".yaml", ".yml", ".json")) else FOLDER / f"{name}.yaml"
    if not path.is_file():
        raise InputError(f"There is no recipe '{name}'.", f"Choose one of {', '.join(recipe_names())}, or give a file.")
    return path


def _root(error: BaseException) -> str:
    """MONAI wraps what really went wrong."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split())
