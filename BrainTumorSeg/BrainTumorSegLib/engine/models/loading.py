"""A model ready to run: its segmentation bundle, its slice classifier, and where both came from."""

from __future__ import annotations

from dataclasses import dataclass

from BrainTumorSegLib.engine.models.bundle import Bundle, load_bundle
from BrainTumorSegLib.engine.models.index import ModelProvenance
from BrainTumorSegLib.engine.models.store import ModelStore


@dataclass(frozen=True)
class Model:
    """A segmentation bundle, its slice classifier if it has one, and where both came from."""

    segmentation: Bundle
    segmentation_provenance: ModelProvenance
    classifier: Bundle | None = None
    classifier_provenance: ModelProvenance | None = None


def load_model(store: ModelStore, name: str | None = None) -> Model:
    """Loads the named segmentation model (None: the default) and its classifier, verified by SHA-256.

    Raises ModelError where a file is missing, damaged or not usable.
    """
    entry = store.entry(name)
    segmentation, provenance = _load(store, entry.name)
    if entry.classifier is None:
        return Model(segmentation, provenance)
    return Model(segmentation, provenance, *_load(store, entry.classifier))


def _load(store: ModelStore, name: str) -> tuple[Bundle, ModelProvenance]:
    entry = store.entry(name)
    return load_bundle(store.path(name)), ModelProvenance(entry.name, entry.version, entry.sha256, entry.licence)
