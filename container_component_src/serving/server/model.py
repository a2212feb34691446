"""A model bundle as a KServe model: the same rows and answers in V1, V2 over REST, and V2 over gRPC.

KServe parses `sys.argv` when it is imported. Import this module only in a process that serves.
"""

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import orjson
from kserve import InferRequest, Model
from kserve.protocol.grpc.grpc_predict_v2_pb2 import ModelInferRequest

from container_component_src.arrays import Float32Array, Timestamps
from container_component_src.serving.protocol import grpc, v2
from container_component_src.serving.protocol.errors import RequestError
from container_component_src.serving.protocol.rows import Rows
from container_component_src.serving.protocol.tensors import datatype_of
from container_component_src.serving.server.admission import Admission
from container_component_src.serving.server.answers import Assessment
from container_component_src.serving.server.kserve_hooks import raw_contents
from container_component_src.serving.server.metrics import Metrics
from container_component_src.serving.server.offload import offload
from container_component_src.serving.server.payloads import PayloadLog
from container_component_src.serving.server.predictor_client import PredictorError
from container_component_src.serving.server.requests_log import RequestLog
from container_component_src.serving.server.roles import Answer, Role, RowService, ServingOptions
from container_component_src.serving.server.scorers import LocalScorer, Preparation, Scored, T

JSON = {"content-type": "application/json"}
ALARMS = "alarms"  # name of the alarms in answers: a list in V1, a parameter in V2
_REQUEST_ID_LENGTH = 128

Encoder: TypeAlias = Callable[[Answer], tuple[Any, dict[str, str]]]  # returns content and headers


@dataclass(frozen=True)
class Reply:
    """The answer to a request."""

    content: Any  # bytes or parts of them over REST, a message over gRPC
    headers: dict[str, str]
    rows: int
    alarms: int


