"""A file from a real server that cuts, stalls, refuses, redirects or has another file, or from a mirror folder."""

from __future__ import annotations

import logging
import shutil
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from BrainTumorSegLib.engine.errors import Cancelled, ModelError
from BrainTumorSegLib.engine.models.download import DownloadSettings, bring_file
from BrainTumorSegLib.engine.models.index import ModelEntry
from BrainTumorSegLib.engine.networks.registry import Task
from model_server import ModelServer, make_certificate, make_content, make_entry, proxying, serving
from pace import pace

CONTENT = make_content(200_000)
QUICK = DownloadSettings(connect_timeout_s=2, read_timeout_s=0.3, attempts=2)
ONE_ATTEMPT = DownloadSettings(connect_timeout_s=2, read_timeout_s=0.3, attempts=1)
ENTRY = ModelEntry(**make_entry("model", CONTENT, task=Task.SEGMENTATION))


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serving() as running:
        running.files["/model-1.0.0.zip"] = CONTENT
        yield running


@pytest.fixture
def secure_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    """One that is trusted, and asked through a proxy if the environment names one."""
    if shutil.which("openssl") is None:
        pytest.skip("making a certificate needs openssl")
    certificate, key = make_certificate(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    with serving(certificate, key) as running:
        running.files["/model-1.0.0.zip"] = CONTENT
        yield running


def use_proxy(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, address)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's own server is not asked through a proxy that the environment may name."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def bring(
    base_url: str | Path,
    folder: Path,
    settings: DownloadSettings = ONE_ATTEMPT,
    on_progress: Callable[[int, int], None] = lambda *_: None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> bytes:
    """What arrived; nothing else may be left in the folder."""
    folder = folder / "arrivals"
    folder.mkdir(exist_ok=True)
    try:
        path = bring_file(ENTRY, str(base_url), folder, settings, on_progress, is_cancelled)
    except ModelError:
        assert list(folder.iterdir()) == []
        raise
    assert list(folder.iterdir()) == [path]
    return path.read_bytes()


def test_a_file_arrives_whole_and_progress_never_falls(server: ModelServer, tmp_path: Path) -> None:
    server.pause_s, server.cuts = 0.05, [150_000]
    seen: list[tuple[int, int]] = []
    assert bring(server.address, tmp_path, QUICK, lambda *now: seen.append(now)) == CONTENT
    assert seen == sorted(seen)
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert len(set(seen)) > 3


def test_a_cut_transfer_is_tried_again(server: ModelServer, tmp_path: Path) -> None:
    server.cuts = [70_000]
    assert bring(server.address, tmp_path, QUICK) == CONTENT
    assert len(server.requests) == 2


@pytest.mark.parametrize(("sends_length", "words"), [(True, ""), (False, " at 90000 of 200000 bytes")])
def test_a_transfer_that_is_always_cut_is_given_up(
    server: ModelServer, tmp_path: Path, sends_length: bool, words: str
) -> None:
    server.sends_length = sends_length
    server.cuts = [90_000]
    with pytest.raises(ModelError, match=f"failed 1 times in a row, at last because the connection was cut{words}"):
        bring(server.address, tmp_path)


@pytest.mark.parametrize("sends_length", [True, False], ids=["with length", "without length"])
def test_a_longer_file_is_refused_at_once(server: ModelServer, tmp_path: Path, sends_length: bool) -> None:
    server.files["/model-1.0.0.zip"] = CONTENT + CONTENT
    server.sends_length = sends_length
    with pytest.raises(ModelError, match="it is another file|another file is there: 400000 bytes instead of 200000"):
        bring(server.address, tmp_path, QUICK)
    assert len(server.requests) == 1


def test_a_changed_file_is_refused_by_its_checksum(server: ModelServer, tmp_path: Path) -> None:
    server.files["/model-1.0.0.zip"] = make_content(len(CONTENT), seed=1)
    with pytest.raises(ModelError, match="its SHA-256 is not the published one"):
        bring(server.address, tmp_path, QUICK)
    assert len(server.requests) == 1, "the same server would send the same file again"


@pytest.mark.parametrize("length", ["", "many", "-5", "2e5", "0x30D40", "9" * 5000])
def test_a_length_that_is_no_number_is_said(server: ModelServer, tmp_path: Path, length: str) -> None:
    server.length = length or " "
    with pytest.raises(ModelError, match="announced a length that is no number of bytes"):
        bring(server.address, tmp_path, QUICK)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "words"), [(404, "404: the file is not there"), (403, "403: it forbids"), (401, "password")]
)
def test_a_refusal_is_said_at_once(server: ModelServer, tmp_path: Path, status: int, words: str) -> None:
    server.status = status
    with pytest.raises(ModelError, match=words):
        bring(server.address, tmp_path, QUICK)
    assert len(server.requests) == 1


