"""The deployment of a model, its servers, and their client."""

import re
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, model_validator

from container_component_src.names import OptionalUri, WebAddress
from container_component_src.steps.declaration import Arguments, flag, option, parameter, wired
from container_component_src.steps.shared import Launching, TimestampColumn
from container_component_src.values import LocalPath, NonEmpty

LONGEST_LABEL = 63  # characters of a label of a host name
LONGEST_NAME = LONGEST_LABEL - len("-transformer")
KNATIVE = "Knative"
STANDARD = "Standard"
_OLD_MODES = {"RawDeployment": STANDARD, "Serverless": KNATIVE}  # names before KServe 0.16
HTTP_PORT = 8080
SERVICE_NAME = "columbus-eclss-ad"
DEAD_AFTER = 300.0  # seconds
REGISTRY_TOKEN = "MODEL_REGISTRY_TOKEN"  # noqa: S105 - the name of the variable
REGISTRY_CA = "MODEL_REGISTRY_CA_BUNDLE"
ROW_SUFFIXES = (".parquet", ".csv", ".ndjson")  # of the files of answers
ALARM_SUFFIXES = (".ndjson", ".csv")
DEPLOYMENTS_VARIABLE = "PIPELINE_DEPLOYMENTS"
PREVIOUS = "previous"  # names the bundle that was deployed before the present one
_DNS_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


def same_mode(mode: str) -> str:
    """Return the current name of a deployment mode."""
    return _OLD_MODES.get(mode, mode)


def names_of_mode(mode: str) -> list[str]:
    """Return the names by which KServe may know a deployment mode, the given one first."""
    others = (name for name in (*_OLD_MODES, *_OLD_MODES.values()) if name != mode)
    return [mode, *(name for name in others if same_mode(name) == same_mode(mode))]


def _dns_label(name: str) -> str:
    if not _DNS_LABEL.fullmatch(name) or len(name) > LONGEST_NAME:
        raise ValueError(
            f"'{name}' is not a valid service name: use at most {LONGEST_NAME} lower-case letters, digits and hyphens, "
            "starting with a letter"
        )
    return name


ServiceName = Annotated[str, AfterValidator(_dns_label)]


class DeadAfter(Arguments):
    """When a server reports a channel as dead."""

    dead_after: float = parameter(
        "Seconds that a channel may be missing in a request that imputes missing values; after that, every row without "
        "it is an alarm.",
        DEAD_AFTER,
        gt=0,
    )


class PayloadLogging(Arguments):
    """What servers log of the rows that they are asked to score, and of their answers."""

    payload_log: OptionalUri = wired(
        "Folder of the payload log, to which servers write the rows of requests and their answers as parquet files. "
        "Empty: none is written.",
        "",
    )
    payload_log_fraction: float = wired("Share of the requests whose rows are logged.", 1.0, ge=0, le=1)
    payload_log_alarms: bool = wired("Whether to log also the rows of the other requests that are in alarm.", True)
    payload_log_days: int = wired("Days after which servers delete logged rows; 0 keeps them.", 30, ge=0, le=36_500)


class Replicas(Arguments):
    """How many pods serve, and how they are started."""

    deployment_mode: Literal["Standard", "Knative", "RawDeployment", "Serverless"] = wired(
        "Pods of a Deployment, or of Knative, which starts them on demand. RawDeployment and Serverless are the names "
        "before KServe 0.16; the other name is used where KServe does not know one.",
        STANDARD,
    )
    min_replicas: int = wired("Least pods of a component of the service; 0 with Knative only.", 1, ge=0, le=1000)
    max_replicas: int = wired("Most pods of a component of the service.", 1, ge=1, le=1000)

    @model_validator(mode="after")
    def _replicas_fit_the_mode(self) -> Self:
        if self.max_replicas < self.min_replicas:
            raise ValueError(f"--max-replicas {self.max_replicas} is below --min-replicas {self.min_replicas}")
        if self.min_replicas == 0 and not self.serverless:
            raise ValueError("--min-replicas 0 needs --deployment-mode Knative, which starts pods on demand")
        return self

    @property
    def serverless(self) -> bool:
        """Whether pods are started on demand."""
        return same_mode(self.deployment_mode) == KNATIVE


