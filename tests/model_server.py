"""A real HTTP server on this machine that delivers model files, well or badly, and a small index of them."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import select
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

PIECE_BYTES = 16 * 1024


def make_content(size_bytes: int, seed: int = 0) -> bytes:
    """Random bytes, always the same for one seed."""
    return np.random.default_rng(seed).bytes(size_bytes)


def make_entry(name: str, content: bytes, **changes: Any) -> dict[str, Any]:
    """An entry of the index for a file with this content, as decoded JSON."""
    entry = {
        "name": name,
        "version": "1.0.0",
        "task": "segmentation",
        "file": f"{name}-1.0.0.zip",
        "sha256": hashlib.sha256(content).hexdigest(),
        "size_bytes": len(content),
        "licence": "CC-BY-NC-SA-4.0",
        "title": "A model",
        "description": "For tests.",
        "classifier": None,
        "recommendation": {"threshold": 0.5, "gate": 0.1, "min_volume_ml": 0.25},
        "metrics": {"dice_mean": 0.9},
        "default": False,
    }
    return entry | changes


@dataclass
class ModelServer:
    """What the server has and how it behaves.

    files: content by path. length: announced instead of the body's. redirect: where every request is sent on to.
    cuts: for one request after the other, the bytes after which the connection is cut; none left means it isn't.
    status: answered instead of the file, for as many requests as status_count. stall_after: bytes after which
    nothing more comes for stall_s seconds. pause_s: before every 16 KiB. requests: path and headers of what was
    asked.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    length: str | None = None
    redirect: str | None = None
    cuts: list[int] = field(default_factory=list)
    status: int | None = None
    status_count: int = 1_000_000
    stall_after: int | None = None
    stall_s: float = 0.0
    pause_s: float = 0.0
    sends_length: bool = True
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    address: str = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Send what was asked for, with the faults that are set."""
        self.requests.append((handler.path, dict(handler.headers)))
        if self.status is not None and self.status_count > 0:
            self.status_count -= 1
            handler.send_error(self.status)
            return
        if self.redirect is not None:
            handler.send_response(302)
            handler.send_header("Location", self.redirect)
            handler.end_headers()
            return
        if handler.path not in self.files:
            handler.send_error(404)
            return
        content = self.files[handler.path]
        self._send_head(handler, len(content))
        self._send_body(handler, content)

    def _send_head(self, handler: BaseHTTPRequestHandler, size: int) -> None:
        handler.send_response(200)
        if self.sends_length:
            handler.send_header("Content-Length", self.length or str(size))
        handler.send_header("Connection", "close")
        handler.end_headers()

    def _send_body(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        cut = self.cuts.pop(0) if self.cuts else len(body)
        for begin in range(0, min(cut, len(body)), PIECE_BYTES):
            if self.stall_after is not None and begin >= self.stall_after:
                self.stopped.wait(self.stall_s)
            time.sleep(self.pause_s)
            with contextlib.suppress(OSError):  # the client may have left
                handler.wfile.write(body[begin : min(begin + PIECE_BYTES, cut)])
                handler.wfile.flush()


@contextlib.contextmanager
def serving(certificate: Path | None = None, key: Path | None = None) -> Iterator[ModelServer]:
    """A server that runs during the block, with TLS where it is given a certificate."""
    server = ModelServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.answer(self)

        def do_CONNECT(self) -> None:
            # A proxy that refuses: what was asked is all that is looked at.
            server.requests.append((self.path, dict(self.headers)))
            self.send_error(502)

        def log_message(self, *_arguments: Any) -> None:
            """Say nothing."""

    with _running(Handler) as http:
        scheme = "http"
        if certificate is not None:
            scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            http.socket = context.wrap_socket(http.socket, server_side=True)
        server.address = f"{scheme}://127.0.0.1:{http.server_address[1]}"
        try:
            yield server
        finally:
            server.stopped.set()


@contextlib.contextmanager
def proxying(user: str, password: str) -> Iterator[tuple[str, list[str]]]:
    """A proxy that connects only who names this user and password; its HOST:PORT, and the targets that were refused."""
    expected = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    refused: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            if self.headers.get("Proxy-Authorization") != expected:
                refused.append(self.path)
                self.send_response(407)
                self.send_header("Proxy-Authenticate", 'Basic realm="hospital"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            host, port = self.path.rsplit(":", 1)
            with socket.create_connection((host, int(port)), timeout=10) as beyond:
                self.send_response(200)
                self.end_headers()
                _relay(self.connection, beyond)

        def log_message(self, *_arguments: Any) -> None:
            """Say nothing."""

    with _running(Handler) as http:
        yield f"127.0.0.1:{http.server_address[1]}", refused


def _relay(here: socket.socket, beyond: socket.socket) -> None:
    other = {here: beyond, beyond: here}
    while ready := select.select(list(other), [], [], 30)[0]:
        for end in ready:
            piece = end.recv(64 * 1024)
            if not piece:
                return
            other[end].sendall(piece)


@contextlib.contextmanager
def _running(handler: type[BaseHTTPRequestHandler]) -> Iterator[ThreadingHTTPServer]:
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    http.daemon_threads = True
    threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield http
    finally:
        http.shutdown()
        http.server_close()


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, as an institution's inspecting proxy would show, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*command, "-out", str(certificate), "-keyout", str(key)], check=True, capture_output=True)
    return certificate, key
