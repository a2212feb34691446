"""Registration of a deployed model in Kubeflow's Model Registry.

The registered model has the name of the service, its versions those of the bundles, and each version one artifact with
the address of the bundle. Whatever exists is kept, so that a repeated registration completes an earlier one. The client
is that of the package `model-registry`, without the wrapper that configures logging and event loops for a notebook.
"""

import asyncio
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from container_component_src.credentials import header_value
from container_component_src.errors import PipelineError, StepError
from container_component_src.model.bundle_info import BundleInfo
from container_component_src.model.card import ModelCard
from container_component_src.steps.serving import REGISTRY_CA, REGISTRY_TOKEN

if TYPE_CHECKING:
    import mr_openapi

SECONDS = 60.0  # of the whole registration
REQUEST_SECONDS = 10.0
_FIX = "check [platform] model_registry and its token, then deploy again: the deployment itself stands"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Registration:
    """A version of a model as the registry stores it.

    Attributes:
        model: Name of the registered model.
        version: Name of the version.
        uri: Address of the bundle.
        properties: What is known of the version, by name; numbers and texts.
        readme: The model card as markdown.
    """

    model: str
    version: str
    uri: str
    properties: Mapping[str, float | int | str]
    readme: str


def registration(service: str, uri: str, info: BundleInfo, run_id: str = "", commit: str = "") -> Registration:
    """Return what the registry is told of a calibrated bundle.

    Args:
        service: Name of the service.
        uri: Address of the bundle.
        info: Its description.
        run_id: The run that deployed it; empty if the step was run by hand.
        commit: Commit of the code; empty if it is not known.
    """
    rate = info.calibrated.false_alarms_per_day
    known = {
        "detector": info.architecture.detector.value,
        "alarm_threshold": info.calibrated.rule.raise_above,
        "clear_threshold": info.calibrated.rule.clear_below,
        "val_loss": info.training.val_loss,
        "train_rows": info.training.train_rows,
        "channels": len(info.channels),
        "weights_sha256": info.weights_sha256,
        **({"expected_false_alarms_per_day": rate.estimate} if rate else {}),
        **{name: value for name, value in (("run_id", run_id), ("commit", commit)) if value},
    }
    return Registration(service, info.version, uri, known, ModelCard.of(info).markdown())


def register(url: str, model: Registration, environment: Mapping[str, str]) -> bool:
    """Register a version of a model, and log what was done.

    Args:
        url: Address of the registry.
        model: The version.
        environment: Variables with the token (`MODEL_REGISTRY_TOKEN`) and with certificates to trust as PEM text
            (`MODEL_REGISTRY_CA_BUNDLE`), both optional.

    Returns:
        Whether the version is new.

    Raises:
        StepError: The registry is away, refuses, or answers with something else.
        InputError: The token or the certificates are invalid.
    """
    import aiohttp  # noqa: PLC0415 - these are slow, and only for services that are registered
    from mr_openapi.exceptions import ApiException, OpenApiException  # noqa: PLC0415

    token = header_value(environment.get(REGISTRY_TOKEN, ""), REGISTRY_TOKEN)
    try:
        new = asyncio.run(_register(url.rstrip("/"), model, token, environment.get(REGISTRY_CA, "").strip()))
    except ApiException as error:  # its text has headers and bodies
        raise StepError(f"{url}: the model registry answers {error.status} {error.reason}", fix=_FIX) from error
    except ssl.SSLError as error:
        raise StepError(
            f"{url}: no encrypted connection ({error}); {REGISTRY_CA} has the certificates", fix=_FIX
        ) from error
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise StepError(f"{url}: the model registry is away ({error or 'no answer in time'})", fix=_FIX) from error
    except (OpenApiException, ValueError) as error:  # pydantic's errors are ValueErrors
        raise StepError(f"{url}: not the answers of a model registry", fix=_FIX) from error
    what = "registered" if new else "already registered"
    _log.info("%s version %s is %s at %s", model.model, model.version, what, url)
    return new


def try_to_register(url: str, model: Registration, environment: Mapping[str, str]) -> None:
    """Register a version of a model; a failure is a warning, because the deployed service works without a registry."""
    try:
        register(url, model, environment)
    except PipelineError as error:
        _log.warning("%s version %s was not registered: %s", model.model, model.version, error)


