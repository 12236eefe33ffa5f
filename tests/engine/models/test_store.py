"""Models are found, downloaded, imported, verified and removed; nothing unverified is ever used."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from BrainTumorSegLib.engine.errors import BrainTumorSegError, Cancelled, InputError, ModelError, OutputError
from BrainTumorSegLib.engine.models.download import DownloadSettings
from BrainTumorSegLib.engine.models.index import parse_index, read_index
from BrainTumorSegLib.engine.models.store import (
    BASE_URL,
    ModelState,
    ModelStore,
    find_home,
    find_release_folder,
)
from BrainTumorSegLib.engine.networks.registry import Task
from model_server import ModelServer, make_content, make_entry, serving

CONTENT = make_content(300_000)
OTHER = make_content(300_000, seed=1)
CLASSIFIER = make_content(50_000, seed=2)
QUICK = DownloadSettings(connect_timeout_s=2, read_timeout_s=0.3, attempts=1)
REPOSITORY = Path(__file__).parents[3]


def make_index() -> dict[str, Any]:
    return {
        "schema": 1,
        "models": [
            make_entry("flair", CONTENT, default=True, classifier="slices"),
            make_entry("slices", CLASSIFIER, task="classification", default=True),
        ],
    }


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as running:
        running.files["/flair-1.0.0.zip"] = CONTENT
        yield running


@pytest.fixture
def store(tmp_path: Path, server: ModelServer) -> ModelStore:
    return ModelStore(parse_index(make_index()), tmp_path / "home", None, server.address, QUICK)


def cached(store: ModelStore) -> Path:
    return store.cache_folder / "flair-1.0.0.zip"


def put_in_cache(store: ModelStore, content: bytes) -> Path:
    store.cache_folder.mkdir(parents=True)
    cached(store).write_bytes(content)
    return cached(store)


def names_in(folder: Path) -> list[str]:
    """The folder's files but the lock, which stays."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


# The index


def test_the_default_is_the_segmentation_model_and_others_go_by_name() -> None:
    index = parse_index(make_index())
    assert index.entry().name == "flair"
    assert index.entry("slices").task is Task.CLASSIFICATION
    assert index.entry().classifier == "slices"


def test_an_unknown_model_is_answered_with_those_that_there_are(store: ModelStore) -> None:
    with pytest.raises(ModelError, match=r"no model named 'flare'.*Choose one of flair, slices"):
        store.entry("flare")


def test_an_index_without_default_says_so() -> None:
    with pytest.raises(ModelError, match="names no default segmentation model.*Choose another version"):
        parse_index({"schema": 1, "models": []}).entry()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "../../etc"}, "has name '../../etc', which is not a name of letters"),
        ({"version": "../1"}, "has version '../1', which is not a version"),
        ({"file": "../flair-1.0.0.zip"}, "file '../flair-1.0.0.zip' instead of 'flair-1.0.0.zip'"),
        ({"sha256": "ABC"}, "has sha256 'ABC', which is not 64 lower-case"),
        ({"size_bytes": 0}, "has size_bytes 0, which is not a positive"),
        ({"size_bytes": True}, "has size_bytes True, which is not a positive"),
        ({"task": "detection"}, "has task 'detection', which is not 'segmentation' or"),
        ({"task": ["segmentation"]}, "which is not 'segmentation' or"),
        ({"licence": ""}, "has licence '', which is not a text"),
        ({"default": "yes"}, "has default 'yes', which is not true or false"),
        (
            {"recommendation": {"threshold": 0.5}},
            r"has recommendation .*which is not an object of the numbers threshold",
        ),
        ({"metrics": []}, r"has metrics \[\], which is not a JSON object"),
        ({"classifier": "nobody"}, "names the classifier nobody, which is not in the index"),
        ({"classifier": "flair"}, "names the classifier flair, which is not in the index"),
        ({"colour": "red"}, "has 'colour', which is unknown"),
        ({"name": "slices", "file": "slices-1.0.0.zip"}, "two models have one name"),
    ],
)
def test_a_wrong_entry_is_refused_with_its_fault(change: dict[str, Any], message: str) -> None:
    content = make_index()
    content["models"][0] |= change
    with pytest.raises(ModelError, match=f"The index of models is wrong.*{message}.*install BrainTumorSeg again"):
        parse_index(content)


def test_a_missing_field_is_named() -> None:
    content = make_index()
    del content["models"][1]["licence"]
    with pytest.raises(ModelError, match="model number 1 lacks 'licence'"):
        parse_index(content)


