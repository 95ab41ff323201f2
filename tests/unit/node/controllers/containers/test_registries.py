"""Registries of the configuration become files, and stop being files."""

from __future__ import annotations

import asyncio
import base64

from dozen.machinery.config.generating import generate
from dozen.machinery.effects.files import RemoveFile, WriteFile
from dozen.machinery.effects.services import RefreshService
from dozen.machinery.registries import HOSTS
from dozen.machinery.resources import config, cri
from dozen.node.controllers.containers.registries import RegistriesController, RegistryFilesController
from dozen.testing.controllers import Bench, PlainView

DOCUMENTS = """---
apiVersion: v1alpha1
kind: RegistryMirrorConfig
name: ghcr.io
endpoints:
  - url: https://mirror.test/
skipFallback: true
---
apiVersion: v1alpha1
kind: RegistryAuthConfig
name: mirror.test
username: ann
password: secret
---
apiVersion: v1alpha1
kind: RegistryTLSConfig
name: mirror.test
ca: |
  -----BEGIN CERTIFICATE-----
  AAAA
  -----END CERTIFICATE-----
"""
REFRESH = RefreshService("containerd", "credentials of registries changed")


def test_both_forms_of_the_configuration_are_read() -> None:
    text = generate("c", "https://127.0.0.1:6443").worker + DOCUMENTS
    (put,) = RegistriesController().plan(
        PlainView((config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=text)))
    )
    said = put.spec  # type: ignore[union-attr]
    assert said.mirrors["ghcr.io"].endpoints == (cri.MirrorEndpoint(endpoint="https://mirror.test"),)
    assert said.mirrors["ghcr.io"].skip_fallback
    assert said.auths["mirror.test"].password == "secret"
    assert said.tls["mirror.test"].ca.startswith(b"-----BEGIN")
    assert said.tls["mirror.test"].client_identity is None


def test_no_configuration_is_nothing_about_registries() -> None:
    (put,) = RegistriesController().plan(PlainView())
    assert put.spec == cri.RegistriesConfigSpec()  # type: ignore[union-attr]


def said(mirror: str, password: str = "") -> cri.RegistriesConfigSpec:
    endpoint = cri.MirrorEndpoint(endpoint=mirror)
    auths = {"m": cri.RegistryAuth(auth=base64.b64encode(password.encode()).decode())} if password else {}
    return cri.RegistriesConfigSpec(mirrors={"a.test": cri.RegistryMirror(endpoints=(endpoint,))}, auths=auths)


def test_files_come_change_and_go_and_only_credentials_restart() -> None:
    async def scenario() -> None:
        async with Bench(RegistryFilesController()) as bench:

            async def apply(spec: cri.RegistriesConfigSpec) -> list[str]:
                before = len(bench.recorded.done)
                bench.put(cri.REGISTRIES_CONFIG, cri.REGISTRIES, spec)
                await bench.settle()
                return [_name(effect) for effect in bench.recorded.done[before:]]

            place = f"{HOSTS}/a.test/hosts.toml"
            assert await apply(said("http://m")) == [place]
            assert await apply(said("http://m", "one")) == [place, str(REFRESH)]
            assert await apply(said("http://n", "one")) == [place]
            assert await apply(said("http://n", "two")) == [place, str(REFRESH)]
            assert await apply(cri.RegistriesConfigSpec()) == [f"-{place}", str(REFRESH)]

    asyncio.run(scenario())


def _name(effect: object) -> str:
    match effect:
        case WriteFile():
            return effect.path
        case RemoveFile():
            return f"-{effect.path}"
    return str(effect)
