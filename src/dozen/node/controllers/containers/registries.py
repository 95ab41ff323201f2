"""Registries: what the configuration says of them becomes containerd's files, while the node runs.

Mirrors and trust are read at each pull. Credentials are read when containerd starts, so a change of those makes it
start again; containers do not notice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from dozen.machinery.effects.files import RemoveFile, WriteFile
from dozen.machinery.effects.services import RefreshService
from dozen.machinery.plan import Input, Put, Step, View
from dozen.machinery.resources import config, cri
from dozen.machinery.resources.secrets import PemPair
from dozen.node.configuration import parse

if TYPE_CHECKING:
    from dozen.machinery.config.loading import Config


class RegistriesController:
    """MachineConfig → RegistryConfig."""

    name = "registries"
    inputs = (Input(config.MACHINE_CONFIG, config.ACTIVE),)
    outputs = (cri.REGISTRIES_CONFIG,)

    def plan(self, view: View) -> Iterable[Step]:
        active = view.get(config.MACHINE_CONFIG, config.ACTIVE)
        said = read_registries(parse(active.spec.text)) if active is not None else cri.RegistriesConfigSpec()
        yield Put(cri.REGISTRIES_CONFIG, cri.REGISTRIES, said)


class RegistryFilesController:
    """RegistryConfig → containerd's files; what is no longer wanted is removed."""

    name = "registry-files"
    inputs = (Input(cri.REGISTRIES_CONFIG, cri.REGISTRIES),)
    outputs = (cri.WRITTEN_FILES,)

    def plan(self, view: View) -> Iterable[Step]:
        from dozen.machinery import registries

        said = view.get(cri.REGISTRIES_CONFIG, cri.REGISTRIES)
        if said is None:
            return
        before = view.get(cri.WRITTEN_FILES, cri.REGISTRIES)
        old = before.spec.paths if before is not None else ()
        files = registries.render_registries(said.spec)
        # containerd is given them when it starts (`dozen.node.services.containerd`).
        credentials = registries.render_credentials(said.spec)
        digest = hashlib.sha256(credentials.encode()).hexdigest() if credentials else ""
        wanted = [file.path for file in files]
        # Trust goes before what refers to it.
        for file in files:
            yield WriteFile(file.path, file.content, file.mode)
        for path in old:
            if path not in wanted:
                yield RemoveFile(path)
        if digest != (before.spec.credentials if before is not None else ""):
            yield RefreshService("containerd", "credentials of registries changed")
        yield Put(cri.WRITTEN_FILES, cri.REGISTRIES, cri.WrittenFilesSpec(paths=tuple(wanted), credentials=digest))


def read_registries(given: Config) -> cri.RegistriesConfigSpec:
    """What a configuration says of registries, in the words of the wire."""
    from dozen.machinery.config.registries import registries

    said = registries(given)
    return cri.RegistriesConfigSpec(
        mirrors={
            name: cri.RegistryMirror(
                endpoints=tuple(
                    cri.MirrorEndpoint(endpoint=each.url.rstrip("/"), override_path=each.override_path)
                    for each in mirror.endpoints
                ),
                skip_fallback=mirror.skip_fallback,
            )
            for name, mirror in said.mirrors.items()
        },
        auths={
            host: cri.RegistryAuth(
                username=each.username,
                password=each.password.reveal(),
                auth=each.auth.reveal(),
                identity_token=each.identity_token.reveal(),
            )
            for host, each in said.credentials.items()
        },
        tls={
            host: cri.RegistryTLS(
                ca=each.ca.encode(),
                client_identity=PemPair(crt=each.client_crt.encode(), key=each.client_key.reveal().encode())
                if each.client_crt
                else None,
                insecure_skip_verify=each.insecure_skip_verify,
            )
            for host, each in said.trust.items()
        },
    )