def test_two_defaults_of_one_task_are_refused() -> None:
    content = make_index()
    content["models"].append(make_entry("second", OTHER, default=True))
    with pytest.raises(ModelError, match="several segmentation models are the default: flair, second"):
        parse_index(content)


@pytest.mark.parametrize(
    "content", [[], {"schema": 2, "models": []}, {"schema": 1, "models": {}}, {"schema": 1, "models": [1]}]
)
def test_something_else_than_an_index_is_refused(content: object) -> None:
    with pytest.raises(ModelError, match="The index of models is wrong"):
        parse_index(content)


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"", b"[" * 100_000], ids=["cut", "no text", "empty", "nested"])
def test_an_index_file_that_is_no_json_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "index.json").write_bytes(content)
    with pytest.raises(
        ModelError, match=r"index\.json can't be read: it is no JSON\. Bring that folder of models again"
    ):
        read_index(tmp_path / "index.json")


def test_the_fault_in_an_index_file_is_told_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text("[]")
    with pytest.raises(ModelError, match=r"not a JSON object, in .*index\.json"):
        read_index(tmp_path / "index.json")


# Where models are


def test_home_can_be_chosen(tmp_path: Path) -> None:
    assert find_home({"BRAINTUMORSEG_HOME": str(tmp_path)}) == tmp_path
    assert find_home({"BRAINTUMORSEG_HOME": ""}).name == "BrainTumorSeg"
    assert find_home({}).is_absolute()


def test_a_checkout_is_found_from_a_file_deep_inside(tmp_path: Path) -> None:
    source = tmp_path / "checkout" / "a" / "b" / "models.py"
    source.parent.mkdir(parents=True)
    (tmp_path / "checkout" / "release").mkdir()
    assert find_release_folder(source) is None
    (tmp_path / "checkout" / "pyproject.toml").touch()
    assert find_release_folder(source) == tmp_path / "checkout" / "release"


def test_the_default_store_takes_its_settings_from_the_environment(tmp_path: Path) -> None:
    store = ModelStore.default({"BRAINTUMORSEG_HOME": str(tmp_path), "BRAINTUMORSEG_MIRROR": "/mirror"})
    assert store.cache_folder == tmp_path / "models"
    assert store.base_url == "/mirror"
    assert store.models_folder == REPOSITORY / "release"
    assert ModelStore.default({}).base_url == BASE_URL


@pytest.mark.parametrize("by", ["option", "variable"])
def test_a_folder_of_models_is_used_instead(by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "index.json").write_text(json.dumps(make_index()))
    (tmp_path / "flair-1.0.0.zip").write_bytes(CONTENT)
    environment = {"BRAINTUMORSEG_MODELS": str(tmp_path if by == "variable" else tmp_path / "other")}
    store = ModelStore.default(environment, tmp_path if by == "option" else None)
    assert [entry.name for entry in store.entries()] == ["flair", "slices"]
    assert store.path() == tmp_path / "flair-1.0.0.zip"


def test_a_folder_of_models_without_an_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no index\.json.*by --models or BRAINTUMORSEG_MODELS"):
        ModelStore.default({}, tmp_path)


def test_a_model_is_needed_with_its_classifier_and_a_classifier_alone() -> None:
    index = parse_index(make_index())
    assert [entry.name for entry in index.needed()] == ["flair", "slices"]
    assert [entry.name for entry in index.needed("slices")] == ["slices"]


def test_a_checkouts_own_file_is_used_in_place(store: ModelStore, tmp_path: Path, server: ModelServer) -> None:
    store = replace(store, models_folder=tmp_path)
    (tmp_path / "flair-1.0.0.zip").write_bytes(CONTENT)
    assert store.state() is ModelState.INSTALLED
    assert store.path() == store.download() == tmp_path / "flair-1.0.0.zip"
    assert server.requests == []
    assert not store.home.exists()


def test_a_damaged_file_of_the_checkout_gives_way_to_a_whole_copy(store: ModelStore, tmp_path: Path) -> None:
    store = replace(store, models_folder=tmp_path)
    (tmp_path / "flair-1.0.0.zip").write_bytes(OTHER)
    assert store.state() is ModelState.DAMAGED
    assert store.download() == store.path() == cached(store)
    assert (tmp_path / "flair-1.0.0.zip").read_bytes() == OTHER


def test_a_missing_model_is_told_with_the_ways_to_get_it(store: ModelStore) -> None:
    assert store.state() is ModelState.NOT_INSTALLED
    for look in (store.path, store.verify):
        with pytest.raises(
            ModelError, match=r"flair 1\.0\.0 is not installed.*models download flair` \(0\.3 MB\).*import"
        ):
            look()


