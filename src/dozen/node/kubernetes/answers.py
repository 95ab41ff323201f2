"""Notes when this node's API server has answered for the first time: what needs it can begin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dozen.machinery.kubernetes.paths import APISERVER
from dozen.machinery.resources.kubernetes import API_SERVER_ANSWERS, APIServerAnswersSpec
from dozen.node.kubernetes.api import KubernetesApi

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher


class APIServerWatcher:
    """The local API server → APIServerAnswers, on control planes."""

    name = "api-server-answers"
    outputs = (API_SERVER_ANSWERS,)

    def __init__(self, api: KubernetesApi) -> None:
        self._api = api

    async def run(self, publish: Publisher) -> None:
        client = await self._api.connect()
        client.close()
        if self._api.is_control_plane:
            publish.put(API_SERVER_ANSWERS, APISERVER, APIServerAnswersSpec(answered=True))
