"""A client of a served model in this process."""

import asyncio

import httpx
import orjson

from container_component_src.serving.client.model_client import ModelClient
from tests.serving.protocols import AnomalyModel


class LocalClient(ModelClient):
    """Asks the model instead of a server."""

    def __init__(self, model: AnomalyModel) -> None:
        self._model = model
        self._url = "http://host"

    def _ask(
        self, method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        if method == "GET":
            return httpx.Response(200, content=orjson.dumps(self._model.metadata()))
        reply = asyncio.run(self._model.answer_v2(body or b"", headers or {}))
        return httpx.Response(200, content=b"".join(reply.content), headers=reply.headers)