@pytest.mark.parametrize("content", [OTHER, CONTENT[:-1], b""], ids=["other bytes", "cut short", "empty"])
def test_a_damaged_model_is_never_given_out(store: ModelStore, content: bytes) -> None:
    put_in_cache(store, content)
    assert store.state() is ModelState.DAMAGED
    for look in (store.path, store.verify):
        with pytest.raises(
            ModelError, match=r"flair failed its check: the SHA-256 of .*models download flair`, or import"
        ):
            look()


# Downloads


def test_a_download_ends_verified_in_the_cache(store: ModelStore) -> None:
    seen: list[tuple[int, int]] = []
    assert store.download("flair", lambda *now: seen.append(now)) == cached(store)
    assert cached(store).read_bytes() == CONTENT
    assert names_in(store.cache_folder) == ["flair-1.0.0.zip"]
    assert store.state() is ModelState.INSTALLED
    assert seen[-1] == (len(CONTENT), len(CONTENT))


def test_an_installed_model_is_not_downloaded_again(store: ModelStore, server: ModelServer) -> None:
    store.download()
    store.download()
    assert len(server.requests) == 1


def test_a_wrong_checksum_keeps_the_earlier_file_and_removes_the_new(store: ModelStore, server: ModelServer) -> None:
    put_in_cache(store, b"earlier")
    server.files["/flair-1.0.0.zip"] = OTHER
    with pytest.raises(ModelError, match=r"can't be downloaded from 127\.0\.0\.1: its SHA-256 is not the"):
        store.download()
    assert cached(store).read_bytes() == b"earlier"
    assert names_in(store.cache_folder) == ["flair-1.0.0.zip"]


def test_a_file_that_is_not_published_is_told_with_the_ways_round(store: ModelStore, server: ModelServer) -> None:
    server.files.clear()
    ways = r"get flair-1\.0\.0\.zip another way and run `braintumorseg models import FILE`, or set BRAINTUMORSEG_MIRROR"
    with pytest.raises(ModelError, match=rf"the server answered 404: the file is not there\..*{ways}"):
        store.download()
    assert store.state() is ModelState.NOT_INSTALLED


def test_the_place_of_publication_that_does_not_exist_yet_is_said(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The real address must not be asked by a test: a proxy that is not there stands between.
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match=r"from github\.com: .* No models are published there yet\..*import FILE"):
        replace(store, base_url=BASE_URL).download()


def test_a_mirrors_password_is_not_told(store: ModelStore, server: ModelServer) -> None:
    server.files.clear()
    secret = server.address.replace("http://", "http://user:secret@")
    with pytest.raises(ModelError) as caught:
        replace(store, base_url=secret).download()
    assert "secret" not in str(caught.value)


def test_a_mirror_can_be_a_folder(store: ModelStore, tmp_path: Path, server: ModelServer) -> None:
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "flair-1.0.0.zip").write_bytes(CONTENT)
    replace(store, base_url=str(tmp_path / "mirror")).download()
    assert cached(store).read_bytes() == CONTENT
    assert server.requests == []


def test_a_mirror_folder_with_another_file_is_refused(store: ModelStore, tmp_path: Path) -> None:
    (tmp_path / "flair-1.0.0.zip").write_bytes(OTHER)
    with pytest.raises(ModelError, match="its SHA-256 is"):
        replace(store, base_url=str(tmp_path)).download()
    assert names_in(store.cache_folder) == []


def test_a_mirror_that_is_neither_address_nor_folder_is_said(store: ModelStore) -> None:
    with pytest.raises(ModelError, match="from /nowhere: the mirror is neither an https address nor a folder"):
        replace(store, base_url="/nowhere").download()


def test_a_malformed_mirror_is_said_like_any_other(store: ModelStore) -> None:
    with pytest.raises(ModelError, match=r"from the mirror: the mirror has a malformed address. .*models import FILE"):
        replace(store, base_url="https://[bad").download()


def test_a_cancelled_download_leaves_nothing(store: ModelStore, server: ModelServer) -> None:
    server.pause_s = 0.05
    done: list[int] = []
    with pytest.raises(Cancelled):
        store.download(
            on_progress=lambda now, _: done.append(now), is_cancelled=lambda: bool(done) and done[-1] > 100_000
        )
    assert store.state() is ModelState.NOT_INSTALLED
    assert names_in(store.cache_folder) == []


