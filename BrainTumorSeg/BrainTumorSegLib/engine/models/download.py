"""One model file from a server or a mirror folder, by pooch: whole and with its SHA-256, or not at all.

Messages begin in lower case: the caller says what was wanted.
"""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import logging
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import SplitResult, urljoin, urlsplit

from BrainTumorSegLib.engine.errors import Cancelled, ModelError
from BrainTumorSegLib.engine.models.index import ModelEntry

if TYPE_CHECKING:
    import requests

logger = logging.getLogger(__name__)

_POLL_S = 0.1
_CHUNK_BYTES = 64 * 1024
_OK = 200
_WORTH_A_RETRY = {408, 425, 429, 500, 502, 503, 504}
_MEANING = {
    401: ": it wants a password",
    403: ": it forbids access",
    404: ": the file is not there",
    407: ": the proxy wants a password",
    410: ": the file is no longer there",
}
_CORRECT_MIRROR = "Correct the mirror's address: https://HOST/FOLDER."
_CORRECT_PROXY = (
    "Set HTTPS_PROXY to http://NAME:PASSWORD@HOST:PORT, with %40 for each @ in name and password, %2F for / and so on."
)


@dataclass(frozen=True)
class DownloadSettings:
    """How patient a download is.

    connect_timeout_s: for the connection. read_timeout_s: without one new byte. attempts: in all; pooch waits a second
    longer before each.
    """

    connect_timeout_s: float = 10.0
    read_timeout_s: float = 30.0
    attempts: int = 4


@dataclass
class _Receipt:
    """What has arrived, written by the thread that receives and read by the one that waits.

    furthest_bytes: of all attempts.
    """

    size_bytes: int
    sha256: str
    furthest_bytes: int = 0
    attempts: int = 0
    abandoned: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None


class _CutShortError(ValueError):
    """A body without length ended early. A ValueError, which pooch answers with another attempt."""


