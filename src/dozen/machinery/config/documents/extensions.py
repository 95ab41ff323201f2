"""The document that configures a service brought by an extension."""

from __future__ import annotations

from dozen.machinery.config.model import Document, Model


class ConfigFile(Model, frozen=True):
    content: str = ""
    mount_path: str = ""


class ExtensionServiceConfig(Document, frozen=True):
    name: str
    config_files: tuple[ConfigFile, ...] = ()
    environment: tuple[str, ...] = ()
