"""The models on this machine: find, download, import, verify and remove them. Imports neither torch nor monai."""

from __future__ import annotations

import contextlib
import enum
import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from BrainTumorSegLib.engine.errors import Cancelled, InputError, ModelError, OutputError
from BrainTumorSegLib.engine.files import atomic_path, output_errors, publish
from BrainTumorSegLib.engine.models.download import DownloadSettings, bring_file, host_of
from BrainTumorSegLib.engine.models.index import ModelEntry, ModelIndex, read_index
from BrainTumorSegLib.engine.resources import resource
from BrainTumorSegLib.engine.temporary import SHARED_LOCK, TEMPORARY_PREFIX

logger = logging.getLogger(__name__)

BASE_URL = "https://github.com/BrainTumorSeg/SlicerBrainTumorSeg/releases/download/models"
"""Where model files will be published, as BASE_URL/FILE. Not decided yet, and nothing answers there: until then models
come from a source checkout's release folder, a mirror (BRAINTUMORSEG_MIRROR) or an imported file."""

INDEX_FILE = "index.json"
HOME_VARIABLE = "BRAINTUMORSEG_HOME"
MIRROR_VARIABLE = "BRAINTUMORSEG_MIRROR"
MODELS_VARIABLE = "BRAINTUMORSEG_MODELS"

_LOCK_POLL_S = 0.1
_SPARE_BYTES = 1024 * 1024


class ModelState(enum.Enum):
    """Whether a model can be used on this machine."""

    NOT_INSTALLED = "not installed"
    INSTALLED = "installed"
    DAMAGED = "damaged"


def _ignore_progress(_done_bytes: int, _total_bytes: int) -> None:
    """Report nothing."""


def _never_cancelled() -> bool:
    return False


