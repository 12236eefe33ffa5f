"""What becomes of the models on this machine when the network, a proxy, the cache or a second user makes trouble.

Part of benchmarks/reliability.py. Servers and proxies are real ones, on this machine's own loopback address.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import random
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

from BrainTumorSegLib.engine.errors import BrainTumorSegError, ModelError
from BrainTumorSegLib.engine.models.download import DownloadSettings
from BrainTumorSegLib.engine.models.index import parse_index, read_index
from BrainTumorSegLib.engine.models.store import ModelState, ModelStore
from model_server import ModelServer, make_certificate, make_content, make_entry, proxying, serving
from tally import Tally

CONTENT, OTHER = make_content(300_000), make_content(50_000, seed=2)
INDEX = {
    "schema": 1,
    "models": [
        make_entry("flair", CONTENT, default=True, classifier="slices"),
        make_entry("slices", OTHER, task="classification", default=True),
    ],
}
NOBODY = 65534
_DOWNLOAD = """
import sys
from pathlib import Path
from BrainTumorSegLib.engine.models.index import read_index
from BrainTumorSegLib.engine.models.store import ModelStore
ModelStore(read_index(Path(sys.argv[1])), Path(sys.argv[2]), None, sys.argv[3]).download()
"""


def model_faults(folder: Path, count: int) -> list[Tally]:
    """Each kind of trouble ``count`` times, those of proxies and users as often as there are forms of them."""
    folder.mkdir()
    return [*_network(folder / "network", count), *_proxy(folder), *_cache(folder, count), *_users(folder / "users")]


@contextlib.contextmanager
def _published(folder: Path, *tls: Path) -> Iterator[tuple[ModelServer, ModelStore]]:
    """A server with both models, and a store in the folder that asks it."""
    with patch.dict(os.environ, {} if tls else {"NO_PROXY": "127.0.0.1"}), serving(*tls) as server:
        server.files.update({"/flair-1.0.0.zip": CONTENT, "/slices-1.0.0.zip": OTHER})
        settings = DownloadSettings(connect_timeout_s=5, read_timeout_s=0.5, attempts=1)
        yield server, ModelStore(parse_index(INDEX), folder, None, server.address, settings)


def _left(store: ModelStore) -> int:
    """How many files lie in the cache, the lock left out."""
    return sum(path.name != ".lock" for path in store.cache_folder.iterdir())


def _network(folder: Path, count: int) -> list[Tally]:
    chance = random.Random(5)
    found = {"the network is cut in a download": [0, 0], "the network falls silent in a download": [0, 0]}
    for number in range(2 * count):
        is_silent = number % 2 == 1
        survived_half = found[list(found)[is_silent]]
        with _published(folder) as (server, store):
            where = chance.randrange(len(CONTENT))
            server.sends_length = chance.random() < 0.5
            if is_silent:
                server.stall_after, server.stall_s = where, 30.0
            else:
                server.cuts = [where]
            with contextlib.suppress(ModelError):
                store.download()
            survived_half[1] += _left(store)
            server.stall_after = None
            survived_half[0] += store.download().read_bytes() == CONTENT
            store.remove()
    return [Tally(name, count, survived, half_written=half) for name, (survived, half) in found.items()]


def _proxy(folder: Path) -> list[Tally]:
    """A proxy that wants a password: told it, told none, told another, and a setting that can be no address."""
    forms = {
        "http://jo:s3cret%40ward@{}": "",
        "http://{}": "wants another user name and password",
        "http://jo:s3cret@{}": "wants another user name and password",
        "http://jo:s3cret/ward@{}": "is no address of a proxy",
        "jo:s3cret@{}": "is no address of a proxy",
    }
    certificate, key = make_certificate(folder)
    right, leaks = 0, 0
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    logging.getLogger().addHandler(handler)
    for number, (form, expected) in enumerate(forms.items()):
        with (
            proxying("jo", "s3cret@ward") as (address, _),
            _published(folder / f"p{number}", certificate, key) as (
                _,
                store,
            ),
        ):
            proxy = form.format(address)
            trusted = {"REQUESTS_CA_BUNDLE": str(certificate), "NO_PROXY": "", "no_proxy": ""}
            with patch.dict(os.environ, {**trusted, "HTTPS_PROXY": proxy, "https_proxy": proxy}):
                said = _said(store.download)
        right += expected in said if expected else not said
        leaks += "s3cret" in said + log.getvalue()
    logging.getLogger().removeHandler(handler)
    return [
        Tally("a proxy wants a password (right, none, wrong, malformed)", len(forms), right),
        Tally("its password searched for in messages, tracebacks and the log", len(forms), len(forms) - leaks),
    ]


def _said(do: Callable[[], object]) -> str:
    """All that an error shows with --debug, "" where there is none."""
    try:
        do()
    except BrainTumorSegError as error:
        return "".join(traceback.format_exception(error))
    return ""


def _cache(folder: Path, count: int) -> list[Tally]:
    chance = random.Random(6)
    kinds: dict[str, Callable[[bytearray], object]] = {
        "a bit of a cached model changed": lambda data: _flip(data, chance),
        "a cached model cut short": lambda data: data.__delitem__(slice(chance.randrange(len(data)), None)),
        "zeros in a cached model, as after a power cut": lambda data: _zero(data, chance.randrange(len(data) - 5000)),
    }
    tallies = []
    with _published(folder / "cache") as (_, store):
        for name, damage in kinds.items():
            survived = 0
            for _ in range(count):
                path = store.download()
                damaged = bytearray(CONTENT)
                damage(damaged)
                path.write_bytes(damaged)
                is_refused = store.state() is ModelState.DAMAGED and "failed its check" in _said(store.path)
                survived += is_refused and store.download().read_bytes() == CONTENT
            tallies.append(Tally(name, count, survived))
    return [*tallies, _index(folder / "index.json", count, chance)]


def _flip(data: bytearray, chance: random.Random) -> None:
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _zero(data: bytearray, begin: int) -> None:
    data[begin : begin + 4096] = bytes(4096)


def _index(path: Path, count: int, chance: random.Random) -> Tally:
    """An index is refused in words, or the change was in a text that decides nothing; then it is read."""
    survived = 0
    for number in range(count):
        content = bytearray(json.dumps(INDEX).encode())
        if number % 2:
            del content[chance.randrange(len(content)) :]
        else:
            _flip(content, chance)
        path.write_bytes(content)
        try:
            read_index(path)
            survived += 1
        except ModelError as error:
            survived += bool(error.message and error.action)
    return Tally("`index.json` damaged", count, survived)


def _users(folder: Path) -> list[Tally]:
    rounds, transfers = 5, 0
    for number in range(rounds):
        with _published(folder / str(number)) as (server, store):
            server.pause_s = 0.05
            index = folder / "index.json"
            folder.mkdir(exist_ok=True)
            index.write_text(json.dumps(INDEX))
            command = [sys.executable, "-c", _DOWNLOAD, str(index), str(store.home), server.address]
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
            processes = [subprocess.Popen(command, env=environment) for _ in range(2)]
            is_well = [process.wait() for process in processes] == [0, 0] and store.path().read_bytes() == CONTENT
            transfers += is_well and len(server.requests) == 1
    with _published(folder / "theirs") as (_, store):
        store.download("flair")
        with _another_user():
            uses = store.download("flair") == store.path("flair")
            uses = uses and "no permission" in _said(lambda: store.download("slices"))
        store.cache_folder.chmod(0o777)
        with _another_user():
            shares = store.download("slices") == store.path("slices")
    return [
        Tally("two processes bring one model at once: one transfer, both have it", rounds, transfers),
        Tally("a second user with a cache that only the first may write", 1, int(uses)),
        Tally("a second user with a cache that both may write", 1, int(shares)),
    ]


@contextlib.contextmanager
def _another_user() -> Iterator[None]:
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
