"""The smoke test of a deployed service: one real request, whose scores must be those of the model itself."""

import math
import uuid
from typing import Any

import httpx
import numpy as np
import pyarrow as pa

from container_component_src.arrays import Float32Array
from container_component_src.errors import StepError
from container_component_src.model.bundle_info import BundleInfo
from container_component_src.serving.deployment.service import Service
from container_component_src.serving.protocol.process import SMOKE_TEST_ID
from container_component_src.telemetry.arrow import values_of
from container_component_src.telemetry.dataset import Dataset

SAMPLE_ROWS = 5
TOLERANCE = 1e-5  # times |score|, at least 1 nat: float32 results depend on the size of the batch
# The gateway has no route or endpoint yet, the transformer has no predictor yet, or too much to do.
_TRANSIENT = {
    httpx.codes.NOT_FOUND,
    httpx.codes.BAD_GATEWAY,
    httpx.codes.SERVICE_UNAVAILABLE,
    httpx.codes.TOO_MANY_REQUESTS,
    httpx.codes.GATEWAY_TIMEOUT,
}
_IMAGE = "deploy with the image that trained the model"


class NotServingError(StepError):
    """The service, or this model of it, cannot be reached; it may be once addresses and routes are in place."""


def sample_rows(info: BundleInfo, test_dataset: Dataset | None) -> Float32Array:
    """Return rows for the smoke request in engineering units, shape [rows, channels].

    Args:
        info: Description of the bundle.
        test_dataset: Scaled test set with the channels of the bundle, whose first rows are used. Without it, the result
            is one row at the centre of the scaler.
    """
    scaled = np.zeros((1, len(info.channels)), dtype=np.float32)
    if test_dataset is not None:
        with test_dataset.open_partition(test_dataset.manifest.partitions[0]) as file:
            batch = next(file.iter_batches(batch_size=SAMPLE_ROWS, columns=list(info.channels)))
        scaled = np.nan_to_num(values_of(pa.Table.from_batches([batch]), info.channels))
    return info.scaler.inverse_transform(scaled) if info.scaler else scaled


def smoke_test(service: Service, url: str, client: httpx.Client) -> str:
    """Send the smoke request of a service.

    Args:
        service: The service with its smoke request.
        url: Address for requests.
        client: HTTP client with the headers, proxies and certificates that the address needs.

    Returns:
        The model version that answered.

    Raises:
        NotServingError: There is no answer, or the answer is from another model.
        StepError: The answer is wrong.
    """
    answer = _post(service, url, client)
    version = answer.get("model_version")
    if version != service.model_version:
        raise NotServingError(
            f"{url}: answers with model {version}, not {service.model_version}", fix="deploy the bundle again"
        )
    try:
        scores = [float(prediction["score"]) for prediction in answer["predictions"]]
    except (KeyError, TypeError, ValueError) as error:
        raise StepError(f"{url}: the answer to the smoke request has no scores", fix=_IMAGE) from error
    expected = service.smoke_request.scores
    if len(scores) != len(expected):
        raise StepError(f"{url}: {len(scores)} answers to the {len(expected)} rows of the smoke request", fix=_IMAGE)
    for row, (score, own_score) in enumerate(zip(scores, expected, strict=True)):
        if not math.isclose(score, own_score, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
            raise StepError(
                f"{url}: row {row} of the smoke request scores {score:.6f}, but {own_score:.6f} by the model itself",
                fix=_IMAGE,
            )
    return str(version)


def _post(service: Service, url: str, client: httpx.Client) -> dict[str, Any]:
    """Return the JSON object in the answer to the smoke request."""
    body = {"instances": service.smoke_request.instances}
    try:
        headers = {"x-request-id": f"{SMOKE_TEST_ID}{uuid.uuid4().hex}"}
        response = client.post(url, json=body, headers=headers, timeout=service.request_timeout)
    except httpx.HTTPError as error:
        raise NotServingError(
            f"{url}: no answer to the smoke request ({error})", fix="see the logs of the service"
        ) from error
    if response.status_code != httpx.codes.OK:
        failure = NotServingError if response.status_code in _TRANSIENT else StepError
        raise failure(f"{url}: the smoke request was answered {response.status_code}: {response.text[:500]}")
    try:
        answer = response.json()
    except ValueError as error:
        raise StepError(f"{url}: the answer to the smoke request is not JSON", fix=_IMAGE) from error
    if not isinstance(answer, dict):
        raise StepError(f"{url}: the answer to the smoke request is not a JSON object", fix=_IMAGE)
    return answer
