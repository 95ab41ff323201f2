"""What a rotation of authorities changes in a configuration, state by state."""

from __future__ import annotations

import base64
from typing import Any

from dozen.client.rotation import accept, change, drop, sign_with
from dozen.machinery import pki, yaml
from dozen.machinery.config import load
from dozen.machinery.config.effective import accepted_cas
from dozen.machinery.config.generating import generate

BUNDLE = generate("c", "https://10.0.0.1:6443")
OLD, NEW = BUNDLE.secrets.os, pki.new_ca()
EXTRA = '---\napiVersion: v1alpha1\nkind: HostnameConfig\nauto: "off"\nhostname: one\n'


def trusted(text: str) -> list[str]:
    """Names of the authorities that a node with this configuration accepts, the one that signs first."""
    names = {OLD.crt: "old", NEW.crt: "new"}
    return [names[pem] for pem in accepted_cas(load(text, "test"))]


def signs(text: str) -> Any:
    return yaml.plain(yaml.load_documents(text)[0])["machine"]["ca"]


def test_each_state_of_a_control_plane() -> None:
    text = BUNDLE.controlplane
    assert trusted(text) == ["old"]
    text = change(text, lambda machine: accept(machine, NEW.crt))
    assert trusted(text) == ["old", "new"]
    text = change(text, lambda machine: sign_with(machine, NEW))
    assert trusted(text) == ["new", "old"]
    assert base64.b64decode(signs(text)["key"]).decode() == NEW.key
    text = change(text, lambda machine: drop(machine, OLD.crt))
    assert trusted(text) == ["new"]


def test_a_worker_never_gets_a_key() -> None:
    text = change(BUNDLE.worker, lambda machine: sign_with(machine, NEW))
    assert trusted(text) == ["new", "old"]
    assert signs(text)["key"] == ""


def test_every_step_may_be_done_twice() -> None:
    once = change(BUNDLE.controlplane, lambda machine: accept(machine, NEW.crt))
    assert change(once, lambda machine: accept(machine, NEW.crt)) == once
    once = change(once, lambda machine: sign_with(machine, NEW))
    assert change(once, lambda machine: sign_with(machine, NEW)) == once
    once = change(once, lambda machine: drop(machine, OLD.crt))
    assert change(once, lambda machine: drop(machine, OLD.crt)) == once


def test_other_documents_stay() -> None:
    text = change(BUNDLE.controlplane + EXTRA, lambda machine: accept(machine, NEW.crt))
    assert yaml.plain(yaml.load_documents(text)[1])["hostname"] == "one"