class Hosting(Replicas, PayloadLogging, DeadAfter):
    """How a cluster runs a service; the local backend uses `combined` only."""

    model_storage: Literal["secret", "service-account"] = option(
        "How servers get the bundle: they read it from S3 with the Secret of all pods, or KServe copies it into the "
        "pods with the credentials of the service account.",
        "secret",
    )
    combined: bool = flag("Run transformer and predictor in one container.")
    canary_traffic_percent: int | None = option(
        "Share of the requests for the new model, the rest goes to the previous one; with Knative and --combined only.",
        None,
        ge=0,
        le=100,
    )
    payload_logger: Literal["server", "kserve"] = option(
        "Who writes the payload log: the servers, or with --combined the logger of KServe 0.18 or later. It stores the "
        "bodies of all HTTP requests and answers in S3, with the credentials of the service account.",
        "server",
    )
    istio_sidecar: bool = flag(
        "Let Istio inject its proxy into the pods; the policy of a profile then separates transformer and predictor."
    )
    take_over: bool = parameter(
        "Whether to replace an InferenceService of the same name that something else created.",
        False,
        name="take_over_service",
    )
    gateway_url: str = option(
        "Address for the smoke request from outside of the cluster, such as a forwarded port of the gateway.", ""
    )

    @model_validator(mode="after")
    def _canary_fits(self) -> Self:
        if self.canary_traffic_percent is not None and not self.serverless:
            raise ValueError("--canary-traffic-percent needs --deployment-mode Knative, which divides traffic")
        if self.canary_traffic_percent is not None and not self.combined:
            raise ValueError(
                "--canary-traffic-percent needs --combined: traffic is divided at each component, so a transformer "
                "could ask the predictor of the other model"
            )
        return self

    @model_validator(mode="after")
    def _kserve_can_log(self) -> Self:
        if self.payload_logger == "kserve" and not self.payload_log:
            raise ValueError("--payload-logger kserve needs --payload-log, the place of the log")
        if self.payload_logger == "kserve" and not self.combined:
            raise ValueError(
                "--payload-logger kserve needs --combined: KServe gives the storage of the log to the predictor only"
            )
        return self


class ServiceIdentity(Arguments):
    """Which service is meant, and where the local backend keeps what it has deployed."""

    service_name: ServiceName = parameter("Name of the InferenceService.", SERVICE_NAME)
    deployments: LocalPath = option(
        "Folder where the local backend keeps the deployed bundle of each service and the one before.",
        Path("local_data/deployments"),
        envvar=DEPLOYMENTS_VARIABLE,
    )


class DeployToKserve(ServiceIdentity, Hosting, Launching):
    """Arguments of `deploy_to_kserve`."""

    command: ClassVar[str] = "deploy_to_kserve"
    results: ClassVar[dict[str, type]] = {"endpoint": str}
    secret_keys: ClassVar[tuple[str, ...]] = (REGISTRY_TOKEN, REGISTRY_CA)

    bundle_path: NonEmpty = wired(
        f"The model bundle; `{PREVIOUS}`: the one that the service had before the present one.", aliases=("--bundle",)
    )
    test_df_path: str = wired(
        "Scaled test set, whose first rows make the smoke request. Empty: a row at the centre of the scaler.", ""
    )
    ready_timeout: float = option("Seconds until the service must be ready.", 600.0, gt=0)
    registry: WebAddress = wired(
        "Address of Kubeflow's Model Registry, in which the deployed model is registered; its token is in the variable "
        "MODEL_REGISTRY_TOKEN. Empty: it is not registered.",
        "",
    )
    commit: str = wired("Commit of the code, which the registry stores. Empty: unknown.", "")


