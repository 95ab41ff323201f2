"""Workloads get access to the machine API through the real API server, and lose it."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from dozen.engine.runtime import Runtime
from dozen.engine.store import Store
from dozen.machinery import pki, talosconfig
from dozen.machinery.config import client_config, effective, load
from dozen.machinery.config.generating import generate
from dozen.machinery.kubernetes import accounts
from dozen.machinery.kubernetes.injection import API_VERSION, KIND, make_account
from dozen.machinery.kubernetes.objects import Object
from dozen.machinery.resources import cluster, config
from dozen.machinery.resources.kubernetes import NODE_IP, NODENAME, NodeIPSpec, NodenameSpec
from dozen.node.kubernetes.accounts import AccountKeeper
from dozen.node.kubernetes.apply import ManifestApplier
from dozen.node.kubernetes.client import Client
from dozen.node.kubernetes.specs import AccessController, ManifestsController, ManifestSettingsController
from dozen.testing.apiserver import ApiServer
from dozen.testing.controllers import RecordedEffects
from dozen.testing.portal import Portal
from native.kubernetes.test_membership import LOG, FixedApi, Problems, put_node, until

BUNDLE = generate("native", "https://127.0.0.1:6443")
NODE = "access-1"


def document(*roles: str, namespaces: tuple[str, ...] = ("tools",)) -> str:
    lines = ["---", "apiVersion: v1alpha1", "kind: KubeTalosAPIAccessConfig"]
    lines += [f"allowedRoles: [{', '.join(roles)}]", f"allowedKubernetesNamespaces: [{', '.join(namespaces)}]"]
    return "\n".join(lines) + "\n"


class ControlPlane:
    """Those controllers and watchers of a control plane that give access, on the real engine."""

    def __init__(self, server: ApiServer, text: str) -> None:
        self.store = Store()
        self._runtime = Runtime(self.store, RecordedEffects().run, LOG)
        api = FixedApi(self.store, server.admin())
        for controller in (AccessController(), ManifestSettingsController(), ManifestsController()):
            self._runtime.add(controller)
        self._runtime.add_watcher(ManifestApplier(api, self.store, Problems()))
        self._runtime.add_watcher(AccountKeeper(api, self.store))
        self.configure(text)
        self.store.put(NODENAME, "nodename", NodenameSpec(nodename=NODE), owner="test")
        self.store.put(NODE_IP, "kubelet", NodeIPSpec(addresses=("10.7.0.1", "fd07::1")), owner="test")

    def configure(self, text: str) -> None:
        self.store.put(config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=text), owner="test")

    async def __aenter__(self) -> ControlPlane:
        self._task = asyncio.create_task(self._runtime.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


async def find_secret(client: Client, name: str) -> talosconfig.Context | None:
    found = await client.find("v1", "Secret", name, "tools")
    if found is None:
        return None
    return talosconfig.parse(base64.b64decode(found["data"][accounts.FILE]).decode()).select()


async def failure(client: Client, name: str, namespace: str = "tools") -> str:
    account = await client.get(API_VERSION, KIND, name, namespace)
    return str((account.get("status") or {}).get("failureReason") or "")


async def make_namespaces(client: Client) -> None:
    for name in ("tools", "others"):
        await client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


async def replace_certificate(client: Client, name: str, **changes: Any) -> None:
    """Put another client configuration into an account's Secret."""
    secret = await client.get("v1", "Secret", name, "tools")
    issuer = effective.issuing_ca(load(BUNDLE.controlplane))
    assert issuer is not None
    made = talosconfig.render(client_config(name, issuer, endpoints=(accounts.ENDPOINT,), **changes))
    await client.replace({**secret, "data": {accounts.FILE: base64.b64encode(made.encode()).decode()}})


