"""An S3 server that keeps objects in memory, behind a network of limited rate, and records its requests.

moto takes longer for large objects than a network of 1 Gbit/s, so that it would be measured instead. The server knows
the requests that `storage` sends, and checks no keys.
"""

import multiprocessing
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from threading import Lock, Thread
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

Direction = Literal["up", "down"]
DIRECTIONS: tuple[Direction, Direction] = ("down", "up")  # from the server, to the server
FREE, LIMITED = "without limit", "limited"  # networks
CHUNK = 1 << 16  # bytes
BURST = 0.01  # seconds that the sending may fall behind the rate, and catch up: a busy machine is not always on time
_ENTRY = "<ETag>-</ETag><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
_NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


class Link:
    """One direction of a network.

    Args:
        rate: Bytes per second.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._free = 0.0  # on the monotonic clock
        self._lock = Lock()

    def carry(self, size: int) -> None:
        """Return when so many bytes have passed, after those of other threads."""
        with self._lock:
            now = time.monotonic()
            self._free = max(self._free, now - BURST) + size / self._rate
            wait = self._free - now
        time.sleep(max(0.0, wait))


@dataclass(frozen=True)
class Transfer:
    """Content of one request, or of its response."""

    method: str
    direction: Direction
    size: int  # bytes
    start: float  # seconds of the monotonic clock
    end: float


@dataclass
class Objects:
    """What the server keeps, and what it has sent and received."""

    contents: dict[str, bytearray] = field(default_factory=dict)  # by bucket and key
    parts: dict[str, dict[int, bytearray]] = field(default_factory=dict)  # of unfinished uploads, by key and number
    transfers: list[Transfer] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection; subclasses have the objects and the network."""

    objects: Objects
    up: Link
    down: Link
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Be quiet."""

    def do_HEAD(self) -> None:
        """Describe an object."""
        content = self.objects.contents.get(self._key)
        self._answer(404 if content is None else 200, content or b"")

    def do_GET(self) -> None:
        """List a folder, or return an object or a range of it."""
        if "list-type" in self._query:
            self._answer(200, self._listing())
            return
        content = self.objects.contents.get(self._key)
        if content is None:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        elif span := self.headers.get("Range"):
            first, last = (int(text) for text in span.removeprefix("bytes=").split("-"))
            self._answer(206, memoryview(content)[first : last + 1], f"bytes {first}-{last}/{len(content)}")
        else:
            self._answer(200, content)

    def do_PUT(self) -> None:
        """Keep an object, or a part of one."""
        content = self._content()
        if number := self._query.get("partNumber"):
            self.objects.parts[self._key][int(number[0])] = content
        else:
            self.objects.contents[self._key] = content
        self._answer(200)

    def do_POST(self) -> None:
        """Begin or complete an upload in parts, or delete objects."""
        content = self._content()
        if "uploads" in self._query:
            self.objects.parts[self._key] = {}
            self._answer(200, b"<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>")
        elif "uploadId" in self._query:
            parts = self.objects.parts.pop(self._key)
            self.objects.contents[self._key] = bytearray().join(parts[number] for number in sorted(parts))
            self._answer(200, b"<CompleteMultipartUploadResult></CompleteMultipartUploadResult>")
        else:
            for element in ET.fromstring(content).iter(f"{_NAMESPACE}Key"):  # noqa: S314 - of our own client
                self.objects.contents.pop(f"{self._key.rstrip('/')}/{element.text}", None)
            self._answer(200, b"<DeleteResult></DeleteResult>")

    @property
    def _key(self) -> str:
        return unquote(urlsplit(self.path).path).lstrip("/")

    @property
    def _query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.path).query, keep_blank_values=True)

    def _listing(self) -> bytes:
        query = {name: values[0] for name, values in self._query.items()}
        start = f"{self._key.rstrip('/')}/{query.get('prefix', '')}"
        names = {
            key.removeprefix(start): len(content)
            for key, content in list(self.objects.contents.items())
            if key.startswith(start)
        }
        below = {name.split("/")[0] for name in names if "/" in name and query.get("delimiter")}
        prefix = escape(query.get("prefix", ""))
        entries = [
            f"<CommonPrefixes><Prefix>{prefix}{escape(name)}/</Prefix></CommonPrefixes>" for name in sorted(below)
        ]
        entries += [
            f"<Contents><Key>{prefix}{escape(name)}</Key><Size>{size}</Size>{_ENTRY}</Contents>"
            for name, size in sorted(names.items())
            if name.split("/")[0] not in below
        ]
        return f"<ListBucketResult>{''.join(entries)}</ListBucketResult>".encode()

    def _content(self) -> bytearray:
        """Return the content of the request, at the rate of the network."""
        content = bytearray(int(self.headers.get("Content-Length", 0)))
        view, start = memoryview(content), time.monotonic()
        while view and (chunk := self.rfile.read1(len(view[:CHUNK]))):
            self.up.carry(len(chunk))
            view[: len(chunk)] = chunk
            view = view[len(chunk) :]
        self._note("up", len(content), start)
        return content

    def _answer(self, status: int, content: bytes | bytearray | memoryview = b"", span: str = "") -> None:
        """Send the response, at the rate of the network."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", '"-"')
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        if span:
            self.send_header("Content-Range", span)
        self.end_headers()
        if self.command == "HEAD":
            return
        view, start = memoryview(content), time.monotonic()
        for first in range(0, len(view), CHUNK):
            chunk = view[first : first + CHUNK]
            self.down.carry(len(chunk))
            if first + CHUNK >= len(view):
                self._note("down", len(view), start)  # before the client has it all, and asks what was sent
            self.wfile.write(chunk)

    def _note(self, direction: Direction, size: int, start: float) -> None:
        if size:
            self.objects.transfers.append(Transfer(self.command, direction, size, start, time.monotonic()))


@dataclass(frozen=True)
class LimitedStore:
    """A running server."""

    addresses: Mapping[str, str]  # by network
    connection: Connection

    def transfers(self) -> list[Transfer]:
        """Return what was sent and received since the last call."""
        self.connection.send("transfers")
        sent: list[Transfer] = self.connection.recv()
        return sent


@contextmanager
def limited_store(gigabits: float) -> Iterator[LimitedStore]:
    """Run a server in a process of its own.

    Args:
        gigabits: Rate of the network, in Gbit per second in each direction.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(gigabits, theirs), daemon=True)
    process.start()
    try:
        yield LimitedStore(ours.recv(), ours)
    finally:
        process.terminate()
        process.join()


def _serve(gigabits: float, connection: Connection) -> None:
    objects, addresses = Objects(), {}
    for network, rate in ((FREE, float("inf")), (LIMITED, gigabits * 1e9 / 8)):
        links = {"objects": objects, "up": Link(rate), "down": Link(rate)}
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), links))
        Thread(target=server.serve_forever, daemon=True).start()
        addresses[network] = f"http://127.0.0.1:{server.server_port}"
    connection.send(addresses)
    while connection.recv():
        sent, objects.transfers = objects.transfers, []
        connection.send(sent)