def bring_file(
    entry: ModelEntry,
    base_url: str,
    folder: Path,
    settings: DownloadSettings,
    on_progress: Callable[[int, int], None],
    is_cancelled: Callable[[], bool],
) -> Path:
    """Bring the entry's file from an https address or a folder into ``folder``, verified, and say where it is.

    on_progress gets the bytes done and the bytes in all, never falling. Plain http is taken from this computer only.
    Raises ModelError where the server can't be reached, refuses or has another file; OSError where ``folder`` can't be
    written; Cancelled within 0.2 s of the wish, while the thread that receives notices at its next byte.
    """
    receipt = _Receipt(entry.size_bytes, entry.sha256)
    receive = _receiver(entry, base_url, folder, settings, receipt)
    on_progress(0, entry.size_bytes)
    if is_cancelled():
        raise Cancelled
    # In a thread of its own: looking up a name, connecting and a stalled body can't be interrupted, but a cancel or
    # Ctrl-C must not wait for them.
    thread = threading.Thread(target=_run, args=(receive, receipt), name="download", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            if is_cancelled():
                raise Cancelled
            thread.join(_POLL_S)
            on_progress(receipt.furthest_bytes, entry.size_bytes)
    finally:
        receipt.abandoned.set()
    if receipt.error is not None:
        raise _explained(receipt.error, receipt, settings) from receipt.error
    return folder / entry.file


def is_address(base_url: str) -> bool:
    """Whether a mirror is meant as an address; otherwise it is a folder."""
    return re.match(r"https?:", base_url, re.IGNORECASE) is not None


def host_of(base_url: str) -> str:
    """The host of an address, without a user name or password that it may hold; a folder as it is."""
    if not is_address(base_url):
        return base_url
    with contextlib.suppress(ValueError):
        return urlsplit(base_url).hostname or "the mirror"
    return "the mirror"


def _receiver(
    entry: ModelEntry, base_url: str, folder: Path, settings: DownloadSettings, receipt: _Receipt
) -> Callable[[], None]:
    """What brings the file, every attempt included. Raises ModelError for a mirror that can't be one."""
    if is_address(base_url):
        _check_address(base_url, "the mirror")
        downloader, retries = _http_downloader(settings, receipt), settings.attempts - 1
    elif Path(base_url).expanduser().is_dir():
        base_url = str(Path(base_url).expanduser())
        downloader, retries = _folder_downloader(receipt), 0
    else:
        raise ModelError("the mirror is neither an https address nor a folder.", _CORRECT_MIRROR)

    def receive() -> None:
        import pooch  # takes 0.2 s to import: only when needed

        pooch.get_logger().setLevel(logging.CRITICAL)  # it prints addresses, which may hold a password
        source = pooch.Pooch(
            path=folder,
            base_url=base_url.rstrip("/") + "/",
            registry={entry.file: f"sha256:{entry.sha256}"},
            retry_if_failed=retries,
        )
        source.fetch(entry.file, downloader=downloader)

    return receive


def _run(receive: Callable[[], None], receipt: _Receipt) -> None:
    try:
        receive()
    except Exception as error:  # noqa: BLE001 - every kind is raised again in the caller's thread
        receipt.error = error


class _Sink:
    """The file that an attempt writes: counts, takes no byte too many, and none that nobody waits for any more."""

    def __init__(self, stream: IO[bytes], receipt: _Receipt) -> None:
        self._stream, self._receipt = stream, receipt
        self.done_bytes = 0
        self.hash = hashlib.sha256()

    def write(self, piece: bytes) -> None:
        """Raises ModelError for more than the file's bytes, Cancelled, and OSError."""
        if self._receipt.abandoned.is_set():
            raise Cancelled
        self.done_bytes += len(piece)
        if self.done_bytes > self._receipt.size_bytes:
            expected = self._receipt.size_bytes
            raise ModelError(f"more than the expected {expected} bytes were sent: it is another file.")
        self._stream.write(piece)
        self.hash.update(piece)
        self._receipt.furthest_bytes = max(self._receipt.furthest_bytes, self.done_bytes)

    def flush(self) -> None:
        """A full disk is seen here."""
        self._stream.flush()


@contextlib.contextmanager
def _attempt(path: str, receipt: _Receipt) -> Iterator[_Sink]:
    receipt.attempts += 1
    if receipt.abandoned.is_set():
        raise Cancelled
    Path(path).unlink(missing_ok=True)  # pooch's own, which none but its maker may read; the new one is as others
    with Path(path).open("wb") as stream:
        sink = _Sink(stream, receipt)
        yield sink
    if sink.done_bytes < receipt.size_bytes:
        raise _CutShortError(f"the connection was cut at {sink.done_bytes} of {receipt.size_bytes} bytes")
    if sink.hash.hexdigest() != receipt.sha256:
        # Not left to pooch, which takes it for a cut transfer and brings the same file again and again.
        raise ModelError("its SHA-256 is not the published one: it is another file, or was changed on the way.")


def _folder_downloader(receipt: _Receipt) -> Callable[..., None]:
    def copy(source: str, output_file: str, _pooch: Any) -> None:
        with _attempt(output_file, receipt) as sink:
            for piece in _pieces(Path(source), receipt):
                sink.write(piece)

    return copy


def _pieces(source: Path, receipt: _Receipt) -> Iterator[bytes]:
    try:
        with source.open("rb") as stream:
            _check_size(source.stat().st_size, receipt)
            yield from iter(lambda: stream.read(_CHUNK_BYTES), b"")
    except OSError as error:
        raise ModelError(f"{source} can't be read: {error.strerror or error}.") from error


def _http_downloader(settings: DownloadSettings, receipt: _Receipt) -> Callable[..., None]:
    def check_answer(response: requests.Response, *_: Any, **__: Any) -> None:
        """Called by requests for every answer, redirects included, before anything follows from it."""
        if response.is_redirect:
            _check_address(
                urljoin(response.url, response.headers["Location"]), f"{host_of(response.url)} redirects and"
            )
        elif response.status_code == _OK:
            _check_length(response.headers.get("Content-Length"), receipt)
        elif response.status_code not in _WORTH_A_RETRY:
            meaning = _MEANING.get(response.status_code, "")
            raise ModelError(f"the server answered {response.status_code}{meaning}.")

    def receive(url: str, output_file: str, pooch_: Any) -> None:
        import requests
        from pooch import HTTPDownloader

        download = HTTPDownloader(
            chunk_size=_CHUNK_BYTES,
            timeout=(settings.connect_timeout_s, settings.read_timeout_s),
            headers={"Accept-Encoding": "identity"},  # or the length would not be the file's
            hooks={"response": check_answer},
        )
        _check_proxy(url)
        with _attempt(output_file, receipt) as sink:
            try:
                download(url, sink, pooch_)
            except requests.RequestException as error:
                if (final := _final(error, host_of(url))) is not None:
                    raise final from error
                raise

    return receive


def _check_address(url: str, whose: str) -> None:
    """Raises ModelError unless it is an https address, or one of this computer."""
    parts = _parsed(url)
    if parts is None or (parts.scheme in {"http", "https"} and not parts.hostname):
        raise ModelError(f"{whose} has a malformed address.", _CORRECT_MIRROR)
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        raise ModelError(f"{whose} has an address without https, which is refused.", _CORRECT_MIRROR)


def _parsed(url: str) -> SplitResult | None:
    """None for what is no address: the words of the error would quote a part of it, which may be a password."""
    with contextlib.suppress(ValueError):
        parts = urlsplit(url)
        _ = parts.port  # asking for it checks it
        return parts
    return None


def _check_proxy(url: str) -> None:
    """Raises ModelError for a proxy in the environment that can't be one: others' words would quote its password."""
    from requests.utils import get_environ_proxies, select_proxy

    proxy = select_proxy(url, get_environ_proxies(url)) or "http://none"
    has_scheme = "://" in proxy
    parts = _parsed(proxy if has_scheme else f"http://{proxy}")
    is_one = parts is not None and parts.scheme in {"http", "https"} and bool(parts.hostname)
    if not is_one or ("@" in proxy and not has_scheme):
        raise ModelError("the setting HTTPS_PROXY is no address of a proxy.", _CORRECT_PROXY)


def _is_loopback(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _check_length(announced: str | None, receipt: _Receipt) -> None:
    if announced is None:
        return
    if not re.fullmatch(r"[0-9]{1,18}", announced):
        raise ModelError(f"the server announced a length that is no number of bytes ({announced[:40]!r}).")
    _check_size(int(announced), receipt)


def _check_size(found_bytes: int, receipt: _Receipt) -> None:
    if found_bytes != receipt.size_bytes:
        raise ModelError(f"another file is there: {found_bytes} bytes instead of {receipt.size_bytes}.")


def _final(error: requests.RequestException, host: str) -> ModelError | None:
    """What a network error means that no further attempt would help; None for any other."""
    import requests

    if isinstance(error, requests.exceptions.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        return ModelError(
            f"the certificate of {host} could not be verified.",
            "If your institution inspects secure connections, set REQUESTS_CA_BUNDLE to its certificate file.",
        )
    if isinstance(error, requests.exceptions.ProxyError) and "Tunnel connection failed: 407" in str(error):
        return ModelError(f"the proxy on the way to {host} wants another user name and password.", _CORRECT_PROXY)
    if isinstance(error, requests.exceptions.ProxyError):
        return ModelError(f"the proxy on the way to {host} failed.", "Check the setting HTTPS_PROXY.")
    passing = (
        requests.exceptions.ConnectionError,
        requests.exceptions.Timeout,
        requests.exceptions.ChunkedEncodingError,
        requests.exceptions.HTTPError,
    )
    if isinstance(error, passing):
        return None
    return ModelError(f"the address of {host} can't be used ({type(error).__name__}).", _CORRECT_MIRROR)


def _explained(error: Exception, receipt: _Receipt, settings: DownloadSettings) -> Exception:
    """What ended a download, in words; an error of ours or of the disk as it is."""
    import requests

    if isinstance(error, requests.RequestException):
        reason = _passing_reason(error, settings)
    elif isinstance(error, _CutShortError):
        reason = str(error)
    elif isinstance(error, ValueError):
        return ModelError(f"the address can't be used ({type(error).__name__}).", _CORRECT_MIRROR)
    else:
        return error
    return ModelError(f"the transfer failed {receipt.attempts} times in a row, at last because {reason}.")


def _passing_reason(error: requests.RequestException, settings: DownloadSettings) -> str:
    import requests

    if isinstance(error, requests.exceptions.HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code}"
    if isinstance(error, requests.exceptions.SSLError):
        return "the secure connection failed"
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return f"no connection within {settings.connect_timeout_s:g} s"
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, TimeoutError):
            return f"nothing was received for {settings.read_timeout_s:g} s"
        if isinstance(inner, OSError) and not isinstance(inner, requests.RequestException) and inner.strerror:
            return inner.strerror  # the operating system's own words, such as "Connection refused"
        inner = inner.__cause__ or inner.__context__
    return "the connection was cut"
