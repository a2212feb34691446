"""Sends garbage of all kinds to the servers, and counts how it is answered; see `--help`.

Half of the requests over HTTP are bytes that a parser may take for a request; the others are requests that are changed.
"""

import random
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

if __name__ == "__main__":  # before KServe parses the arguments
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import click
import grpc
import httpx
from kserve.protocol.grpc.grpc_predict_v2_pb2 import ModelInferRequest

from benchmarks.request_shapes import V1, V2, endpoint
from benchmarks.serving import START_SECONDS, make_bundle
from benchmarks.serving_batches import MODEL
from benchmarks.serving_limits import Prober
from benchmarks.serving_load import LOOPBACK
from container_component_src.backends.local.processes import free_ports
from container_component_src.backends.local.serving import running, wait_until_ready

CLIENTS = 8  # at a time
SIZE = 2_000  # bytes of most requests
LARGE, LARGE_SHARE = 300_000, 0.01
METHODS = ("ModelInfer", "ModelReady", "ModelMetadata", "ServerLive", "RepositoryModelLoad", "Other")
PATHS = (
    f"/v1/models/{MODEL}:predict", f"/v2/models/{MODEL}/infer", f"/v2/models/{MODEL}", f"/v1/models/{MODEL}",
    "/v2/health/live", "/v2/repository/models/x/load", "/metrics", "/", "/%00", "/../..", "*", "http://a/b", "/a?b#c",
)  # fmt: skip
HEADERS = (
    b"content-length: -1", b"content-length: 99999999999999999999", b"transfer-encoding: chunked",
    b"expect: 100-continue", b"connection: upgrade\r\nupgrade: websocket", b"content-encoding: gzip",
    b"x-request-id: \xff\x00",
    b"inference-header-content-length: 5", b"inference-header-content-length: \xb2", b"a" * 9000 + b": b",
    b": b", b"host",
    b"connection: close", b"ce-id: 1", b"accept: */*",
)  # fmt: skip


def changed(content: bytes, dice: random.Random) -> bytes:
    """Return bytes with some of them replaced, cut, doubled or inserted."""
    found = bytearray(content)
    for _ in range(dice.randrange(4)):
        start = dice.randrange(len(found) + 1)
        end = min(len(found), start + dice.choice((0, 1, 1, 8, len(found))))
        found[start:end] = dice.choice(
            (b"", dice.randbytes(3), b'"', b"\0", b"[" * 9, b"1e999", bytes(found[start:end] * 2))
        )
    return bytes(found)


def http_requests(count: int, channels: tuple[str, ...], dice: random.Random) -> Iterator[bytes]:
    """Yield requests as they go over the wire."""
    for number in range(count):
        size = LARGE if dice.random() < LARGE_SHARE else dice.randrange(1, SIZE)
        request = endpoint(dice.choice((*V1, *V2)), size, channels, 0, MODEL)
        path = request.path if number % 4 else dice.choice(PATHS)
        body = changed(request.body, dice) if number % 3 else request.body
        lines = [f"{name}: {value}".encode() for name, value in request.headers.items()]
        lines += [f"content-length: {len(body)}".encode(), b"host: a", *dice.sample(HEADERS, dice.choice((0, 0, 1, 2)))]
        method = dice.choice((b"POST", b"POST", b"POST", b"GET", b"PUT", b"OPTIONS", b"\xff"))
        head = b"\r\n".join([method + b" " + path.encode() + b" HTTP/1.1", *lines, b"", b""])
        yield head + body if number % 2 else changed(head, dice) + body


def ask_http(port: int, content: bytes) -> int:
    """Send a request, then close half of the connection; return the status of the answer, 0 without one."""
    with socket.create_connection((LOOPBACK, port), timeout=60) as connection:
        try:
            connection.sendall(content)
            connection.settimeout(1.0)  # nothing more comes if the server waits for the rest of a request
            answer = connection.recv(20)
        except OSError:
            return 0
    return int(answer[9:12]) if answer[9:12].isdigit() else 0


def ask_grpc(channel: grpc.Channel, method: str, content: bytes) -> str:
    """Call a method with serialized bytes; return the name of the status."""
    try:
        channel.unary_unary(f"/inference.GRPCInferenceService/{method}")(content, timeout=60)
    except grpc.RpcError as error:
        return str(error.code().name)
    return "OK"


def grpc_message(channels: int, dice: random.Random) -> bytes:
    """Return a changed request."""
    request = ModelInferRequest(model_name=MODEL, model_version=dice.choice(("", "1")))
    for _ in range(dice.choice((1, 1, 1, 0, 5))):
        item = request.inputs.add(name=dice.choice(("rows", "x")), datatype=dice.choice(("FP32", "FP64", "INT64", "x")))
        item.shape.extend(dice.choice(([1, channels], [-1], [2**62, 2], [])))
        if dice.random() < 0.5:
            item.contents.fp64_contents.extend([dice.random()] * dice.choice((channels, 1)))
        else:
            request.raw_input_contents.append(bytes(4 * channels))
    return changed(request.SerializeToString(), dice)


@click.command()
@click.option("--requests", default=20_000, show_default=True, help="Requests over HTTP to each server.")
@click.option("--calls", default=5_000, show_default=True, help="Requests over gRPC to each server.")
@click.option("--seed", default=0, show_default=True, help="Seed of the requests.")
def main(requests: int, calls: int, seed: int) -> None:
    """Count the answers to garbage, tracebacks and long lines in the logs, and the slowest answer on liveness."""
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory() as root:
        channels = make_bundle(Path(root)).info.channels
        predictor, transformer, *grpc_ports = free_ports(4)
        common = ("--model-dir", root, "--model-name", MODEL, "--grpc-port")
        commands = {
            predictor: ("serve_predictor", *common, str(grpc_ports[0])),
            transformer: (
                "serve_transformer", *common, str(grpc_ports[1]), "--predictor-host", f"{LOOPBACK}:{predictor}"
            ),
        }  # fmt: skip
        with running(commands) as servers, httpx.Client(trust_env=False) as client:
            wait_until_ready(servers, MODEL, START_SECONDS, client)
            for server, grpc_port in zip(servers, grpc_ports, strict=True):
                with Prober(server.port) as prober, ThreadPoolExecutor(CLIENTS) as pool:
                    contents = http_requests(requests, channels, dice)
                    statuses = Counter(pool.map(partial(ask_http, server.port), contents))
                    with grpc.insecure_channel(f"{LOOPBACK}:{grpc_port}") as channel:
                        messages = (grpc_message(len(channels), dice) for _ in range(calls))
                        codes = Counter(ask_grpc(channel, dice.choice(METHODS), message) for message in messages)
                lines = server.log_file.read_bytes().splitlines()
                click.echo(f"{server.name}: HTTP {dict(sorted(statuses.items()))}; gRPC {dict(codes)}")
                click.echo(
                    f"  liveness at most {1000 * prober.slowest:.0f} ms; longest line {max(map(len, lines))} bytes, "
                    f"{sum(b'raceback' in line for line in lines)} tracebacks, "
                    f"{sum(b'ERROR' in line for line in lines)} errors"
                )


if __name__ == "__main__":
    main()