class Server(PayloadLogging, DeadAfter):
    """What every server needs. KServe adds arguments of its own, written with underscores."""

    model_dir: NonEmpty = option("The model bundle: a folder or its URI.", "/mnt/models", aliases=("--model_dir",))
    model_name: NonEmpty = option("Name of the model in the URL.", "model", aliases=("--model_name",))
    http_port: int = option("Port to listen on.", HTTP_PORT, aliases=("--http_port",), ge=1)
    grpc_port: int | None = option(
        "Port of gRPC; by default 8081 beside HTTP port 8080, and no gRPC beside another one.",
        None,
        aliases=("--grpc_port",),
        ge=1,
    )
    max_body_mib: int = option("Largest body of an HTTP request, in MiB.", 64, ge=1)
    max_waiting: int = option("Requests that wait for their turn; further ones are answered with 429.", 256, ge=0)
    read_timeout: float = option(
        "Seconds that a client has for the headers of a request, and again for the body, with one more for each MiB.",
        30.0,
        gt=0,
    )
    workers: int = option("Processes that answer HTTP requests.", 1, ge=1)
    top_channels: int = option("Contributing channels that an answer names for a row.", 5, ge=1)


class ServePredictor(Server):
    """Arguments of `serve_predictor`."""

    command: ClassVar[str] = "serve_predictor"

    combined: bool = flag("Also do what a transformer does, in this process.")

    @model_validator(mode="after")
    def _only_telemetry_is_logged(self) -> Self:
        if self.payload_log and not self.combined:
            raise ValueError("--payload-log needs --combined: the rows that come from a transformer are scaled")
        return self


class ServeTransformer(Server):
    """Arguments of `serve_transformer`."""

    command: ClassVar[str] = "serve_transformer"

    predictor_host: NonEmpty = option("Host of the predictor, or host:port.", aliases=("--predictor_host",))


class TelemetryInput(TimestampColumn):
    """Where the telemetry of a client comes from."""

    input: NonEmpty = option("Telemetry in engineering units; - is stdin.", "-")
    input_format: Literal["parquet", "csv", "json"] | None = option(
        "Format of the input; detected from the content by default.", None
    )


class ServiceAddress(Arguments):
    """Where a client finds a deployed model."""

    url: str = option("Address of the service, or of the gateway with the path before /v2.")
    model_name: NonEmpty = option("Name of the model.", SERVICE_NAME)
    host: str = option("Host header: the name of the service behind a gateway.", "")
    ca_file: str = option("Certificates to trust, as PEM. Empty: those of the system.", "")
    timeout: float = option("Seconds to wait for an answer.", 60.0, gt=0)


class MissingValues(Arguments):
    """What a client does with rows that lack values."""

    skip_missing: bool = flag("Leave out rows with a missing value.")
    impute_missing: bool = flag(
        "Have missing values scored as the centre of their channel; without timestamps, no channel is reported as dead."
    )

    @model_validator(mode="after")
    def _one_way_with_missing_values(self) -> Self:
        if self.skip_missing and self.impute_missing:
            raise ValueError("--skip-missing and --impute-missing exclude each other")
        return self

    def imputes(self, by_default: bool) -> bool:
        """Return whether missing values are imputed; `by_default` says whether the model does it unless told."""
        return self.impute_missing or (by_default and not self.skip_missing)


class QueryModel(TelemetryInput, MissingValues, ServiceAddress):
    """Arguments of `query_model`."""

    command: ClassVar[str] = "query_model"

    url: NonEmpty = option("Address of the service, or of the gateway with the path before /v2.")
    output: str = option(
        "File for the answers to all rows, in the format of its suffix: .parquet, .csv or .ndjson. Empty: a table of "
        "the first rows is printed.",
        "",
    )
    alarms: str = option("File for the alarms, in the format of its suffix: .ndjson or .csv.", "")
    batch_rows: int = option("Rows of a request.", 1000, ge=1)
    alarms_only: bool = flag("Print only rows above the alarm threshold or with a dead channel.")
    rows: int = option("Rows to print, and alarms.", 20, ge=1)

    @model_validator(mode="after")
    def _files_have_known_suffixes(self) -> Self:
        for name, file, suffixes in (
            ("--output", self.output, ROW_SUFFIXES),
            ("--alarms", self.alarms, ALARM_SUFFIXES),
        ):
            if file and not file.lower().endswith(suffixes):
                raise ValueError(f"{name} {file}: the name must end in {' or '.join(suffixes)}, which is the format")
        if self.output and self.output == self.alarms:
            raise ValueError(f"--output and --alarms are the same file, {self.output}")
        return self
