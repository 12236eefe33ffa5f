"""One HTTP(S) answer as a stream whose reader can leave at any moment."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

import requests
import urllib3

from BrainTumorSegLib.engine.errors import Cancelled, ModelError
from BrainTumorSegLib.engine.models.download import DownloadSettings, Interrupted

_CHUNK_BYTES = 16 * 1024
_POLL_S = 0.1
_TIMED_OUT = (requests.exceptions.ReadTimeout, urllib3.exceptions.ReadTimeoutError)


@dataclass(frozen=True)
class Head:
    """The beginning of an answer: HTTP status, and headers whose names are case-insensitive."""

    status: int
    headers: Mapping[str, str]


@dataclass(frozen=True)
class _Inbox:
    """What the network thread hands over: the head, pieces of the body, then None; or the error that ended it."""

    items: queue.Queue[Head | bytes | Exception | None] = field(default_factory=lambda: queue.Queue(maxsize=16))
    abandoned: threading.Event = field(default_factory=threading.Event)

    def put(self, item: Head | bytes | Exception | None) -> bool:
        """Wait for room; whether the item was taken in before the reader left."""
        while not self.abandoned.is_set():
            with contextlib.suppress(queue.Full):
                self.items.put(item, timeout=_POLL_S)
                return True
        return False

    def take(self, is_cancelled: Callable[[], bool]) -> Head | bytes | Exception | None:
        """Wait for an item. Raises Cancelled."""
        while not is_cancelled():
            with contextlib.suppress(queue.Empty):
                return self.items.get(timeout=_POLL_S)
        raise Cancelled


@contextlib.contextmanager
def open_url(
    url: str, headers: Mapping[str, str], settings: DownloadSettings, is_cancelled: Callable[[], bool]
) -> Iterator[tuple[Head, Iterator[bytes]]]:
    """The answer's head and the pieces of its body.

    The network is read in a thread of its own: looking up a name, connecting and a stalled body can't be interrupted,
    but a cancel or Ctrl-C must not wait for them. Raises Interrupted for what may pass, ModelError for what won't,
    and Cancelled.
    """
    inbox = _Inbox()

    def take() -> Head | bytes | None:
        item = inbox.take(is_cancelled)
        if isinstance(item, Exception):
            raise _explain(item, url, settings) from item
        return item

    def body() -> Iterator[bytes]:
        while isinstance(piece := take(), bytes):
            yield piece

    threading.Thread(target=_receive, args=(url, dict(headers), settings, inbox), name="download", daemon=True).start()
    try:
        yield cast(Head, take()), body()
    finally:
        inbox.abandoned.set()


def _receive(url: str, headers: dict[str, str], settings: DownloadSettings, inbox: _Inbox) -> None:
    proxies = {"http": settings.proxy, "https": settings.proxy} if settings.proxy else None
    timeouts = (settings.connect_timeout_s, settings.read_timeout_s)
    try:
        with requests.get(url, headers=headers, proxies=proxies, timeout=timeouts, stream=True) as response:
            inbox.put(Head(response.status_code, response.headers))
            for piece in response.iter_content(_CHUNK_BYTES):
                if not inbox.put(piece):
                    return
        inbox.put(None)
    except Exception as error:  # noqa: BLE001 - every kind is raised again in the reader's thread
        inbox.put(error)


def _explain(error: Exception, url: str, settings: DownloadSettings) -> Exception:
    """What a network error means: Interrupted if a retry may help, ModelError if not."""
    host = host_of(url)
    cause = error.args[0] if error.args else None
    if isinstance(error, requests.exceptions.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        return ModelError(
            f"the certificate of {host} could not be verified.",
            "If your institution inspects secure connections, set REQUESTS_CA_BUNDLE to its certificate file.",
        )
    if isinstance(error, requests.exceptions.SSLError):
        return Interrupted("the secure connection failed")
    if isinstance(error, requests.exceptions.ProxyError):
        return ModelError(f"the proxy on the way to {host} failed.", "Check the setting HTTPS_PROXY.")
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return Interrupted(f"no connection within {settings.connect_timeout_s:g} s")
    if isinstance(error, _TIMED_OUT) or isinstance(cause, _TIMED_OUT):
        return Interrupted(f"nothing was received for {settings.read_timeout_s:g} s")
    if isinstance(error, requests.exceptions.ConnectionError | requests.exceptions.ChunkedEncodingError):
        return Interrupted(_system_reason(error))
    if isinstance(error, requests.RequestException):
        return ModelError(f"the address of {host} can't be used ({type(error).__name__}).")
    return error


def _system_reason(error: BaseException) -> str:
    """The operating system's own words ("Connection refused") from deep inside a requests exception."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and not isinstance(inner, requests.RequestException) and inner.strerror:
            return inner.strerror
        inner = inner.__cause__ or inner.__context__
    return "the connection was cut"


def host_of(url: str) -> str:
    """The address's host, without a user name or password that it may hold."""
    return urlsplit(url).hostname or "the server"
