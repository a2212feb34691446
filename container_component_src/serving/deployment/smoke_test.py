"""The smoke test of a deployed service: one real request, whose scores have to be those of the model itself."""

import math
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from container_component_src.errors import StepError
from container_component_src.model.bundle_info import BundleInfo
from container_component_src.serving.deployment.service import Service
from container_component_src.telemetry.dataset import Dataset, values_of

SAMPLE_ROWS = 5
TOLERANCE = 1e-5  # of the larger of |score| and 1 nat: float32 arithmetic on batches of other sizes
# A gateway without a route or an endpoint yet, and a transformer whose predictor is not there yet.
_PASSING = {
    httpx.codes.NOT_FOUND,
    httpx.codes.BAD_GATEWAY,
    httpx.codes.SERVICE_UNAVAILABLE,
    httpx.codes.GATEWAY_TIMEOUT,
}
_IMAGE = "deploy with the image that trained the model"


def sample_rows(info: BundleInfo, test_dataset: Dataset | None) -> npt.NDArray[np.float32]:
    """Rows for the smoke request.

    Args:
        info: Description of the bundle.
        test_dataset: Scaled test data with the channels of the bundle, of which the first rows are taken; without it,
            one row at the centre of the scaler.

    Returns:
        Values in engineering units, shape [rows, channels].
    """
    scaled = np.zeros((1, len(info.channels)), dtype=np.float32)
    if test_dataset is not None:
        with test_dataset.open_partition(test_dataset.manifest.partitions[0]) as file:
            batch = next(file.iter_batches(batch_size=SAMPLE_ROWS, columns=list(info.channels)))
        scaled = np.nan_to_num(values_of(pa.Table.from_batches([batch]), info.channels))
    return info.scaler.inverse_transform(scaled) if info.scaler else scaled


class NotServingError(StepError):
    """The service, or not this model of it, is reachable; it may be once addresses and routes have settled."""


def smoke_test(service: Service, url: str, client: httpx.Client) -> str:
    """Send the smoke request of a service.

    Args:
        service: The service, with the request.
        url: Where it takes requests.
        client: Carries what the place needs (headers, proxies, certificates).

    Returns:
        The model version that answered.

    Raises:
        NotServingError: There is no answer, or one of another model.
        StepError: The answer is not the right one.
    """
    answer = _post(service, url, client)
    version = answer.get("model_version")
    if version != service.model_version:
        raise NotServingError(
            f"{url}: answers with model {version}, not {service.model_version}; deploy the bundle again"
        )
    try:
        served = [float(prediction["score"]) for prediction in answer["predictions"]]
    except (KeyError, TypeError, ValueError) as error:
        raise StepError(f"{url}: the answer to the smoke request holds no scores; {_IMAGE}") from error
    rows = len(service.smoke_request.scores)
    if len(served) != rows:
        raise StepError(f"{url}: {len(served)} answers to the {rows} rows of the smoke request; {_IMAGE}")
    for row, (score, expected) in enumerate(zip(served, service.smoke_request.scores, strict=True)):
        if not math.isclose(score, expected, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
            raise StepError(
                f"{url}: row {row} of the smoke request scores {score:.6f}, the model itself says {expected:.6f}; "
                f"{_IMAGE}"
            )
    return str(version)


def _post(service: Service, url: str, client: httpx.Client) -> dict[str, Any]:
    body = {"instances": service.smoke_request.instances}
    try:
        response = client.post(url, json=body, timeout=service.request_timeout)
    except httpx.HTTPError as error:
        raise NotServingError(
            f"{url}: no answer to the smoke request ({error}); see the logs of the service"
        ) from error
    if response.status_code != httpx.codes.OK:
        failure = NotServingError if response.status_code in _PASSING else StepError
        raise failure(f"{url}: the smoke request was answered {response.status_code}: {response.text[:500]}")
    try:
        answer = response.json()
    except ValueError as error:
        raise StepError(f"{url}: the answer to the smoke request is not JSON; {_IMAGE}") from error
    if not isinstance(answer, dict):
        raise StepError(f"{url}: the answer to the smoke request is no JSON object; {_IMAGE}")
    return answer
