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

from container_component_src.errors import InputError, StepError
from container_component_src.model.scoring import scores
from container_component_src.serving.deployment.preparation import make_service
from container_component_src.serving.deployment.service import Service, SmokeRequest
from container_component_src.serving.deployment.smoke_test import SAMPLE_ROWS, NotServingError, sample_rows, smoke_test
from tests.serving.bundles import CHANNELS, SCALER, make_bundle, write_test_dataset

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


def test_another_model_fails() -> None:
    with (
        answering(200, answer(100.0, 0.0, version="other")) as url,
        pytest.raises(StepError, match="model other, not digest"),
    ):
        run(url)


def test_an_error_fails_with_what_the_service_says() -> None:
    with answering(503, {"error": "no predictor"}) as url, pytest.raises(StepError, match=r"503: .*no predictor"):
        run(url)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([], "no JSON object"),
        ({"model_version": "digest"}, "holds no scores"),
        ({"model_version": "digest", "predictions": [{"score": None}] * 2}, "holds no scores"),
        ({"model_version": "digest", "predictions": 1}, "holds no scores"),
        (answer(100.0), "1 answers to the 2 rows"),
    ],
)
def test_an_answer_of_another_kind_fails(body: Any, message: str) -> None:
    with answering(200, body) as url, pytest.raises(StepError, match=message):
        run(url)


@pytest.mark.parametrize(("status", "passing"), [(404, True), (502, True), (503, True), (302, False), (500, False)])
def test_what_may_pass_is_told_from_what_does_not(status: int, passing: bool) -> None:
    with answering(status, {}) as url, pytest.raises(StepError, match=f"was answered {status}") as failure:
        run(url)
    assert isinstance(failure.value, NotServingError) == passing


def test_no_answer_fails() -> None:
    with answering(200, {}) as url:
        pass
    with pytest.raises(StepError, match="no answer to the smoke request"):
        run(url)


def test_the_smoke_request_holds_the_first_test_rows_in_engineering_units(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle")
    dataset = write_test_dataset(tmp_path / "test")
    service = make_service(str(tmp_path / "bundle"), str(tmp_path / "test"), "eclss")
    scaled = dataset.load().values[:SAMPLE_ROWS]
    sent = np.array([[row[name] for name in CHANNELS] for row in service.smoke_request.instances])
    np.testing.assert_allclose(sent, SCALER.inverse_transform(scaled), rtol=1e-6)
    np.testing.assert_allclose(service.smoke_request.scores, scores(bundle.model, scaled), rtol=1e-2)
    assert service.model_version == bundle.info.version


def test_without_test_data_the_smoke_request_is_the_centre(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path)
    np.testing.assert_array_equal(sample_rows(bundle.info, None), [SCALER.centre])
    unscaled = replace(bundle, info=bundle.info.model_copy(update={"scaler": None}))
    np.testing.assert_array_equal(sample_rows(unscaled.info, None), np.zeros((1, len(CHANNELS))))


def test_test_data_of_another_model_is_refused(tmp_path: Path) -> None:
    make_bundle(tmp_path / "bundle")
    write_test_dataset(tmp_path / "test", channels=(*CHANNELS[:2], "pump"))
    with pytest.raises(InputError, match="fan_speed"):
        make_service(str(tmp_path / "bundle"), str(tmp_path / "test"), "eclss")
