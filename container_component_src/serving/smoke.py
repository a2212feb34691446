"""The smoke test of a deployed service: one real request, whose scores have to be those of the model itself."""

import math
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from container_component_src.errors import StepError
from container_component_src.model.bundle_info import BundleInfo
from container_component_src.serving.service import Service
from container_component_src.telemetry.dataset import Dataset, values_of

SAMPLE_ROWS = 5
TOLERANCE = 1e-5  # of the larger of |score| and 1 nat: float32 arithmetic on batches of other sizes


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


def smoke_test(service: Service, url: str, client: httpx.Client) -> str:
    """Send the smoke request of a service.

    Args:
        service: The service, with the request.
        url: Where it takes requests.
        client: Carries what the place needs (headers, proxies, certificates).

    Returns:
        The model version that answered.

    Raises:
        StepError: There is no answer, or not the right one.
    """
    answer = _post(service, url, client)
    version = answer.get("model_version")
    if version != service.model_version:
        raise StepError(f"{url}: answers with model {version}, not {service.model_version}; deploy the bundle again")
    served = [prediction["score"] for prediction in answer["predictions"]]
    for row, (score, expected) in enumerate(zip(served, service.smoke_request.scores, strict=True)):
        if not math.isclose(score, expected, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
            raise StepError(
                f"{url}: row {row} of the smoke request scores {score:.6f}, the model itself says {expected:.6f}; "
                "deploy with the image that trained the model"
            )
    return str(version)


def _post(service: Service, url: str, client: httpx.Client) -> dict[str, Any]:
    body = {"instances": service.smoke_request.instances}
    try:
        response = client.post(url, json=body, timeout=service.request_timeout)
    except httpx.HTTPError as error:
        raise StepError(f"{url}: no answer to the smoke request ({error}); see the logs of the service") from error
    if response.status_code != httpx.codes.OK:
        raise StepError(f"{url}: the smoke request was answered {response.status_code}: {response.text[:500]}")
    answer: dict[str, Any] = response.json()
    return answer
