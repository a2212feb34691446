"""The service of a bundle, as a backend can deploy it."""

from container_component_src.model.bundle import Bundle
from container_component_src.model.frames import check_channels
from container_component_src.serving.deployment.service import Service, SmokeRequest
from container_component_src.serving.deployment.smoke_test import sample_rows
from container_component_src.steps.serving import Hosting
from container_component_src.telemetry.dataset import Dataset


def make_service(
    bundle_uri: str, test_df_path: str, name: str, hosting: Hosting | None = None, ready_timeout: float = 600.0
) -> Service:
    """Describe the service of a bundle, with the smoke request that it must pass.

    Args:
        bundle_uri: The model bundle.
        test_df_path: Scaled test set whose first rows make the smoke request, or "" for one synthetic row.
        name: Name of the service.
        hosting: How a cluster runs the service.
        ready_timeout: Seconds until the service must be ready.

    Raises:
        InputError: The bundle or the test set is missing or damaged, or their channels differ.
    """
    bundle = Bundle.load_calibrated(bundle_uri)
    dataset = Dataset.open(test_df_path) if test_df_path else None
    if dataset is not None:
        check_channels(bundle.info, dataset.channels)
    rows = sample_rows(bundle.info, dataset)
    # The service scales engineering units, which keep fewer digits in float32 than the scaled values.
    scaled = bundle.info.scaler.transform(rows) if bundle.info.scaler else rows
    request = SmokeRequest(
        instances=tuple(dict(zip(bundle.info.channels, row, strict=True)) for row in rows.tolist()),
        scores=tuple(bundle.scorer.scores(scaled).tolist()),
    )
    return Service(name, bundle_uri, request, bundle.info.version, hosting or Hosting(), ready_timeout)