def test_too_little_room_is_said_before_anything_is_asked(
    store: ModelStore, server: ModelServer, small_disk: Path
) -> None:
    with pytest.raises(OutputError, match=r"needs 1\.3 MB, but only 0\.\d MB are free.*set BRAINTUMORSEG_HOME"):
        replace(store, home=small_disk).download()
    assert server.requests == []


def test_a_disk_that_fills_up_meanwhile_is_said(
    store: ModelStore, server: ModelServer, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.pause_s = 0.05
    # Without it the small disk is refused at once; there must be room at first.
    monkeypatch.setattr("BrainTumorSegLib.engine.models.store._SPARE_BYTES", 0)
    store, filler = replace(store, home=small_disk), small_disk / "filler"

    def fill(_done_bytes: int, _total_bytes: int) -> None:
        with contextlib.suppress(OSError), filler.open("ab", buffering=0) as stream:
            while stream.write(bytes(4096)):
                pass

    with pytest.raises(OutputError, match="the disk is full.*Free some space"):
        store.download(on_progress=fill)
    filler.unlink()
    store.download()
    assert store.state() is ModelState.INSTALLED


def test_a_home_without_permission_is_said(store: ModelStore, forbidden_folder: Path) -> None:
    with pytest.raises(OutputError, match="no permission.*Choose a folder in which you may write"):
        replace(store, home=forbidden_folder / "home").download()


_DOWNLOAD = """
import json, sys
from pathlib import Path
from BrainTumorSegLib.engine.models.index import read_index
from BrainTumorSegLib.engine.models.store import ModelStore
print(ModelStore(read_index(Path(sys.argv[1])), Path(sys.argv[2]), None, sys.argv[3]).download())
"""


def start_download(tmp_path: Path, store: ModelStore) -> subprocess.Popen[str]:
    """A process of its own that downloads the default model into the store's home."""
    index = tmp_path / "index.json"
    index.write_text(json.dumps(make_index()))
    command = [sys.executable, "-c", _DOWNLOAD, str(index), str(store.home), store.base_url]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "BrainTumorSeg"), "NO_PROXY": "127.0.0.1"}
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_two_processes_that_download_at_once_share_one_transfer(
    store: ModelStore, tmp_path: Path, server: ModelServer
) -> None:
    server.pause_s = 0.05  # 19 pieces: the transfer takes a second, so that the two overlap
    processes = [start_download(tmp_path, store) for _ in range(2)]
    answers = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], answers
    assert [out.strip() for out, _ in answers] == [str(cached(store))] * 2
    assert cached(store).read_bytes() == CONTENT
    assert len(server.requests) == 1
    assert names_in(store.cache_folder) == ["flair-1.0.0.zip"]


@pytest.fixture
def shared(store: ModelStore, server: ModelServer) -> Iterator[ModelStore]:
    """A store in a folder that others reach, with both models published."""
    server.files["/slices-1.0.0.zip"] = CLASSIFIER
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield replace(store, home=Path(folder))


def test_a_second_user_uses_a_cache_that_only_the_first_may_write(
    shared: ModelStore, second_user: Callable[[], AbstractContextManager[None]]
) -> None:
    shared.download("flair")
    with second_user():
        assert shared.download("flair") == shared.path("flair") == cached(shared)
        with pytest.raises(OutputError, match="no permission.*BRAINTUMORSEG_HOME sets the folder for models"):
            shared.download("slices")
    shared.download("slices")
    assert names_in(shared.cache_folder) == ["flair-1.0.0.zip", "slices-1.0.0.zip"]


def test_two_users_take_turns_in_a_cache_that_both_may_write(
    shared: ModelStore, second_user: Callable[[], AbstractContextManager[None]]
) -> None:
    shared.download("flair")
    shared.cache_folder.chmod(0o777)
    with second_user():
        shared.download("slices")
    assert shared.path("slices").stat().st_uid != shared.path("flair").stat().st_uid


@pytest.mark.parametrize("seed", range(12))
def test_a_network_cut_anywhere_leaves_nothing_and_the_next_call_works(
    store: ModelStore, server: ModelServer, seed: int
) -> None:
    server.cuts = [random.Random(seed).randrange(len(CONTENT))]
    server.sends_length = seed % 2 == 0
    with pytest.raises(ModelError, match="failed 1 times in a row, at last because the connection was cut"):
        store.download()
    assert names_in(store.cache_folder) == []
    assert store.download().read_bytes() == CONTENT
    assert names_in(store.cache_folder) == ["flair-1.0.0.zip"]


