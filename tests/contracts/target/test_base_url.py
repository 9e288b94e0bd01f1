"""Addresses of deployments."""

from __future__ import annotations

import pytest
from zof_contracts.target.base_url import BaseUrl
from zof_contracts.target.target import Target


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("https://API.Zof.ai/v1", "https://api.zof.ai"),
        ("https://api.zof.ai:443/v1/", "https://api.zof.ai"),
        ("http://api.zof.ai:80", "http://api.zof.ai"),
        ("http://api.zof.ai.:8080/", "http://api.zof.ai:8080"),
        ("HTTP://user:secret@127.0.0.1:9630/base/v1", "http://127.0.0.1:9630/base"),
        ("http://[::1]:9630/v1", "http://[::1]:9630"),
        ("http://[0:0:0:0:0:0:0:1]", "http://[::1]"),
        ("https://b\xfccher.example", "https://xn--bcher-kva.example"),
        (" http://localhost:1\n", "http://localhost:1"),
    ],
)
def test_equal_addresses_print_the_same(text: str, printed: str) -> None:
    """Case of the host, default port, user, final slash and /v1 make no difference."""
    assert str(BaseUrl.parse(text)) == printed
    assert BaseUrl.parse(printed) == BaseUrl.parse(text)
    assert Target(url=text).url == printed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost:1",
        "ftp://zof.test",
        "http://",
        "http://:80",
        "http://zof.test:0",
        "http://zof.test:65536",
        "http://zof.test:x",
        "http://[::1",
        "http://zof.test?key=secret",
        "http://zof.test/#secret",
        "http://zof test",
        "http://zof\x1b.test",
        "http://zof..test",
        "http://a_b!c",
    ],
)
def test_another_address_is_one_line(text: str) -> None:
    """A text that is no address is refused in one line that quotes nothing of it."""
    with pytest.raises(ValueError, match=r"^the address .{10,}$") as raised:
        BaseUrl.parse(text)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        ("localhost", True),
        ("LOCALHOST", True),
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("[::1]", True),
        ("[::ffff:127.0.0.1]", True),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("127.evil", False),
        ("0.0.0.0", False),  # noqa: S104  nothing is bound
        ("10.0.0.1", False),
        ("[::2]", False),
    ],
)
def test_loopback_is_judged_by_address(host: str, is_loopback: bool) -> None:  # noqa: FBT001  a column of the table
    """A name that only begins like a loopback address is not one."""
    assert BaseUrl.parse(f"http://{host}:9630/v1").is_loopback is is_loopback


def test_a_target_needs_an_address_or_an_application() -> None:
    """There is no silent default address."""
    with pytest.raises(ValueError, match="needs an address"):
        Target(keys={"main": "zof_test_key"})


def test_unknown_key_names_are_refused() -> None:
    """A misspelled key name is an error, with the names that exist."""
    with pytest.raises(ValueError, match="unknown key name 'read-only': use main, readonly"):
        Target(url="http://127.0.0.1", keys={"read-only": "zof_test_key"})


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("short", "5 characters: use a key of at least 8"),
        ("zof_te\rst", "control"),
        ("zof_t\xe9st_key", "outside ASCII"),
    ],
)
def test_a_key_that_cannot_be_hidden_is_refused(key: str, message: str) -> None:
    """A key is long enough to be told from other text, and can be sent in a header; the error does not quote it."""
    with pytest.raises(ValueError, match=message) as raised:
        Target(url="http://127.0.0.1", keys={"main": key})
    assert key not in str(raised.value)


def test_a_link_that_cannot_be_parsed_leads_nowhere() -> None:
    """An odd link of an answer is not followed, and ends nothing."""
    target = Target(url="http://127.0.0.1/base")
    assert target.find_path("http://[bad/base/v1/runs") is None
    assert target.find_path("http://127.0.0.1/v1/runs") is None
    assert target.find_path("https://other.test/base/v1/runs") == "/v1/runs"