async def _register(url: str, model: Registration, token: str, certificates: str) -> bool:
    from mr_openapi import ApiClient, Configuration, ModelRegistryServiceApi  # noqa: PLC0415 - slow
    from mr_openapi.exceptions import NotFoundException  # noqa: PLC0415

    class Client(ApiClient):
        """Client with a deadline for each request, which also speaks with registries that do not know `v1` yet."""

        old = False

        async def call_api(self, method: str, url: str, *values: Any, **named: Any) -> Any:
            from aiohttp import ClientTimeout  # noqa: PLC0415

            address = url.replace("/api/model_registry/v1/", "/api/model_registry/v1alpha3/", 1) if self.old else url
            named["_request_timeout"] = ClientTimeout(total=REQUEST_SECONDS)
            return await super().call_api(method, address, *values, **named)

    settings = Configuration(host=url, access_token=token or None, ca_cert_data=certificates or None)
    async with asyncio.timeout(SECONDS), Client(settings) as client:
        api = ModelRegistryServiceApi(client)
        try:
            await api.get_registered_models(page_size="1")
        except NotFoundException:
            client.old = True
        parent = await _find_or_create_model(api, model)
        version, new = await _find_or_create_version(api, model, parent)
        await _add_artifact(api, model, version)
        return new


async def _find_or_create_model(api: "mr_openapi.ModelRegistryServiceApi", model: Registration) -> str:
    """Return the ID of the registered model."""
    from mr_openapi import RegisteredModelCreate  # noqa: PLC0415 - slow
    from mr_openapi.exceptions import ConflictException, NotFoundException  # noqa: PLC0415

    try:
        found = await api.find_registered_model(name=model.model)
    except NotFoundException:
        wanted = RegisteredModelCreate(
            name=model.model, description="Anomaly detector of telemetry", readme=model.readme, library_name="torch"
        )
        try:
            found = await api.create_registered_model(wanted)
        except ConflictException:  # somebody else was faster
            found = await api.find_registered_model(name=model.model)
    return str(found.id)


async def _find_or_create_version(
    api: "mr_openapi.ModelRegistryServiceApi", model: Registration, parent: str
) -> tuple[str, bool]:
    """Return the ID of the version, and whether it is new."""
    from mr_openapi import ModelVersionCreate  # noqa: PLC0415 - slow
    from mr_openapi.exceptions import ConflictException, NotFoundException  # noqa: PLC0415

    try:
        return str((await api.find_model_version(name=model.version, parent_resource_id=parent)).id), False
    except NotFoundException:
        wanted = ModelVersionCreate(
            name=model.version,
            registered_model_id=parent,
            custom_properties={name: _value(value) for name, value in model.properties.items()},
        )
    try:
        return str((await api.create_model_version(wanted)).id), True
    except ConflictException:
        return str((await api.find_model_version(name=model.version, parent_resource_id=parent)).id), False


async def _add_artifact(api: "mr_openapi.ModelRegistryServiceApi", model: Registration, version: str) -> None:
    """Give the version an artifact with the address of the bundle, unless it has one with a model."""
    from mr_openapi import Artifact, ModelArtifact  # noqa: PLC0415 - slow

    found = await api.get_model_version_artifacts(version, artifact_type="model-artifact")
    uris = [item.actual_instance.uri for item in found.items or () if item.actual_instance]
    if not uris:
        artifact = ModelArtifact(
            name=f"{model.model}-{model.version[:8]}",
            artifact_type="model-artifact",
            uri=model.uri,
            model_format_name="safetensors",
            model_source_kind="pipelines",
            model_source_id=str(model.properties.get("run_id", "")) or None,
        )
        await api.upsert_model_version_artifact(version, Artifact(artifact))
    elif model.uri not in uris:
        _log.info("version %s keeps the address that it was registered with, %s", model.version, uris[0])


def _value(value: float | int | str) -> "mr_openapi.MetadataValue":
    from mr_openapi import (  # noqa: PLC0415 - slow
        MetadataDoubleValue,
        MetadataIntValue,
        MetadataStringValue,
        MetadataValue,
    )

    if isinstance(value, str):
        return MetadataValue(MetadataStringValue(string_value=value, metadata_type="MetadataStringValue"))
    if isinstance(value, int):
        return MetadataValue(MetadataIntValue(int_value=str(value), metadata_type="MetadataIntValue"))
    return MetadataValue(MetadataDoubleValue(double_value=value, metadata_type="MetadataDoubleValue"))