def test_a_busy_server_is_asked_again(server: ModelServer, tmp_path: Path) -> None:
    server.status, server.status_count = 503, 1
    assert bring(server.address, tmp_path, QUICK) == CONTENT
    assert len(server.requests) == 2


def test_a_server_that_stays_busy_is_given_up(server: ModelServer, tmp_path: Path) -> None:
    server.status = 503
    with pytest.raises(ModelError, match="failed 2 times in a row, at last because the server answered 503"):
        bring(server.address, tmp_path, QUICK)
    assert len(server.requests) == 2


def test_a_stalled_transfer_ends_after_the_time_limit(server: ModelServer, tmp_path: Path) -> None:
    server.stall_after, server.stall_s = 100_000, 30
    with pytest.raises(ModelError, match=r"nothing was received for 0\.3 s"):
        bring(server.address, tmp_path)


def test_a_server_that_is_not_there_is_said(tmp_path: Path) -> None:
    with serving() as server:
        address = server.address
    with pytest.raises(ModelError, match="failed 1 times in a row, at last because Connection refused"):
        bring(address, tmp_path)


def test_an_unknown_name_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="failed 1 times in a row, at last because .*(known|resol|No address|name)"):
        bring("https://nothing.invalid", tmp_path)


@pytest.mark.parametrize(
    "address", ["https://[bad", "https:///models", "https://host:port", "https://host:99999", "https://jo:port/x@host"]
)
def test_a_malformed_mirror_is_said(address: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="the mirror has a malformed address.*https://HOST/FOLDER") as caught:
        bring(address, tmp_path)
    assert "'port'" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("host", ["a..b", "x" * 70, "%", "a b", "\u2100"])
def test_a_host_that_can_be_none_is_said(host: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="address|transfer failed"):
        bring(f"https://{host}/models", tmp_path)


@pytest.mark.parametrize("address", ["http://models.hospital.org", "HTTP://10.0.0.1/models", "http://127.0.0.1.org"])
def test_a_mirror_without_https_is_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="the mirror has an address without https, which is refused"):
        bring(address, tmp_path)


@pytest.mark.parametrize("target", ["http://models.invalid/model.zip", "ftp://127.0.0.1/x", "file:///etc/passwd"])
def test_a_redirect_to_an_address_without_https_is_refused(server: ModelServer, tmp_path: Path, target: str) -> None:
    server.redirect = target
    with pytest.raises(ModelError, match=r"127\.0\.0\.1 redirects and has an address without https"):
        bring(server.address, tmp_path, QUICK)
    assert len(server.requests) == 1


def test_a_redirect_that_may_be_followed_is(server: ModelServer, tmp_path: Path) -> None:
    with serving() as first:
        first.redirect = f"{server.address}/model-1.0.0.zip"
        assert bring(first.address, tmp_path) == CONTENT


def test_a_secure_connection_that_breaks_is_said(server: ModelServer, tmp_path: Path) -> None:
    address = server.address.replace("http://", "https://")  # the server speaks no TLS
    with pytest.raises(ModelError, match="failed 1 times in a row, at last because the secure connection failed"):
        bring(address, tmp_path)


