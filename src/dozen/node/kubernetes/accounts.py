"""Keeps the Secrets of those workloads that have an account of the machine API (`dozen.machinery.kubernetes.accounts`).

What it takes is loaded only where the configuration gives such access.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING

from dozen.machinery.resources import cluster, config
from dozen.machinery.resources.kubernetes import NODE_IP, NODENAME
from dozen.node.configuration import parse
from dozen.node.kubernetes.api import KubernetesApi, retrying
from dozen.node.kubernetes.errors import ApiError, Conflict, NotFound, Unreachable

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher
    from dozen.engine.store import Store
    from dozen.machinery.kubernetes.objects import Object
    from dozen.node.kubernetes.client import Client

# How often certificates are looked at although nothing has changed, and the least time between two looks, seconds.
LOOK_AGAIN, PAUSE = 900.0, 1.0
KINDS = (cluster.KUBERNETES_ACCESS_CONFIG, config.MACHINE_CONFIG, NODE_IP)
NO_ACCESS = cluster.KubernetesAccessConfigSpec()


class AccountKeeper:
    """KubernetesAccessConfig, accounts in Kubernetes → their Secrets, and where a control plane serves."""

    name = "kubernetes-access"
    outputs = ()

    def __init__(self, api: KubernetesApi, store: Store) -> None:
        self._api = api
        self._store = store
        self._log = logging.getLogger("dozen.accounts")

    async def run(self, publish: Publisher) -> None:
        while True:
            await self._store.wait_for(
                cluster.KUBERNETES_ACCESS_CONFIG, cluster.ACCESS, lambda access: access.spec.enabled
            )
            nodename = await self._store.wait_for(NODENAME, "nodename", lambda it: bool(it.spec.nodename))
            await self._store.wait_for(NODE_IP, "kubelet", lambda it: bool(it.spec.addresses))
            with retrying():
                async with await self._api.connect() as client:
                    await self._keep(client, nodename.spec.nodename)

    def _access(self) -> cluster.KubernetesAccessConfigSpec:
        found = self._store.find(cluster.KUBERNETES_ACCESS_CONFIG, cluster.ACCESS)
        return found.spec if found is not None else NO_ACCESS

    async def _keep(self, client: Client, name: str) -> None:
        """Until the configuration no longer gives access; then the Secrets are taken away once."""
        from dozen.machinery.kubernetes.injection import API_VERSION, KIND

        latest: dict[str, Object] = {}
        changed = asyncio.Event()

        async def read() -> None:
            async for accounts in client.follow(API_VERSION, KIND):
                latest.clear()
                latest.update(accounts)
                changed.set()

        stops = [self._store.listen(kind, lambda _: changed.set()) for kind in KINDS]
        try:
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(read())
                while True:
                    access = self._access()
                    if access.enabled:
                        await self._say_where(client, name)
                    for account in list(latest.values()):
                        await self._decide(client, account, access)
                    if not access.enabled:
                        reading.cancel()
                        return
                    # Control planes of different minds about an account would otherwise answer each other at once.
                    await asyncio.sleep(PAUSE)
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(changed.wait(), LOOK_AGAIN)
                    changed.clear()
        finally:
            for stop in stops:
                stop()

    async def _say_where(self, client: Client, name: str) -> None:
        from dozen.machinery.kubernetes.accounts import endpoints

        addresses = self._store.find(NODE_IP, "kubelet")
        node = await client.get("v1", "Node", name)
        for each in endpoints(node, addresses.spec.addresses if addresses is not None else ()):
            await client.apply(each)

    async def _decide(self, client: Client, account: Object, access: cluster.KubernetesAccessConfigSpec) -> None:
        """See that an account has its Secret, or none, and say why."""
        from dozen.machinery.kubernetes import accounts

        metadata = account["metadata"]
        try:
            secret = await client.find("v1", "Secret", metadata["name"], metadata["namespace"])
            reason = accounts.refusal(account, access)
            if secret is not None and not accounts.is_of(secret, account):
                reason = reason or f"there is a Secret {metadata['name']} already, which is not of this account"
            elif reason and secret is not None:
                await client.delete("v1", "Secret", metadata["name"], metadata["namespace"])
            elif not reason:
                await self._issue(client, account, secret)
            await self._tell(client, account, reason)
        except (Conflict, NotFound):
            return  # another control plane was faster, or the account is gone
        except Unreachable:
            raise
        except ApiError as error:
            self._log.warning("account=%s/%s refused: %s", metadata["namespace"], metadata["name"], error)

    async def _issue(self, client: Client, account: Object, secret: Object | None) -> None:
        from dozen.machinery import talosconfig
        from dozen.machinery.config import client_config, effective
        from dozen.machinery.kubernetes import accounts

        active = self._store.find(config.MACHINE_CONFIG, config.ACTIVE)
        issuer = effective.issuing_ca(parse(active.spec.text)) if active is not None else None
        if issuer is None:
            return
        roles = accounts.roles_of(account)
        if secret is not None and accounts.is_current(secret, roles, issuer.crt, time.time()):
            return
        made = client_config(
            account["metadata"]["name"],
            issuer,
            endpoints=(accounts.ENDPOINT,),
            roles=roles,
            lifetime=accounts.LIFETIME,
        )
        wanted = accounts.make_secret(account, talosconfig.render(made))
        if secret is None:
            await client.create(wanted)
        else:
            await client.replace({**secret, "data": wanted["data"]})
        where = f"{account['metadata']['namespace']}/{account['metadata']['name']}"
        self._log.info("account=%s roles=%s issued for=%d s", where, ",".join(roles), accounts.LIFETIME)

    async def _tell(self, client: Client, account: Object, reason: str) -> None:
        """The account's status says why it has no Secret."""
        said = (account.get("status") or {}).get("failureReason") or ""
        if said == reason:
            return
        from dozen.machinery.kubernetes.injection import API_VERSION, KIND

        metadata = account["metadata"]
        change = {"status": {"failureReason": reason or None}}
        await client.patch(API_VERSION, KIND, metadata["name"], change, metadata["namespace"], subresource="status")
