"""Decides on kubelets' requests for serving certificates, on every control plane; see `…kubernetes.serving`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING

from dozen.machinery.kubernetes.objects import Object
from dozen.machinery.kubernetes.serving import SIGNER, Decision, Verdict, is_pending, judge
from dozen.node.kubernetes.api import KubernetesApi, retrying
from dozen.node.kubernetes.client import Client
from dozen.node.kubernetes.errors import Conflict, NotFound

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher

# A request that waits for its node to be known is looked at again after so many seconds.
LOOK_AGAIN = 5.0
REASONS = {Decision.APPROVE: "DozenOwnNames", Decision.DENY: "DozenForeignNames"}


class ServingApprover:
    """CertificateSigningRequests of kubelets → approved or denied."""

    name = "kubelet-serving-approver"
    outputs = ()

    def __init__(self, api: KubernetesApi) -> None:
        self._api = api
        self._log = logging.getLogger("dozen.approver")
        self._said: dict[str, str] = {}

    async def run(self, publish: Publisher) -> None:
        with retrying():
            async with await self._api.connect() as client:
                if self._api.is_control_plane:
                    await self._follow(client)

    async def _follow(self, client: Client) -> None:
        latest: dict[str, Object] = {}
        changed = asyncio.Event()

        async def read() -> None:
            selector = f"spec.signerName={SIGNER}"
            async for requests in client.follow(
                "certificates.k8s.io/v1", "CertificateSigningRequest", field_selector=selector
            ):
                latest.clear()
                latest.update(requests)
                changed.set()

        async with asyncio.TaskGroup() as group:
            group.create_task(read())
            waiting = False
            while True:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), LOOK_AGAIN if waiting else None)
                changed.clear()
                pending = [request for request in latest.values() if is_pending(request)]
                waiting = await self._decide(client, pending)

    async def _decide(self, client: Client, pending: list[Object]) -> bool:
        """Decide on each request; True when one of them has to wait."""
        if not pending:
            return False
        nodes = {node["metadata"]["name"]: node for node in await client.list("v1", "Node")}
        waiting = False
        for request in pending:
            verdict = judge(request, nodes)
            self._note(request["metadata"]["name"], verdict)
            if verdict.decision is Decision.WAIT:
                waiting = True
                continue
            try:
                await client.replace(decided(request, verdict), "approval")
            except (Conflict, NotFound):
                continue  # another control plane was faster, or the request is gone
        return waiting

    def _note(self, name: str, verdict: Verdict) -> None:
        if self._said.get(name) != verdict.reason:
            self._said[name] = verdict.reason
            self._log.info("csr=%s decision=%s %s", name, verdict.decision, verdict.reason)
        if len(self._said) > 100:
            del self._said[next(iter(self._said))]


def decided(request: Object, verdict: Verdict) -> Object:
    """The request with the decision in its status."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    condition = {
        "type": str(verdict.decision),
        "status": "True",
        "reason": REASONS[verdict.decision],
        "message": verdict.reason,
        "lastUpdateTime": stamp,
    }
    status = request.get("status") or {}
    return {**request, "status": {**status, "conditions": [*(status.get("conditions") or ()), condition]}}
