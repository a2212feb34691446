import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from container_component_src.errors import StepError
from container_component_src.serving.deployment.service import Service, SmokeRequest
from container_component_src.serving.deployment.smoke_test import NotServingError, sample_rows, smoke_test
from tests.serving.bundles import CHANNELS, SCALER, make_bundle

SERVICE = Service("eclss", "bundle", SmokeRequest(({"a": 1.0}, {"a": 2.0}), (100.0, 0.0)), "digest")


@contextmanager
def answering(status: int, body: Any) -> Iterator[str]:
    """The URL of a server that gives one answer to every request."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/models/eclss:predict"
        finally:
            server.shutdown()
            thread.join()


def answer(*row_scores: float, version: str = "digest") -> dict[str, Any]:
    return {"predictions": [{"score": score} for score in row_scores], "model_version": version}


def run(url: str) -> str:
    with httpx.Client(trust_env=False) as client:
        return smoke_test(SERVICE, url, client)


def test_scores_within_the_tolerance_pass() -> None:
    with answering(200, answer(100.0009, -0.000009)) as url:
        assert run(url) == "digest"


@pytest.mark.parametrize(
    ("row_scores", "row"), [((100.002, 0.0), 0), ((100.0, 0.00002), 1), ((100.0, float("nan")), 1)]
)
def test_other_scores_fail(row_scores: tuple[float, ...], row: int) -> None:
    with answering(200, answer(*row_scores)) as url, pytest.raises(StepError, match=f"row {row} of the smoke request"):
        run(url)


def test_an_answer_of_another_model_fails() -> None:
    with (
        answering(200, answer(100.0, 0.0, version="other")) as url,
        pytest.raises(StepError, match="model other, not digest"),
    ):
        run(url)


def test_an_error_fails_with_the_message_of_the_service() -> None:
    with answering(503, {"error": "no predictor"}) as url, pytest.raises(StepError, match=r"503: .*no predictor"):
        run(url)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([], "not a JSON object"),
        ({"model_version": "digest"}, "has no scores"),
        ({"model_version": "digest", "predictions": [{"score": None}] * 2}, "has no scores"),
        ({"model_version": "digest", "predictions": 1}, "has no scores"),
        (answer(100.0), "1 answers to the 2 rows"),
    ],
)
def test_an_answer_without_the_expected_scores_fails(body: Any, message: str) -> None:
    with answering(200, body) as url, pytest.raises(StepError, match=message):
        run(url)


@pytest.mark.parametrize(
    ("status", "transient"), [(404, True), (502, True), (503, True), (429, True), (302, False), (500, False)]
)
def test_transient_failures_are_distinguished(status: int, transient: bool) -> None:
    with answering(status, {}) as url, pytest.raises(StepError, match=f"was answered {status}") as failure:
        run(url)
    assert isinstance(failure.value, NotServingError) == transient


def test_no_answer_fails() -> None:
    with answering(200, {}) as url:
        pass
    with pytest.raises(StepError, match="no answer to the smoke request"):
        run(url)


def test_without_test_data_the_smoke_request_is_the_centre(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path)
    np.testing.assert_array_equal(sample_rows(bundle.info, None), [SCALER.centre])
    unscaled = replace(bundle, info=bundle.info.model_copy(update={"scaler": None}))
    np.testing.assert_array_equal(sample_rows(unscaled.info, None), np.zeros((1, len(CHANNELS))))