@dataclass(frozen=True)
class ModelStore:
    """The models of one index on this machine.

    home: this application's data folder; the user's copies are in its folder "models". models_folder: other model
    files, used in place and never written to: a source checkout's, or those of BRAINTUMORSEG_MODELS. base_url: the
    https address, or the folder, that holds the files for download. A model is installed only if its SHA-256 is right
    at the time of asking.
    """

    index: ModelIndex
    home: Path
    models_folder: Path | None = None
    base_url: str = BASE_URL
    download_settings: DownloadSettings = field(default_factory=DownloadSettings)

    @classmethod
    def default(cls, environment: Mapping[str, str] = os.environ, models_folder: Path | None = None) -> ModelStore:
        """The store of this user: the packaged index, a checkout's files, and the settings in the environment.

        models_folder: a folder with index.json and the model files that it lists, used instead of both; else that of
        BRAINTUMORSEG_MODELS. Reads BRAINTUMORSEG_HOME (instead of the user data folder) and BRAINTUMORSEG_MIRROR (an
        https address or a folder); downloads also honour HTTPS_PROXY and NO_PROXY. Raises ModelError without a valid
        index, InputError where the folder has none.
        """
        chosen = models_folder or find_models_folder(environment)
        if chosen is not None and not (chosen / INDEX_FILE).is_file():
            raise InputError(
                f"The folder of models {chosen} has no index.json.",
                f"Name a folder that holds it and the models that it lists, by --models or {MODELS_VARIABLE}.",
            )
        index_path = chosen / INDEX_FILE if chosen else resource("Models.json")
        folder = chosen or find_release_folder(Path(__file__))
        mirror = environment.get(MIRROR_VARIABLE) or BASE_URL
        return cls(read_index(index_path), find_home(environment), folder, mirror)

    @property
    def cache_folder(self) -> Path:
        """The folder with this user's copies."""
        return self.home / "models"

    def entries(self) -> tuple[ModelEntry, ...]:
        """All models of the index, in its order."""
        return self.index.models

    def entry(self, name: str | None = None) -> ModelEntry:
        """The model of that name, the default segmentation model for None. Raises ModelError if there is none."""
        return self.index.entry(name)

    def state(self, name: str | None = None) -> ModelState:
        """Whether the model is here and whole, its SHA-256 computed now. Raises ModelError for an unknown name."""
        entry = self.entry(name)
        if self._whole_copy(entry):
            return ModelState.INSTALLED
        return ModelState.DAMAGED if self._copies(entry) else ModelState.NOT_INSTALLED

    def path(self, name: str | None = None) -> Path:
        """The model's file, verified. Raises ModelError where it is missing or damaged."""
        entry = self.entry(name)
        if whole := self._whole_copy(entry):
            return whole
        raise self._unusable(entry)

    def verify(self, name: str | None = None) -> None:
        """Check every copy of the model. Raises ModelError for one that is damaged, or if there is none."""
        entry = self.entry(name)
        copies = self._copies(entry)
        if not copies or not all(_is_whole(copy, entry) for copy in copies):
            raise self._unusable(entry)

    def download(
        self,
        name: str | None = None,
        on_progress: Callable[[int, int], None] = _ignore_progress,
        is_cancelled: Callable[[], bool] = _never_cancelled,
    ) -> Path:
        """Bring the model onto this machine, unless it is here and whole, and say where it is.

        on_progress gets the bytes done and the bytes in all. An earlier file stays until the new one is
        complete and verified. Processes that ask at once share one transfer.
        Raises ModelError (unreachable, refused, wrong SHA-256), OutputError (disk full, no permission) or Cancelled.
        """
        entry = self.entry(name)
        whole = self._whole_copy(entry)
        if whole is None:
            with self._locked(is_cancelled), _cache_errors(self._cached(entry)):
                # Asked again under the lock: another process may have brought it meanwhile.
                whole = self._whole_copy(entry) or self._fetch(entry, on_progress, is_cancelled)
        on_progress(entry.size_bytes, entry.size_bytes)
        return whole

    def import_file(self, path: Path) -> ModelEntry:
        """Copy a model file into the cache, if its SHA-256 is one of the index, whatever it is called.

        Raises ModelError for any other file, InputError where it can't be read, OutputError where the cache can't be
        written.
        """
        entry = self._recognise(path)
        if self._whole_copy(entry) is None:
            with self._locked(_never_cancelled), atomic_path(self._cached(entry)) as temporary:
                shutil.copyfile(path, temporary)
                if not _is_whole(temporary, entry):
                    raise ModelError(f"{path} changed while it was copied.", "Import it again once it is complete.")
        return entry

    def remove(self, name: str | None = None) -> None:
        """Delete this user's copy of the model and what interrupted ones left; one in a folder of models stays.

        Raises ModelError if there is nothing to delete, OutputError where that is not permitted.
        """
        entry = self.entry(name)
        cached = self._cached(entry)
        if not cached.exists():
            raise self._nothing_to_remove(entry)
        with self._locked(_never_cancelled), output_errors(cached):
            self._clear_leftovers()
            cached.unlink(missing_ok=True)

    def _cached(self, entry: ModelEntry) -> Path:
        return self.cache_folder / entry.file

    def _clear_leftovers(self) -> None:
        """Remove what killed processes left half-done; under the lock, so that nobody is still at it."""
        for path in self.cache_folder.glob(f"{TEMPORARY_PREFIX}*"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def _copies(self, entry: ModelEntry) -> tuple[Path, ...]:
        """Every file here that should be this model, those used in place first."""
        folders = (self.models_folder, self.cache_folder)
        paths = (folder / entry.file for folder in folders if folder)
        return tuple(path for path in paths if os.path.isfile(path))  # no error in a folder that can't be entered

    def _whole_copy(self, entry: ModelEntry) -> Path | None:
        return next((copy for copy in self._copies(entry) if _is_whole(copy, entry)), None)

    @contextlib.contextmanager
    def _locked(self, is_cancelled: Callable[[], bool]) -> Iterator[None]:
        """Alone among all processes in the cache folder, made if need be. The system frees the lock of a dead one."""
        import filelock  # only when needed: doctor opens a store to say that this is missing

        lock_path = self.cache_folder / ".lock"
        lock = filelock.FileLock(lock_path, mode=SHARED_LOCK)
        with _cache_errors(lock_path):
            self.cache_folder.mkdir(parents=True, exist_ok=True)
            while not lock.is_locked:
                with contextlib.suppress(filelock.Timeout):
                    lock.acquire(timeout=_LOCK_POLL_S, poll_interval=_LOCK_POLL_S)
                if is_cancelled():
                    lock.release()
                    raise Cancelled
        try:
            yield
        finally:
            lock.release()

    def _fetch(
        self, entry: ModelEntry, on_progress: Callable[[int, int], None], is_cancelled: Callable[[], bool]
    ) -> Path:
        """Transfer, verify and publish one model, under the lock."""
        self._clear_leftovers()
        self._check_space(entry)
        # Errors at the end are ignored: on Windows an abandoned transfer holds its file a moment longer.
        with tempfile.TemporaryDirectory(
            prefix=TEMPORARY_PREFIX, dir=self.cache_folder, ignore_cleanup_errors=True
        ) as folder:
            try:
                path = bring_file(entry, self.base_url, Path(folder), self.download_settings, on_progress, is_cancelled)
            except ModelError as error:
                raise self._not_downloaded(entry, error) from error
            publish(path, self._cached(entry))
        logger.info("Installed model %s %s", entry.name, entry.version)
        return self._cached(entry)

    def _check_space(self, entry: ModelEntry) -> None:
        needed = entry.size_bytes + _SPARE_BYTES
        free = shutil.disk_usage(self.cache_folder).free
        if free < needed:
            raise OutputError(
                f"The model needs {needed / 1e6:.1f} MB, but only {free / 1e6:.1f} MB are free in {self.cache_folder}.",
                f"Free some space there, or set {HOME_VARIABLE} to a folder on another disk.",
            )

    def _recognise(self, path: Path) -> ModelEntry:
        """The entry whose file this is. Raises ModelError telling which models are known, if none."""
        try:
            size_bytes = path.stat().st_size
            # The size first: whatever is picked by mistake need not be read to its end.
            is_candidate = any(size_bytes == entry.size_bytes for entry in self.entries())
            entry = self.index.with_sha256(_sha256(path)) if is_candidate else None
        except OSError as error:
            raise InputError(f"{path} can't be read: {error.strerror or error}.", "Choose a model file.") from error
        if entry is None:
            known = ", ".join(f"{each.file} (SHA-256 {each.sha256[:12]}...)" for each in self.entries())
            raise ModelError(f"{path} is none of the models that this version knows.", f"It knows {known or 'none'}.")
        return entry

    def _unusable(self, entry: ModelEntry) -> ModelError:
        for copy in self._copies(entry):
            if not _is_whole(copy, entry):
                return ModelError(
                    f"Model {entry.name} failed its check: the SHA-256 of {copy} is {_sha256(copy)[:12]}... instead of "
                    f"{entry.sha256[:12]}...",
                    f"Run `braintumorseg models download {entry.name}`, or import its file {entry.file} again.",
                )
        return ModelError(
            f"Model {entry.name} {entry.version} is not installed.",
            f"Run `braintumorseg models download {entry.name}` ({entry.size_bytes / 1e6:.1f} MB), or "
            f"`braintumorseg models import FILE` with its file {entry.file}.",
        )

    def _not_downloaded(self, entry: ModelEntry, reason: ModelError) -> ModelError:
        unpublished = " No models are published there yet." if self.base_url == BASE_URL else ""
        return ModelError(
            f"Model {entry.name} {entry.version} can't be downloaded from {host_of(self.base_url)}: {reason.message}"
            f"{unpublished}",
            f"{reason.action or 'Check the network.'} Or get {entry.file} another way and run `braintumorseg models "
            f"import FILE`, or set {MIRROR_VARIABLE} to an address or a folder that has it.",
        )

    def _nothing_to_remove(self, entry: ModelEntry) -> ModelError:
        if self._copies(entry):
            return ModelError(
                f"Model {entry.name} belongs to the folder {self.models_folder}, which is left alone.",
                "Delete the file there yourself if you mean to.",
            )
        return ModelError(f"Model {entry.name} is not installed.", "There is nothing to remove.")


def find_home(environment: Mapping[str, str]) -> Path:
    """BRAINTUMORSEG_HOME, or else the user data folder that this operating system provides for."""
    chosen = environment.get(HOME_VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    import platformdirs  # only when needed, as filelock

    return Path(platformdirs.user_data_dir("BrainTumorSeg", appauthor=False))


def find_models_folder(environment: Mapping[str, str]) -> Path | None:
    """The folder of models that BRAINTUMORSEG_MODELS names, if it names one."""
    chosen = environment.get(MODELS_VARIABLE)
    return Path(chosen).expanduser().absolute() if chosen else None


def find_release_folder(start: Path) -> Path | None:
    """The release folder of the source checkout that holds ``start``, if it is in one."""
    for folder in start.resolve().parents:
        if (folder / "pyproject.toml").is_file() and (folder / "release").is_dir():
            return folder / "release"
    return None


@contextlib.contextmanager
def _cache_errors(target: Path) -> Iterator[None]:
    """As ``output_errors``, with the way to another folder: nobody chose this one."""
    try:
        with output_errors(target):
            yield
    except OutputError as error:
        if HOME_VARIABLE in error.action:
            raise
        raise OutputError(error.message, f"{error.action} {HOME_VARIABLE} sets the folder for models.") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _is_whole(path: Path, entry: ModelEntry) -> bool:
    """Whether the file is what the index says. Raises ModelError where it can't be read."""
    try:
        return path.stat().st_size == entry.size_bytes and _sha256(path) == entry.sha256
    except FileNotFoundError:
        return False  # removed by another process since it was found
    except OSError as error:
        raise ModelError(
            f"The model file {path} can't be read: {error.strerror or error}.", "Check its permissions and the disk."
        ) from error
