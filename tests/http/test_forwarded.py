"""Reverse proxies: `X-Forwarded-*` headers count when a trusted proxy sends them, and only then."""

from __future__ import annotations

from typing import Final

import pytest
from zof_emulator import Settings

from tests.zof import ADMIN, Answer, Zof

PROXY: Final = "10.1.2.3"
FORWARDED: Final = {
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "ci.test:8443",
    "X-Forwarded-Prefix": "/tools/zof",
    "X-Forwarded-For": "192.0.2.7",
}


def read_run(zof: Zof, client: str = PROXY, world: str = "", **changes: str) -> str:
    """The `url` of a run that a client reads with these headers, in another world if one is given."""
    headers = list({**FORWARDED, **{f"X-Forwarded-{name}": value for name, value in changes.items()}}.items())
    answer = zof.send("GET", f"{world}/v1/runs/run_sample_failed", headers=headers, client=client)
    assert answer.status == 200
    url: str = answer.json["url"]
    return url


@pytest.mark.parametrize("world", ["", "/w/a"])
@pytest.mark.parametrize("trusted", [PROXY, "10.0.0.0/8", "10.1.2.3/16"])
def test_links_of_a_trusted_proxy(trusted: str, world: str) -> None:
    """Links begin with the scheme, host and prefix that a trusted proxy names; the prefix stands before the world."""
    zof = Zof(trusted_proxy=("192.168.0.1", trusted))
    assert read_run(zof, world=world) == f"https://ci.test:8443/tools/zof{world}/runs/run_sample_failed"


@pytest.mark.parametrize("client", ["11.1.2.3", "127.0.0.1", "::1", "", "testclient"])
def test_links_of_others(client: str) -> None:
    """The headers of any other client are ignored."""
    assert read_run(Zof(trusted_proxy=(PROXY,)), client) == "http://127.0.0.1:9630/runs/run_sample_failed"
    assert read_run(Zof(), PROXY) == "http://127.0.0.1:9630/runs/run_sample_failed"


@pytest.mark.parametrize(
    ("header", "value", "start"),
    [
        ("Proto", "gopher", "http://ci.test:8443/tools/zof"),
        ("Proto", "http, HTTPS", "https://ci.test:8443/tools/zof"),
        ("Host", "evil.test, ci.test", "https://ci.test/tools/zof"),
        ("Host", "<script>", "https://127.0.0.1:9630/tools/zof"),
        ("Prefix", "/tools/zof/", "https://ci.test:8443/tools/zof"),
        ("Prefix", "tools", "https://ci.test:8443"),
        ("Prefix", "/v1", "https://ci.test:8443/v1"),
        ("Prefix", '/../x"y', "https://ci.test:8443"),
        ("Prefix", "", "https://ci.test:8443"),
    ],
)  # fmt: skip
def test_values(header: str, value: str, start: str) -> None:
    """The last of several values counts, and a value that is no scheme, host or path is ignored."""
    zof = Zof(trusted_proxy=(PROXY,))
    assert read_run(zof, **{header: value}) == f"{start}/runs/run_sample_failed"


def ask_clock(zof: Zof, forwarded: str | None, client: str = "127.0.0.1") -> Answer:
    """The answer to a request for a control operation."""
    headers = [] if forwarded is None else [("X-Forwarded-For", forwarded)]
    return zof.send("GET", "/_emulator/clock", key=None, headers=headers, client=client)


@pytest.mark.parametrize(
    ("forwarded", "is_let_in"),
    [
        (None, True),
        ("127.0.0.1", True),
        ("192.0.2.7", False),
        ("127.0.0.1, 192.0.2.7", False),
        ("192.0.2.7, 127.0.0.2", True),
        ("192.0.2.7, 10.1.2.3", False),
        ("[2001:db8::1]:443, 10.1.2.3:5000", False),
        ("127.0.0.1, 10.1.2.3:5000", True),
    ],
)
def test_the_client_of_a_proxy(forwarded: str | None, *, is_let_in: bool) -> None:
    """The client is the last address that is no trusted proxy's; clients elsewhere get no control operation."""
    answer = ask_clock(Zof(trusted_proxy=("127.0.0.1", "10.0.0.0/8")), forwarded)
    assert answer.status == (200 if is_let_in else 403)


def test_the_start_page_behind_a_proxy() -> None:
    """The page that lists the keys is not shown to the clients of a proxy on this machine; the page of a run is."""
    zof = Zof(trusted_proxy=("127.0.0.1",))
    headers = [("X-Forwarded-For", "192.0.2.7"), ("X-Forwarded-Host", "ci.test")]
    answer = zof.send("GET", "/", key=None, headers=headers)
    assert (answer.status, ADMIN.encode() in answer.content) == (404, False)
    assert zof.send("GET", "/runs/run_sample_failed", key=None, headers=headers).status == 200
    assert zof.send("GET", "/", key=None).status == 200


def test_a_public_url_with_a_path() -> None:
    """Links begin with the public URL and its path, whatever a proxy says; the links of pages have its path."""
    zof = Zof(trusted_proxy=(PROXY,), public_url="https://public.test/api/zof/")
    assert read_run(zof) == "https://public.test/api/zof/runs/run_sample_failed"
    assert read_run(zof, world="/w/a") == "https://public.test/api/zof/w/a/runs/run_sample_failed"
    page = zof.send("GET", "/runs/run_sample_failed", key=None).content
    assert b"href='/api/zof/'" in page


@pytest.mark.parametrize("bad", ["", "proxy.test", "10.0.0.0/33", "*", "1.2.3", None])
def test_no_proxies(bad: object) -> None:
    """A value that is no address and no network is refused, and the message names it."""
    with pytest.raises(ValueError, match=r"^invalid proxy "):
        Settings(trusted_proxy=(bad,))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "bad", ["https://a.test/x?y", "https://a.test//x", "https://a.test/%2F", "/x", "https://a.test/x y"]
)
def test_no_public_urls(bad: str) -> None:
    """A public URL has a scheme, a host and a plain path, and nothing else."""
    with pytest.raises(ValueError, match=r"^invalid URL "):
        Settings(public_url=bad)
