"""HTTP for four paths: / and /runbook for people, /metrics for Prometheus, /healthz for probes.

Rules of this file:
1. Without a host it listens on 127.0.0.1; every other address has to be named.
2. A client that is slow, or too many, costs only itself: a request has two seconds in all, however it drips, and of
   too many the one that has been silent longest is dropped for the newest.
3. Addresses of flows are on the page only where it is served to this host alone, and there only to who asks for it by
   an address or as localhost: a web page elsewhere that has a name of its own lead here (DNS rebinding) gets nothing.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final

from pktmend.errors import ConfigError, OSFailure
from pktmend.serving import page, runbook

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.registry import Collector

Request = socket.socket | tuple[bytes, socket.socket]  # of socketserver

LOOPBACK: Final = "127.0.0.1"
TEXT: Final = "text/plain; charset=utf-8"
HTML: Final = "text/html; charset=utf-8"
REQUEST_SECONDS: Final = 2.0
AT_ONCE: Final = 32


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of `HOST:PORT`, `[V6]:PORT`, or `:PORT` or `PORT`: loopback.  ConfigError if it is none."""
    host, _, port = text.rpartition(":")
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"--listen {text!r}", "HOST:PORT, or PORT for 127.0.0.1", options=("listen",))
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        hint = f"an IPv6 address in brackets: [{host}]:{port}"
        raise ConfigError(f"--listen {text!r}", hint, options=("listen",))
    return host or LOOPBACK, int(port)


@dataclass(frozen=True)
class Site:
    """What is served; all of it is called from any thread, and looks at frozen snapshots only.

    title:     of the page.
    collector: makes what the metrics come from; called once, and only where prometheus_client is there.
    trouble:   says what is wrong, "" if nothing is.
    content:   returns the page's content as HTML; its argument: may addresses of flows be shown?
    """

    title: str
    collector: Callable[[], Collector]
    trouble: Callable[[], str]
    content: Callable[[bool], str]


def is_own_name(host: str) -> bool:
    """Is the Host of a request an address, localhost, or left out?"""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    if name in ("", "localhost"):
        return True
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


class Server:
    """Serves a site.  Bound when made; start() begins, close() ends.  Raises OSFailure."""

    def __init__(self, listen: str, site: Site) -> None:
        try:
            from prometheus_client import CollectorRegistry, ProcessCollector, exposition  # noqa: F401 - needed later
        except ImportError:
            raise OSFailure("--listen needs prometheus_client", "pip install 'pktmend[monitor]'") from None
        host, port = parse_address(listen)
        registry = CollectorRegistry()
        registry.register(site.collector())
        ProcessCollector(registry=registry)
        self._thread: threading.Thread | None = None
        try:
            self._http = _Http(host, port, registry, site)
        except OSError as error:
            reason = error.strerror or str(error)
            raise OSFailure(f"cannot listen on {listen}: {reason}", "", error.errno or 0) from error
        bound = self._http.server_address
        shown = f"[{bound[0]!s}]" if ":" in str(bound[0]) else str(bound[0])
        self.address = f"http://{shown}:{bound[1]}/metrics"
        if not self._http.is_private:
            self.address += " (not only from this host)"

    def start(self) -> None:
        """Begin to serve, on a thread of its own."""
        self._thread = threading.Thread(target=self._http.serve_forever, name="pktmend-http", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        if self._thread is not None:
            self._http.shutdown()
            self._thread.join()
        self._http.server_close()


class _Clients:
    """The open connections, oldest first: so many at most, each for so long at most.  Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: dict[Request, float] = {}
        self._asked: set[Request] = set()

    def enter(self, request: socket.socket) -> None:
        """Take it in; of too many, end the oldest that has not asked yet, else the oldest."""
        with self._lock:
            if len(self._since) >= AT_ONCE:
                silent = (each for each in self._since if each not in self._asked)
                self._end(next(silent, None) or next(iter(self._since)))
            self._since[request] = time.monotonic()

    def has_asked(self, request: Request) -> None:
        """Its request has been read."""
        with self._lock:
            if request in self._since:
                self._asked.add(request)

    def leave(self, request: Request) -> None:
        """It is over."""
        with self._lock:
            self._since.pop(request, None)
            self._asked.discard(request)

    def end_late(self) -> None:
        """End those whose time is over."""
        with self._lock:
            latest = time.monotonic() - REQUEST_SECONDS
            for request in [each for each, since in self._since.items() if since < latest]:
                self._end(request)

    def _end(self, request: Request) -> None:
        """Its thread reads or writes no more, and closes it."""
        del self._since[request]
        self._asked.discard(request)
        with suppress(OSError):  # it has gone by itself
            request.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, host: str, port: int, registry: CollectorRegistry, site: Site) -> None:
        self.registry = registry
        self.site = site
        self._clients = _Clients()
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self.address_family = found[0][0]
        super().__init__((host, port), _Request)
        self.is_private = ipaddress.ip_address(str(self.server_address[0]).partition("%")[0]).is_loopback

    def server_bind(self) -> None:
        """Bind, without asking the resolver for a name as the parent does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address[:2])
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Request, client_address: object) -> None:
        """Serve it on a thread; where too many are being served, end one for it."""
        assert isinstance(request, socket.socket)  # TCP: never a datagram
        self._clients.enter(request)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Request, client_address: object) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._clients.leave(request)

    def service_actions(self) -> None:
        """End what takes too long; called after each connection, and twice a second."""
        self._clients.end_late()

    def has_asked(self, request: Request) -> None:
        """Its request has been read: others are ended first."""
        self._clients.has_asked(request)

    def handle_error(self, request: Request, client_address: object) -> None:
        """Say nothing: a client that went away is its own affair."""


class _Request(BaseHTTPRequestHandler):
    server: _Http
    timeout = REQUEST_SECONDS
    server_version = "pktmend"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer."""
        self.server.has_asked(self.request)
        path, site = self.path.partition("?")[0], self.server.site
        if path == "/metrics":
            from prometheus_client.exposition import choose_encoder

            encode, kind = choose_encoder(self.headers.get("Accept", ""))
            self._answer(200, kind, encode(self.server.registry))
        elif path == "/healthz":
            words = site.trouble()
            self._answer(503 if words else 200, TEXT, f"{words or 'ok'}\n".encode())
        elif path == "/" and self.server.is_private and not is_own_name(self.headers.get("Host", "")):
            self._answer(403, TEXT, b"ask for it by an address, or as localhost\n")
        elif path == "/":
            content = site.content(self.server.is_private)
            self._answer(200, HTML, page.document(site.title, content).encode())
        elif path == "/runbook":
            self._answer(200, HTML, page.document("pktmend runbook", runbook.content(), is_live=False).encode())
        else:
            self._answer(404, TEXT, b"there is /, /metrics, /healthz and /runbook\n")

    do_HEAD = do_GET

    def _answer(self, code: int, kind: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in page.HEADERS if kind == HTML else page.PLAIN_HEADERS:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""