@pytest.mark.parametrize("seed", range(12))
def test_a_cache_damaged_anywhere_is_never_used_and_mended_by_a_download(store: ModelStore, seed: int) -> None:
    chance = random.Random(seed)
    damaged = bytearray(CONTENT)
    if seed % 2:
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    else:
        del damaged[chance.randrange(len(damaged)) :]
    put_in_cache(store, bytes(damaged))
    assert store.state() is ModelState.DAMAGED
    with pytest.raises(ModelError, match="failed its check"):
        store.path()
    assert store.download().read_bytes() == CONTENT


def test_a_process_killed_in_the_middle_neither_locks_out_nor_spoils_the_next(
    store: ModelStore, tmp_path: Path, server: ModelServer
) -> None:
    server.pause_s = 0.1
    process = start_download(tmp_path, store)
    while process.poll() is None and not any(
        path.stat().st_size > 50_000 for path in store.cache_folder.glob(".braintumorseg-*/*")
    ):
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert store.state() is ModelState.NOT_INSTALLED
    assert len(names_in(store.cache_folder)) == 1
    server.pause_s = 0
    store.download()
    assert cached(store).read_bytes() == CONTENT
    assert names_in(store.cache_folder) == ["flair-1.0.0.zip"]


def test_waiting_for_another_process_can_be_cancelled(store: ModelStore, tmp_path: Path, server: ModelServer) -> None:
    server.stall_after, server.stall_s = 0, 30
    process = start_download(tmp_path, store)
    while process.poll() is None and not server.requests:
        time.sleep(0.02)
    with pytest.raises(Cancelled):
        store.download(is_cancelled=lambda: True)
    process.kill()
    process.communicate()


# Imports


def test_a_known_file_is_imported_whatever_its_name(store: ModelStore, tmp_path: Path, server: ModelServer) -> None:
    (tmp_path / "from a colleague.bin").write_bytes(CONTENT)
    assert store.import_file(tmp_path / "from a colleague.bin").name == "flair"
    assert store.path() == cached(store)
    assert server.requests == []


def test_an_import_replaces_a_damaged_copy(store: ModelStore, tmp_path: Path) -> None:
    put_in_cache(store, OTHER)
    (tmp_path / "good.zip").write_bytes(CONTENT)
    store.import_file(tmp_path / "good.zip")
    assert store.state() is ModelState.INSTALLED


@pytest.mark.parametrize("content", [OTHER, b"short"], ids=["right size", "other size"])
def test_an_unknown_file_is_refused_with_those_that_are_known(
    store: ModelStore, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "flair-1.0.0.zip").write_bytes(content)
    known = r"It knows flair-1\.0\.0\.zip \(SHA-256 \w{12}\.\.\.\), slices-1\.0\.0\.zip"
    with pytest.raises(ModelError, match=rf"is none of the models that this version knows.*{known}"):
        store.import_file(tmp_path / "flair-1.0.0.zip")
    assert not store.home.exists()


def test_a_file_that_is_not_there_can_not_be_imported(store: ModelStore, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.zip can't be read: No such file.*Choose a model file"):
        store.import_file(tmp_path / "none.zip")


# Removal


def test_a_removed_model_is_gone_with_what_interrupted_downloads_left(store: ModelStore) -> None:
    store.download()
    (store.cache_folder / ".braintumorseg-killed").mkdir()
    (store.cache_folder / ".braintumorseg-killed" / "half").write_bytes(b"x")
    store.remove("flair")
    assert store.state() is ModelState.NOT_INSTALLED
    assert names_in(store.cache_folder) == []


def test_what_is_not_installed_can_not_be_removed(store: ModelStore) -> None:
    with pytest.raises(ModelError, match="flair is not installed.*nothing to remove"):
        store.remove()


def test_a_checkouts_own_file_is_never_removed(store: ModelStore, tmp_path: Path) -> None:
    store = replace(store, models_folder=tmp_path)
    (tmp_path / "flair-1.0.0.zip").write_bytes(CONTENT)
    with pytest.raises(ModelError, match="belongs to the folder .*Delete the file there yourself"):
        store.remove()
    assert (tmp_path / "flair-1.0.0.zip").exists()


def test_every_model_error_ends_the_command_line_with_3_and_output_errors_with_2() -> None:
    assert (ModelError.exit_code, OutputError.exit_code) == (3, 2)
    assert issubclass(ModelError, BrainTumorSegError)


def test_importing_the_store_loads_neither_torch_nor_monai_nor_numpy_nor_requests() -> None:
    code = "import sys, BrainTumorSegLib.engine.models.store; print(*sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "BrainTumorSeg")}
    answer = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    loaded = set(answer.stdout.split())
    assert not loaded & {"torch", "monai", "numpy", "SimpleITK", "requests", "pooch"}