class AnomalyModel(Model):
    """A model bundle as KServe serves it.

    Args:
        service: Answers the rows.
        rebuild: Module-level function that makes this model from its options. KServe pickles the model for its worker
            processes, each of which then loads the bundle itself.
    """

    def __init__(self, service: RowService, rebuild: Callable[[ServingOptions], "AnomalyModel"]) -> None:
        super().__init__(service.options.arguments.model_name)
        self.service = service
        self._rebuild = rebuild
        self.metrics = Metrics(service.info, self.name, service.options.role, service.options.metrics_folder)
        self.version = service.info.version
        self.log = RequestLog(self.name, self.version, self.metrics)
        self.payloads: PayloadLog | None = None  # until the model is warm
        options = service.options
        self.admission = Admission(options.arguments.max_waiting, options.max_body_bytes)

    def __reduce__(self) -> tuple[Callable[..., "AnomalyModel"], tuple[ServingOptions]]:
        """Pickle the options instead of the model."""
        return self._rebuild, (self.service.options,)

    def load(self) -> bool:
        """Return whether the model is ready. It is loaded before the server starts; KServe may ask to load it."""
        return bool(self.ready)

    def answers_at_once(self, size: int) -> bool:
        """Return whether a request of so many bytes is answered without waiting for anything."""
        return isinstance(self.service.scorer, LocalScorer) and self.admission.admits_at_once(size)

    async def answer_v1(self, body: bytes, headers: dict[str, str]) -> Reply:
        """Answer a V1 request.

        Raises:
            RequestError: The request is invalid.
            OverloadedError: Too many requests wait.
            PredictorError: The predictor does not answer.
        """
        return await self._reply(lambda: (self.service.rows_of_json(body), self._v1_content), len(body), headers)

    async def answer_v2(self, body: bytes, headers: dict[str, str]) -> Reply:
        """Answer a V2 request over REST; raise the errors of `answer_v1`."""

        def decode() -> tuple[Rows, Encoder]:
            self.service.limits.check_json(body, v2.json_bytes(body, headers.get(v2.HEADER_LENGTH)))
            request = v2.decode_request(body, headers.get(v2.HEADER_LENGTH), self.service.most_inputs)
            return self.service.rows_of_tensors(request), self._encoder(v2.encode_response, request, headers)

        return await self._reply(decode, len(body), headers)

    async def answer_grpc(self, message: InferRequest, headers: dict[str, str], size: int = 0) -> Reply:
        """Answer a V2 request of `size` bytes over gRPC; raise the errors of `answer_v1`."""
        if message.model_version and message.model_version != self.version:
            raise RequestError(f"version '{message.model_version[:80]}': this server has {self.version} only")

        def decode() -> tuple[Rows, Encoder]:
            request = grpc.decode_request(message, raw_contents(message), self.service.most_inputs)
            return self.service.rows_of_tensors(request), self._encoder(grpc.encode_response, request, headers)

        return await self._reply(decode, size, headers)

    async def infer(self, request: ModelInferRequest, headers: dict[str, str]) -> Any:
        """Log and answer a request over gRPC.

        Raises:
            RequestError: The request is invalid.
            OverloadedError: The server has too much to do.
            PredictorError: The predictor does not answer, or the server is about to stop.
        """
        headers = {**headers, "x-request-id": request_id(headers)}
        with self.log.request("grpc", headers) as entry, self.admission.holding() as hold:
            if not self.ready:
                raise PredictorError("The server is about to stop.")
            size = request.ByteSize()
            hold(size)
            grpc.check_message(request, self.service.most_inputs, self.service.limits)
            message = await offload(size, InferRequest.from_grpc, request)
            reply = await self.answer_grpc(message, headers, size)
            entry.answered(reply.rows, reply.alarms)
        return reply.content

    def get_input_types(self) -> list[dict[str, object]]:
        """Return one tensor per channel. Requests may send them as one tensor `rows`, and timestamps in addition."""
        return [{"name": name, "datatype": "FP64", "shape": [-1]} for name in self.service.info.channels]

    def get_output_types(self) -> list[dict[str, object]]:
        """Return the tensors of an answer to rows without timestamps."""
        channels = len(self.service.info.channels)
        row = np.zeros((1, channels), dtype=np.float32)
        rows = Rows.of(row.astype(np.float64), None, self.service.info.impute_missing)
        outputs = self.service.answer(rows, Scored(row, row)).tensors()
        return [  # the sizes that are 0 here depend on the request
            {"name": name, "datatype": datatype_of(array), "shape": [-1, *(size or -1 for size in array.shape[1:])]}
            for name, array in outputs.items()
        ]

    def metadata(self) -> dict[str, object]:
        """Return the description of the model that REST clients get."""
        info = self.service.info
        settings, rule = info.calibrated.settings, info.calibrated.rule
        return {
            "name": self.name,
            "versions": [self.version],
            "platform": "pytorch",
            "inputs": self.get_input_types(),
            "outputs": self.get_output_types(),
            "parameters": {
                "part": self.service.options.role,
                "threshold": rule.raise_above,
                "clear_threshold": rule.clear_below,
                "min_duration_ns": rule.min_duration_ns,
                "merge_gap_ns": rule.merge_gap_ns,
                "max_gap_ns": rule.max_gap_ns,
                "subsystems": info.calibrated.subsystems,
                "window_steps": self.service.info.architecture.window_steps,
                "smoothing": settings.smoothing.value,
                "smoothing_window": settings.smoothing_window,
                "context_rows": info.context_rows,
                "impute_missing": self.service.info.impute_missing,
                "dead_after": self.service.options.arguments.dead_after,
                "max_body_bytes": self.service.options.max_body_bytes,
                "max_rows": self.service.limits.rows(len(self.service.info.channels)),
            },
        }

    async def warm_up(self) -> None:
        """Answer a first request in each REST protocol. A transformer does so without its predictor.

        Raises:
            RequestError: The model computes NaN or infinity.
        """
        info, scorer = self.service.info, self.service.scorer
        centre = info.scaler.centre if info.scaler and self.service.takes_telemetry else (0.0,) * len(info.channels)
        if self.service.options.role is Role.TRANSFORMER:
            self.service.scorer = _ZeroScorer()
        try:
            await self.answer_v1(orjson.dumps({"instances": [centre]}), {})
            body, headers = v2.encode_request({v2.ROWS_INPUT: np.array([centre])})
            await self.answer_v2(body, headers)
        finally:
            self.service.scorer = scorer
        self.metrics.reset()
        self.ready = True

    def log_payloads(self) -> None:
        """Log the rows of requests from now on, if an option says so.

        Raises:
            InputError: The folder of the log cannot be used.
        """
        if self.service.options.arguments.payload_log:
            self.payloads = PayloadLog(self.service.options.arguments, self.service.info, self.metrics.payloads)

    def close_payload_log(self) -> None:
        """Write the rows that wait; none is logged after that."""
        if self.payloads is not None:
            self.payloads.close()

    async def _reply(self, decode: Callable[[], tuple[Rows, Encoder]], size: int, headers: dict[str, str]) -> Reply:
        """Answer a request; `decode` returns its rows and the function that encodes their answer."""
        received = time.time_ns()

        def prepare() -> tuple[Float32Array, Timestamps | None, Callable[[Scored], Reply]]:
            rows, encode = decode()
            scaled = self.service.scaled(rows)

            def finish(scored: Scored) -> Reply:
                answer = self.service.answer(rows, scored)
                content, content_headers = encode(answer)
                alarms = int(answer.alarms.sum())
                self.metrics.rows(scaled, answer.scores, alarms, answer.imputation)
                if self.payloads is not None and isinstance(answer, Assessment):
                    self.payloads.log(received, headers.get("x-request-id", ""), rows, scored, answer)
                return Reply(content, content_headers, len(scaled), alarms)

            return scaled, rows.timestamps, finish

        async with self.admission.turn(size):
            return await self.service.scorer.score(prepare, size, headers)

    def _v1_content(self, answer: Answer) -> tuple[bytes, dict[str, str]]:
        self.service.limits.check_answer(answer.size + answer.found_size)
        content = {"predictions": answer.predictions(), "model_name": self.name, "model_version": self.version}
        found = answer.found_json()
        alarms = {} if found is None else {ALARMS: orjson.Fragment(found)}
        return orjson.dumps(content | alarms, option=orjson.OPT_SERIALIZE_NUMPY), JSON

    def _encoder(
        self,
        encode: Callable[[Mapping[str, npt.NDArray[Any]], v2.Request, Mapping[str, Any]], tuple[Any, dict[str, str]]],
        request: v2.Request,
        headers: Mapping[str, str],
    ) -> Encoder:
        fields = {
            "model_name": self.name,
            "model_version": self.version,
            "id": request.id or headers.get("x-request-id", ""),
        }

        def encoded(answer: Answer) -> tuple[Any, dict[str, str]]:
            outputs = _requested(answer.tensors(), request)
            self.service.limits.check_answer(
                answer.found_size + sum(array.size for name, array in outputs.items() if not request.sends_binary(name))
            )
            found = answer.found_json()
            parameters: dict[str, Any] = {} if found is None else {"parameters": {ALARMS: found}}
            return encode(outputs, request, fields | parameters)

        return encoded


class _ZeroScorer:
    """Takes the place of the predictor while a transformer warms up."""

    async def score(self, prepare: Preparation[T], size: int, headers: dict[str, str]) -> T:
        scaled, _, finish = prepare()
        return finish(Scored(np.zeros_like(scaled), np.zeros_like(scaled)))


def request_id(headers: Mapping[str, str]) -> str:
    """Return the id that the caller gave the request if it is printable ASCII, otherwise a new id."""
    given = headers.get("x-request-id", "")[:_REQUEST_ID_LENGTH]
    return given if given and given.isascii() and given.isprintable() else uuid.uuid4().hex


def _requested(outputs: dict[str, npt.NDArray[Any]], request: v2.Request) -> dict[str, npt.NDArray[Any]]:
    if request.outputs is None:
        return outputs
    unknown = request.outputs.keys() - outputs.keys()
    if unknown:
        raise RequestError(f"output '{min(unknown)}': unknown; this answer has {', '.join(outputs)}")
    return {name: outputs[name] for name in request.outputs}
