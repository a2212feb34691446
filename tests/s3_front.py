"""A proxy of the S3 server that tests share: it records requests, and can answer them like a faulty store."""

import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

from werkzeug import Request, Response
from werkzeug.serving import make_server

Answer = Callable[[Request], Response | None]  # None: the store itself answers


def refusal(status: int, code: str = "", message: str = "no") -> Response:
    """Return an error response of S3; the response to a HEAD request has the status only."""
    return Response(f"<Error><Code>{code}</Code><Message>{message}</Message></Error>", status, content_type="text/xml")


def always(status: int, code: str) -> Answer:
    """Refuse all requests."""
    return lambda request: refusal(status, code)


def at_first(times: int, status: int, code: str) -> Answer:
    """Refuse a number of requests and pass on later ones."""
    left = iter(range(times))
    return lambda request: None if next(left, None) is None else refusal(status, code)


def without_delete(request: Request) -> Response | None:
    """Allow Put, Get and List only; in a request to delete several objects, each is refused separately."""
    if request.method == "DELETE":
        return refusal(403, "AccessDenied")
    if request.method == "POST" and "delete" in request.args:
        keys = [part.split("</Key>")[0] for part in request.get_data(as_text=True).split("<Key>")[1:]]
        faults = "".join(f"<Error><Key>{key}</Key><Code>AccessDenied</Code></Error>" for key in keys)
        return Response(f"<DeleteResult>{faults}</DeleteResult>", content_type="text/xml")
    return None


def broken_off(times: int) -> Answer:
    """Interrupt the content of a number of objects."""
    left = iter(range(times))

    def half() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionAbortedError

    def answer(request: Request) -> Response | None:
        if request.method != "GET" or "list-type" in request.args or next(left, None) is None:
            return None
        return Response(half(), headers={"Content-Length": "8"}, direct_passthrough=True)

    return answer


@dataclass
class Front:
    """A running proxy."""

    address: str  # host:port
    answer: Answer = field(default=lambda request: None)
    requests: list[Request] = field(default_factory=list)

    def application(self, store: Any) -> Callable[[dict[str, Any], Any], Iterable[bytes]]:
        """Return the WSGI application."""

        def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            request = Request(environ)
            self.requests.append(request)
            answer = self.answer(request)
            return store(environ, start_response) if answer is None else answer(environ, start_response)

        return application


@contextmanager
def s3_front(port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[Front]:
    """Run a proxy on this machine; it shares its objects with all servers in this process."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    front = Front("")
    application = front.application(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", port, application, threaded=True, ssl_context=tls)
    front.address = f"127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield front
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
