"""A file over HTTP from a real server that cuts, stalls, refuses, ignores ranges or has another file."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from BrainTumorSegLib.engine.errors import Cancelled, ModelError
from BrainTumorSegLib.engine.models.download import DownloadSettings, Transfer, copy_file, download_file
from model_server import ModelServer, make_content, serving

CONTENT = make_content(200_000)
QUICK = DownloadSettings(connect_timeout_s=2, read_timeout_s=0.3, attempts=3, backoff_s=0.01)
ONE_ATTEMPT = DownloadSettings(connect_timeout_s=2, read_timeout_s=0.3, attempts=1)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serving() as running:
        running.files["/model.zip"] = CONTENT
        yield running


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's own server is not asked through a proxy that the environment may name."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def make_transfer(folder: Path, seen: list[tuple[int, int]] | None = None) -> Transfer:
    reports = seen if seen is not None else []
    return Transfer(folder / "model.zip.part", len(CONTENT), lambda *now: reports.append(now), lambda: False)


def url_of(server: ModelServer) -> str:
    return f"{server.address}/model.zip"


def test_a_file_arrives_whole_and_progress_never_falls(server: ModelServer, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    transfer = make_transfer(tmp_path, seen)
    download_file(url_of(server), transfer, QUICK)
    assert transfer.part.read_bytes() == CONTENT
    assert seen == sorted(seen)
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert len(seen) > 10


def test_a_cut_transfer_goes_on_by_itself_where_it_stopped(server: ModelServer, tmp_path: Path) -> None:
    server.cuts = [70_000, 60_000]
    seen: list[tuple[int, int]] = []
    transfer = make_transfer(tmp_path, seen)
    download_file(url_of(server), transfer, QUICK)
    assert transfer.part.read_bytes() == CONTENT
    ranges = [headers.get("Range") for _, headers in server.requests]
    assert ranges[0] is None
    assert [int(each[len("bytes=") : -1]) for each in ranges[1:] if each] == _restarts(seen)
    assert len(server.requests) == 3
    assert seen == sorted(seen)


def _restarts(seen: list[tuple[int, int]]) -> list[int]:
    """The bytes at which a transfer went on: progress reports them twice."""
    return [now[0] for before, now in itertools.pairwise(seen) if before == now]


def test_a_later_call_goes_on_where_an_earlier_one_stopped(server: ModelServer, tmp_path: Path) -> None:
    server.cuts = [100_000]
    transfer = make_transfer(tmp_path)
    with pytest.raises(ModelError, match=r"failed 1 times in a row.*cut"):
        download_file(url_of(server), transfer, ONE_ATTEMPT)
    begun = transfer.done_bytes
    assert 80_000 < begun <= 100_000
    assert transfer.part.read_bytes() == CONTENT[:begun]
    download_file(url_of(server), transfer, ONE_ATTEMPT)
    assert transfer.part.read_bytes() == CONTENT
    assert server.requests[-1][1]["Range"] == f"bytes={begun}-"


def test_a_body_without_length_that_ends_early_is_noticed(server: ModelServer, tmp_path: Path) -> None:
    server.sends_length = False
    server.cuts = [90_000]
    transfer = make_transfer(tmp_path)
    with pytest.raises(ModelError, match="the connection was cut at 90000 of 200000 bytes"):
        download_file(url_of(server), transfer, ONE_ATTEMPT)


def test_a_transfer_that_gets_further_each_time_is_never_given_up(server: ModelServer, tmp_path: Path) -> None:
    server.cuts = [40_000] * 4
    transfer = make_transfer(tmp_path)
    download_file(url_of(server), transfer, DownloadSettings(attempts=2, backoff_s=0.01))
    assert transfer.part.read_bytes() == CONTENT
    assert len(server.requests) == 5


def test_another_range_than_was_asked_for_is_not_joined(server: ModelServer, tmp_path: Path) -> None:
    server.range_shift = 1_000
    transfer = make_transfer(tmp_path)
    transfer.part.write_bytes(CONTENT[:100_000])
    download_file(url_of(server), transfer, QUICK)
    assert transfer.part.read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_a_server_without_ranges_sends_the_whole_file_again(server: ModelServer, tmp_path: Path) -> None:
    server.supports_range = False
    server.cuts = [70_000]
    transfer = make_transfer(tmp_path)
    download_file(url_of(server), transfer, QUICK)
    assert transfer.part.read_bytes() == CONTENT


def test_halves_of_two_files_are_not_joined(server: ModelServer, tmp_path: Path) -> None:
    server.etag, server.cuts = '"first"', [100_000]
    server.files["/model.zip"] = make_content(len(CONTENT), seed=1)
    transfer = make_transfer(tmp_path)
    with pytest.raises(ModelError, match="cut"):
        download_file(url_of(server), transfer, ONE_ATTEMPT)
    server.etag = '"second"'
    server.files["/model.zip"] = CONTENT
    download_file(url_of(server), transfer, ONE_ATTEMPT)
    assert server.requests[-1][1]["If-Range"] == '"first"'
    assert transfer.part.read_bytes() == CONTENT


def test_a_weak_etag_is_not_sent_with_a_range(server: ModelServer, tmp_path: Path) -> None:
    server.etag, server.cuts = 'W/"first"', [100_000]
    download_file(url_of(server), make_transfer(tmp_path), QUICK)
    assert "If-Range" not in server.requests[-1][1]


def test_a_part_longer_than_the_file_is_thrown_away(server: ModelServer, tmp_path: Path) -> None:
    transfer = make_transfer(tmp_path)
    transfer.part.write_bytes(bytes(len(CONTENT) + 1))
    download_file(url_of(server), transfer, QUICK)
    assert transfer.part.read_bytes() == CONTENT


def test_a_complete_part_asks_the_server_for_nothing(server: ModelServer, tmp_path: Path) -> None:
    transfer = make_transfer(tmp_path)
    transfer.part.write_bytes(CONTENT)
    download_file(url_of(server), transfer, QUICK)
    assert server.requests == []


def test_a_file_shorter_than_the_part_starts_anew_and_is_refused_by_its_size(
    server: ModelServer, tmp_path: Path
) -> None:
    transfer = make_transfer(tmp_path)
    transfer.part.write_bytes(CONTENT[:150_000])
    server.files["/model.zip"] = CONTENT[:100_000]
    with pytest.raises(ModelError, match="another file is there: 100000 bytes instead of 200000"):
        download_file(url_of(server), transfer, QUICK)


@pytest.mark.parametrize("sends_length", [True, False], ids=["with length", "without length"])
def test_a_longer_file_is_refused(server: ModelServer, tmp_path: Path, sends_length: bool) -> None:
    server.files["/model.zip"] = CONTENT + CONTENT
    server.sends_length = sends_length
    with pytest.raises(ModelError, match="it is another file|another file is there"):
        download_file(url_of(server), make_transfer(tmp_path), QUICK)
    assert not (tmp_path / "model.zip.part").exists()


@pytest.mark.parametrize(
    ("status", "words"), [(404, "404: the file is not there"), (403, "403: it forbids"), (401, "password")]
)
def test_a_refusal_is_said_at_once(server: ModelServer, tmp_path: Path, status: int, words: str) -> None:
    server.status = status
    with pytest.raises(ModelError, match=words):
        download_file(url_of(server), make_transfer(tmp_path), QUICK)
    assert len(server.requests) == 1


def test_a_busy_server_is_asked_again(server: ModelServer, tmp_path: Path) -> None:
    server.status, server.status_count = 503, 2
    transfer = make_transfer(tmp_path)
    download_file(url_of(server), transfer, QUICK)
    assert transfer.part.read_bytes() == CONTENT
    assert len(server.requests) == 3


def test_a_server_that_stays_busy_is_given_up(server: ModelServer, tmp_path: Path) -> None:
    server.status = 503
    with pytest.raises(ModelError, match="failed 3 times in a row, at last because the server answered 503"):
        download_file(url_of(server), make_transfer(tmp_path), QUICK)
    assert len(server.requests) == 3


def test_a_stalled_transfer_is_resumed_after_the_time_limit(server: ModelServer, tmp_path: Path) -> None:
    server.stall_after, server.stall_s = 100_000, 30
    transfer = make_transfer(tmp_path)
    with pytest.raises(ModelError, match=r"nothing was received for 0\.3 s"):
        download_file(url_of(server), transfer, ONE_ATTEMPT)
    assert transfer.done_bytes > 80_000
    server.stall_after = None
    download_file(url_of(server), transfer, ONE_ATTEMPT)
    assert transfer.part.read_bytes() == CONTENT


def test_a_server_that_is_not_there_is_said(tmp_path: Path) -> None:
    with serving() as server:
        url = url_of(server)
    with pytest.raises(ModelError, match="failed 1 times in a row, at last because Connection refused"):
        download_file(url, make_transfer(tmp_path), ONE_ATTEMPT)


def test_an_unknown_name_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="failed 1 times in a row, at last because .*(known|resol|No address|name)"):
        download_file("http://nothing.invalid/model.zip", make_transfer(tmp_path), ONE_ATTEMPT)


def test_an_address_that_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="can't be used .InvalidURL"):
        download_file("http:///model.zip", make_transfer(tmp_path), ONE_ATTEMPT)


def test_a_secure_connection_that_breaks_is_said(server: ModelServer, tmp_path: Path) -> None:
    url = url_of(server).replace("http://", "https://")  # the server speaks no TLS
    with pytest.raises(ModelError, match="failed 1 times in a row, at last because the secure connection failed"):
        download_file(url, make_transfer(tmp_path), ONE_ATTEMPT)


def test_a_certificate_of_ones_own_is_refused_until_it_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = make_certificate(tmp_path)
    transfer = make_transfer(tmp_path)
    with serving(certificate, key) as server:
        server.files["/model.zip"] = CONTENT
        with pytest.raises(ModelError, match="certificate of 127.0.0.1 could not be verified.*REQUESTS_CA_BUNDLE"):
            download_file(url_of(server), transfer, QUICK)
        assert server.requests == []
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        download_file(url_of(server), transfer, QUICK)
    assert transfer.part.read_bytes() == CONTENT


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, as an institution's inspecting proxy would show, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("making a certificate needs openssl")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*command, "-out", str(certificate), "-keyout", str(key)], check=True, capture_output=True)
    return certificate, key


def test_an_explicit_proxy_is_used(server: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY")
    server.files["http://models.invalid/model.zip"] = CONTENT  # a proxy is asked for the whole address
    transfer = make_transfer(tmp_path)
    download_file("http://models.invalid/model.zip", transfer, DownloadSettings(proxy=server.address))
    assert transfer.part.read_bytes() == CONTENT


def test_the_environments_proxy_is_used(server: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, server.address)
    server.files["http://models.invalid/model.zip"] = CONTENT
    transfer = make_transfer(tmp_path)
    download_file("http://models.invalid/model.zip", transfer, QUICK)
    assert transfer.part.read_bytes() == CONTENT


def test_a_proxy_that_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY")
    settings = DownloadSettings(connect_timeout_s=2, proxy="http://127.0.0.1:9")
    with pytest.raises(ModelError, match="the proxy on the way to models.invalid failed.*HTTPS_PROXY"):
        download_file("http://models.invalid/model.zip", make_transfer(tmp_path), settings)


def test_a_cancel_is_seen_while_the_server_stalls(server: ModelServer, tmp_path: Path) -> None:
    server.stall_after, server.stall_s = 50_000, 30
    began = time.monotonic()
    transfer = Transfer(
        tmp_path / "model.zip.part", len(CONTENT), lambda *_: None, lambda: time.monotonic() - began > 0.5
    )
    with pytest.raises(Cancelled):
        download_file(url_of(server), transfer, DownloadSettings(read_timeout_s=30))
    assert time.monotonic() - began < 5  # the server would stall for 30 s
    assert transfer.part.read_bytes() == CONTENT[: transfer.done_bytes]
    assert transfer.done_bytes > 0


def test_a_cancel_is_seen_during_the_wait_before_a_retry(server: ModelServer, tmp_path: Path) -> None:
    server.status = 503
    began = time.monotonic()
    transfer = Transfer(tmp_path / "part", len(CONTENT), lambda *_: None, lambda: len(server.requests) > 0)
    with pytest.raises(Cancelled):
        download_file(url_of(server), transfer, DownloadSettings(backoff_s=60))
    assert time.monotonic() - began < 5


def test_a_file_is_copied_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / "mirror.zip").write_bytes(CONTENT)
    transfer = make_transfer(tmp_path)
    copy_file(tmp_path / "mirror.zip", transfer)
    assert transfer.part.read_bytes() == CONTENT


def test_a_file_that_a_mirror_folder_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"mirror\.zip can't be read: No such file"):
        copy_file(tmp_path / "mirror.zip", make_transfer(tmp_path))


def test_a_mirror_folders_file_of_another_size_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mirror.zip").write_bytes(b"x")
    with pytest.raises(ModelError, match="another file is there: 1 bytes instead of 200000"):
        copy_file(tmp_path / "mirror.zip", make_transfer(tmp_path))


def test_a_copy_can_be_cancelled(tmp_path: Path) -> None:
    (tmp_path / "mirror.zip").write_bytes(CONTENT)
    with pytest.raises(Cancelled):
        copy_file(tmp_path / "mirror.zip", Transfer(tmp_path / "part", len(CONTENT), lambda *_: None, lambda: True))
