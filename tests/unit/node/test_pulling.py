"""Images that are not here: whom is asked for them, and what is said. The rest is in tests/native."""

from __future__ import annotations

import asyncio

import pytest

from dozen.node.containers import Containerd, method_path
from dozen.node.images import full_name
from dozen.node.pulling import Part, describe_progress, ensure_image, pull_image
from dozen.rpc.status import Code, RpcError
from dozen.testing.containerd import FakeContainerd

GET, PULL = method_path("images", "Get"), method_path("cri_images", "PullImage")
MISSING = RpcError(Code.NOT_FOUND, "not found")


@pytest.mark.parametrize(
    ("given", "full"),
    [
        ("app", "docker.io/library/app:latest"),
        ("app:1", "docker.io/library/app:1"),
        ("team/app", "docker.io/team/app:latest"),
        ("ghcr.io/team/app", "ghcr.io/team/app:latest"),
        ("host:5000/app", "host:5000/app:latest"),
        ("host:5000/app:2", "host:5000/app:2"),
        ("localhost/app:2", "localhost/app:2"),
        ("app@sha256:0", "docker.io/library/app@sha256:0"),
        ("ghcr.io/app:1@sha256:0", "ghcr.io/app:1@sha256:0"),
    ],
)
def test_full_names(given: str, full: str) -> None:
    assert full_name(given) == full


def make(fake: FakeContainerd, namespace: str = "system") -> Containerd:
    return Containerd(fake, namespace)  # type: ignore[arg-type]


def test_a_refusal_says_which_image_and_why_once() -> None:
    fake = FakeContainerd()
    fake.answer(GET, MISSING)
    name = "docker.io/library/app:1"
    why = f'failed to pull and unpack image "{name}": failed to resolve reference "{name}": no such host'
    fake.answer(PULL, RpcError(Code.UNKNOWN, why))
    with pytest.raises(RpcError, match="cannot be pulled") as caught:
        asyncio.run(ensure_image(make(fake), "app:1"))
    assert caught.value.message == f"image {name} cannot be pulled: no such host"
    assert [request.image.image for request in fake.requests(PULL)] == [name]


def test_what_no_registry_has_is_not_asked_for() -> None:
    fake = FakeContainerd()
    fake.answer(GET, MISSING)
    with pytest.raises(RpcError, match="import it first"):
        asyncio.run(ensure_image(make(fake), "localhost/dozen/cni-plugins:v1"))
    assert not fake.requests(PULL)


def test_a_pull_for_pods_asks_even_when_the_image_is_there() -> None:
    fake = FakeContainerd()
    assert asyncio.run(pull_image(make(fake, "k8s.io"), "app")) == "docker.io/library/app:latest"
    assert len(fake.requests(PULL)) == 1


def test_progress_is_told_in_megabytes() -> None:
    parts = [Part("sha256:a", 1_500_000, 3_000_000), Part("sha256:b", 0, 7_000_000)]
    assert describe_progress(parts) == "1.5 of 10.0 MB of what is on its way (2 at a time)"
