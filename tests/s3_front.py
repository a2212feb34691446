"""A front of the S3 server that tests share: it counts requests, and answers some of them as a faulty store does."""

import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

from werkzeug import Request, Response
from werkzeug.serving import make_server

Answer = Callable[[Request], Response | None]  # None: as the store itself answers


def refusal(status: int, code: str = "", message: str = "no") -> Response:
    """An error as S3 words it; a HEAD request gets the status alone."""
    return Response(f"<Error><Code>{code}</Code><Message>{message}</Message></Error>", status, content_type="text/xml")


def always(status: int, code: str) -> Answer:
    """Nothing works."""
    return lambda request: refusal(status, code)


def at_first(times: int, status: int, code: str) -> Answer:
    """So many requests fail, later ones do not."""
    left = iter(range(times))
    return lambda request: None if next(left, None) is None else refusal(status, code)


def without_delete(request: Request) -> Response | None:
    """A policy of Put, Get and List; what is deleted with others in one request is refused one by one."""
    if request.method == "DELETE":
        return refusal(403, "AccessDenied")
    if request.method == "POST" and "delete" in request.args:
        keys = [part.split("</Key>")[0] for part in request.get_data(as_text=True).split("<Key>")[1:]]
        faults = "".join(f"<Error><Key>{key}</Key><Code>AccessDenied</Code></Error>" for key in keys)
        return Response(f"<DeleteResult>{faults}</DeleteResult>", content_type="text/xml")
    return None


def broken_off(times: int) -> Answer:
    """So many objects arrive in part only."""
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
    """A running front."""

    address: str  # host:port
    answer: Answer = field(default=lambda request: None)
    requests: list[Request] = field(default_factory=list)

    def application(self, store: Any) -> Callable[[dict[str, Any], Any], Iterable[bytes]]:
        """The WSGI application."""

        def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            request = Request(environ)
            self.requests.append(request)
            answer = self.answer(request)
            return store(environ, start_response) if answer is None else answer(environ, start_response)

        return application


@contextmanager
def s3_front(port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[Front]:
    """A front on this machine; the objects are those of every other server in this process."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    front = Front("")
    application = front.application(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", port, application, threaded=True, ssl_context=tls)
    front.address = f"127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield front
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