def test_workloads_get_what_they_may_have_and_lose_it(apiserver: ApiServer, portal: Portal) -> None:
    async def run() -> None:
        async with Client(apiserver.admin()) as client:
            await make_namespaces(client)
            await put_node(client, NODE, NODE, "10.7.0.1")
            text = BUNDLE.controlplane + document("os:reader", "os:etcd:backup")
            async with ControlPlane(apiserver, text) as node:
                await until(lambda: node.store.find(cluster.KUBERNETES_ACCESS_CONFIG, cluster.ACCESS))

                async def defined() -> Object | None:
                    definition = accounts.definition()
                    return await client.find(
                        definition["apiVersion"], definition["kind"], definition["metadata"]["name"]
                    )

                await until(defined)
                await until(lambda: create(client, make_account("reads", "tools", ["os:reader"])))
                await create(client, make_account("rules", "tools", ["os:admin"]))
                await create(client, make_account("reads", "others", ["os:reader"]))
                theirs = {"name": "theirs", "namespace": "tools"}
                await client.create({"apiVersion": "v1", "kind": "Secret", "metadata": theirs})
                await create(client, make_account("theirs", "tools", ["os:reader"]))

                context = await until(lambda: find_secret(client, "reads"))
                certificate = pki.certificate(context.crt)
                assert certificate.subject.organizations == ("os:reader",)
                assert certificate.not_after - certificate.not_before <= accounts.LIFETIME + 3600
                assert context.endpoints == ("talos.default",)
                assert context.ca == effective.issuing_ca(load(text)).crt  # type: ignore[union-attr]
                await until(lambda: failure(client, "rules"))
                assert "role os:admin is not among" in await failure(client, "rules")
                await until(lambda: failure(client, "reads", "others"))
                assert "namespace others is not among" in await failure(client, "reads", "others")
                await until(lambda: failure(client, "theirs"))
                assert "not of this account" in await failure(client, "theirs")
                assert not (await client.get("v1", "Secret", "theirs", "tools")).get("data")
                assert await failure(client, "reads") == ""

                await follow_changes(client, node)

    portal.run(run(), 90)


async def create(client: Client, account: Object) -> bool:
    """True when the account is there; a kind that has just been defined is not served at once."""
    from dozen.node.kubernetes.errors import NotFound

    try:
        await client.create(account)
    except NotFound:
        return False
    return True


async def follow_changes(client: Client, node: ControlPlane) -> None:
    """An old certificate is made anew, more roles are given, and all is taken away with the configuration."""

    async def organizations() -> tuple[str, ...]:
        found = await find_secret(client, "reads")
        return pki.certificate(found.crt).subject.organizations if found else ()

    await replace_certificate(client, "reads", roles=("os:admin",))
    await client.patch(API_VERSION, KIND, "reads", {"spec": {"roles": ["os:reader", "os:etcd:backup"]}}, "tools")

    async def given() -> bool:
        return await organizations() == ("os:reader", "os:etcd:backup")

    await until(given)

    node.configure(BUNDLE.controlplane)

    async def gone() -> bool:
        return await find_secret(client, "reads") is None and "no access" in await failure(client, "reads")

    await until(gone)


def test_pods_find_the_control_planes_by_a_service(apiserver: ApiServer, portal: Portal) -> None:
    async def run() -> None:
        async with Client(apiserver.admin()) as client:
            await put_node(client, NODE, NODE, "10.7.0.1")
            node = await client.get("v1", "Node", NODE)
            async with ControlPlane(apiserver, BUNDLE.controlplane + document("os:reader")):

                async def slices() -> list[Object]:
                    label = f"kubernetes.io/service-name={accounts.SERVICE}"
                    found = await client.list(accounts.SLICE, "EndpointSlice", "default", label_selector=label)
                    mine = [
                        each
                        for each in found
                        if each["metadata"]["ownerReferences"][0]["uid"] == node["metadata"]["uid"]
                    ]
                    return mine if len(mine) == 2 else []

                found = await until(slices)
                assert {each["addressType"]: each["endpoints"][0]["addresses"] for each in found} == {
                    "IPv4": ["10.7.0.1"],
                    "IPv6": ["fd07::1"],
                }
                assert all(each["ports"] == [{"name": "apid", "port": 50000, "protocol": "TCP"}] for each in found)

                async def service() -> Object | None:
                    return await client.find("v1", "Service", accounts.SERVICE, accounts.NAMESPACE)

                assert "selector" not in (await until(service))["spec"]

    portal.run(run(), 60)
