"""Signing: the vendor's rule, HMAC-SHA256 over the raw body in lower-case hex."""

from __future__ import annotations

import subprocess

from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.webhooks.signing import sign


def test_the_signature_of_rfc_4231() -> None:
    """The signature of the published test vector 2 for HMAC-SHA256 is correct."""
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert sign("Jefe", b"what do ya want for nothing?") == expected


def test_openssl_agrees() -> None:
    """Another implementation computes the same signature for non-ASCII bytes with unusual spacing."""
    body = '{ "a" :\t"é€𝄞" }\n'.encode()
    found = subprocess.run(
        ["openssl", "dgst", "-sha256", "-hmac", "whsec_é"],  # noqa: S607  a tool of the system
        input=body,
        capture_output=True,
        check=True,
    )
    assert found.stdout.decode().strip().endswith(sign("whsec_é", body))


@given(st.binary(max_size=200), st.text(min_size=1, max_size=40).filter(lambda word: word.isascii()))
def test_a_signature_depends_on_every_byte(body: bytes, secret: str) -> None:
    """A signature is 64 lower-case hexadecimal digits, and another body or secret has another one."""
    found = sign(secret, body)
    assert len(found) == 64
    assert found == found.lower()
    assert found != sign(secret, body + b" ")
    assert found != sign(secret + "x", body)
