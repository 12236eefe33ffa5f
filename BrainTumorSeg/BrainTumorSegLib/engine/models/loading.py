"""A model ready to run: its segmentation bundle, its slice classifier, and where both came from."""

from __future__ import annotations

from dataclasses import dataclass

from BrainTumorSegLib.engine.models.bundle import Bundle, load_bundle
from BrainTumorSegLib.engine.models.index import ModelEntry, ModelProvenance
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
    (segmentation, provenance), *classifier = (_load(store, entry) for entry in store.index.needed(name))
    return Model(segmentation, provenance, *(classifier[0] if classifier else ()))


def _load(store: ModelStore, entry: ModelEntry) -> tuple[Bundle, ModelProvenance]:
    provenance = ModelProvenance(entry.name, entry.version, entry.sha256, entry.licence)
    return load_bundle(store.path(entry.name)), provenance
