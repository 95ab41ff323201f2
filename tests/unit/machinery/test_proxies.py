"""Who is asked by way of a proxy, and who is not."""

from __future__ import annotations

import pytest

from dozen.machinery.proxies import Proxy, choose_proxy

PROXIED = {"http_proxy": "http://proxy:3128", "HTTPS_PROXY": "ann:s%20t@10.0.0.1:8080"}


@pytest.mark.parametrize(
    ("url", "no_proxy", "direct"),
    [
        ("http://a.test/x", "", False),
        ("ftp://a.test/x", "", True),
        ("http://localhost:1/", "", True),
        ("http://127.0.0.9/", "", True),
        ("http://[::1]/", "", True),
        ("http://a.test", "*", True),
        ("http://a.test", "b.test, A.test", True),
        ("http://x.a.test", "a.test", True),
        ("http://xa.test", "a.test", False),
        ("http://a.test", ".a.test", False),
        ("http://x.a.test", ".a.test", True),
        ("http://x.a.test", "*.a.test", True),
        ("http://a.test:81", "a.test:80", False),
        ("http://a.test", "a.test:80", True),
        ("http://10.1.2.3", "10.0.0.0/8", True),
        ("http://11.1.2.3", "10.0.0.0/8,11.1.2.4", False),
        ("http://[2001:db8::1]:99", "2001:db8::/32", True),
        ("http://[2001:db8::1]:99", "2001:db8::1", True),
        ("http://[2001:db8::1]:99", "[2001:db8::1]:98", False),
    ],
)
def test_exceptions(url: str, no_proxy: str, direct: bool) -> None:
    found = choose_proxy(url, {**PROXIED, "no_proxy": no_proxy})
    assert found == (None if direct else Proxy("proxy", 3128))


def test_credentials_and_capitals() -> None:
    assert choose_proxy("https://a.test", PROXIED) == Proxy("10.0.0.1", 8080, "Basic YW5uOnMgdA==")
    assert choose_proxy("https://a.test", {"HTTPS_PROXY": "one:1", "https_proxy": "two:2"}) == Proxy("two", 2)
    assert choose_proxy("https://a.test", {}) is None


def test_a_proxy_that_cannot_be_used_is_told_without_its_password() -> None:
    with pytest.raises(ValueError, match="https_proxy") as caught:
        choose_proxy("https://a.test", {"https_proxy": "socks5://ann:secret@proxy:1080"})
    assert "secret" not in str(caught.value)