def test_a_certificate_of_ones_own_is_refused_until_it_is_trusted(
    secure_server: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as untrusting:
        untrusting.delenv("REQUESTS_CA_BUNDLE")
        with pytest.raises(ModelError, match="certificate of 127.0.0.1 could not be verified.*REQUESTS_CA_BUNDLE"):
            bring(secure_server.address, tmp_path, QUICK)
    assert secure_server.requests == []
    assert bring(secure_server.address, tmp_path, QUICK) == CONTENT


def test_the_environments_proxy_is_used_and_its_failure_said(
    server: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_proxy(monkeypatch, server.address)
    with pytest.raises(ModelError, match="the proxy on the way to models.invalid failed.*HTTPS_PROXY"):
        bring("https://models.invalid", tmp_path, QUICK)
    assert [path for path, _ in server.requests] == ["models.invalid:443"]


USER, PASSWORD = "dr.jorg", "s3cret@ward/7"


@pytest.mark.parametrize("form", ["http://dr.jorg:s3cret%40ward%2F7@{}", "http://{}", "http://dr.jorg:s3cret%40@{}"])
def test_a_proxy_is_told_the_environment_s_password_and_nobody_else_is(
    secure_server: ModelServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    form: str,
) -> None:
    said = ""
    with proxying(USER, PASSWORD) as (address, refused), caplog.at_level(logging.DEBUG):
        use_proxy(monkeypatch, form.format(address))
        try:
            assert bring(secure_server.address, tmp_path, QUICK) == CONTENT
        except ModelError as error:
            said = "".join(traceback.format_exception(error))
    is_right = "%2F" in form
    assert bool(refused) is not is_right
    assert is_right or "the proxy on the way to 127.0.0.1 wants another user name and password" in said
    assert is_right or "Set HTTPS_PROXY to http://NAME:PASSWORD@HOST:PORT, with %40 for each @" in said
    assert "Proxy-Authorization" not in str(secure_server.requests)
    assert not any(word in said + caplog.text for word in ("s3cret", "ward", "jorg"))


@pytest.mark.parametrize(
    "proxy",
    [
        "http://jo:s3cret/ward@127.0.0.1:9",
        "http://jo:s3cret#ward@127.0.0.1:9",
        "http://jo:s3cret[@127.0.0.1:9",
        "http://jo:s3cret@",
        "http://jo:s3cret@127.0.0.1:port",
        "jo:s3cret@127.0.0.1:9",
        "socks5://jo:s3cret@127.0.0.1:9",
        "http:///jo:s3cret",
    ],
)
def test_a_proxy_that_can_be_none_is_said_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    use_proxy(monkeypatch, proxy)
    with pytest.raises(ModelError, match="the setting HTTPS_PROXY is no address of a proxy.*%2F for /") as caught:
        bring("https://models.invalid", tmp_path, QUICK)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_a_proxy_may_be_named_by_host_and_port_alone(
    secure_server: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxying("", "") as (address, refused):
        use_proxy(monkeypatch, address)
        with pytest.raises(ModelError, match="wants another user name"):
            bring(secure_server.address, tmp_path, QUICK)
        assert refused == [secure_server.address.removeprefix("https://")]


def test_a_cancel_is_seen_while_the_server_stalls(server: ModelServer, tmp_path: Path) -> None:
    server.stall_after, server.stall_s = 50_000, 30
    began = time.monotonic()
    with pytest.raises(Cancelled):
        bring(
            server.address,
            tmp_path,
            DownloadSettings(read_timeout_s=30),
            is_cancelled=lambda: time.monotonic() - began > 0.5,
        )
    assert time.monotonic() - began < 15  # the server would stall for 30 s


def test_a_cancel_is_seen_during_the_wait_before_a_retry(server: ModelServer, tmp_path: Path) -> None:
    server.status = 503
    began = time.monotonic()
    with pytest.raises(Cancelled):
        bring(server.address, tmp_path, DownloadSettings(attempts=9), is_cancelled=lambda: len(server.requests) > 0)
    assert time.monotonic() - began < pace()  # pooch waits for a second
    time.sleep(1.5)
    assert len(server.requests) == 1  # and nobody asks again


def test_a_file_is_copied_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / "model-1.0.0.zip").write_bytes(CONTENT)
    assert bring(tmp_path, tmp_path) == CONTENT


def test_a_file_that_a_mirror_folder_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"model-1\.0\.0\.zip can't be read: No such file"):
        bring(tmp_path, tmp_path)


def test_a_mirror_folders_file_of_another_size_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model-1.0.0.zip").write_bytes(b"x")
    with pytest.raises(ModelError, match="another file is there: 1 bytes instead of 200000"):
        bring(tmp_path, tmp_path)


def test_a_copy_can_be_cancelled(tmp_path: Path) -> None:
    (tmp_path / "model-1.0.0.zip").write_bytes(CONTENT)
    with pytest.raises(Cancelled):
        bring(tmp_path, tmp_path, is_cancelled=lambda: True)


def test_nothing_but_our_own_words_is_printed(
    server: ModelServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bring(server.address.replace("http://", "http://user:secret@"), tmp_path)
    assert capfd.readouterr() == ("", "")
