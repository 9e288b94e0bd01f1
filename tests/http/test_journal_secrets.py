"""Secrets in the journal: none is shown, wherever a client puts it, and replays and verifications still work."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.cli.recorded_deliveries import RecordedDeliveries
from zof_emulator.cli.replay import replay
from zof_emulator.journal.masking import is_masked, is_secret_name, mask_body, mask_query, mask_text, mask_url

from tests.http.stories import REQUESTS, answer_story
from tests.zof import STAGING, Zof

SECRET: Final = "hunter2-is-a-long-secret"  # noqa: S105  it is the test's own
HEADERS: Final = (
    *("Authorization", "Proxy-Authorization", "X-Auth-Token", "Api-Key", "X-Api-Key", "Cookie", "X-Access-Token"),
    *("X-Amz-Security-Token", "Secret", "X-Client-Secret", "PASSWORD", "Ocp-Apim-Subscription-Api_Key"),
)
PARAMETERS: Final = (
    "api_key",
    "apikey",
    "access_token",
    "token",
    "key",
    "secret",
    "password",
    "auth",
    "API-KEY",
    "%6bey",
)
FIELDS: Final = ("secret", "api_key", "apiKey", "token", "accessToken", "password", "client_secret", "Authorization")
PUBLIC: Final = ("Idempotency-Key", "X-Zof-World", "Content-Type", "limit", "starting_after", "test_case_ids", "run_id")


def journal(zof: Zof) -> bytes:
    """All forms of the journal, one after another."""
    return b"".join(zof.tell("GET", f"/{form}").content for form in ("journal", "journal.har", "journal.ndjson"))


@pytest.mark.parametrize("name", HEADERS)
def test_headers(name: str) -> None:
    """A secret in a header is in no form of the journal, whatever the header's name."""
    zof = Zof()
    zof.send("GET", "/v1/runs", headers=[(name, SECRET)], key=None)
    assert SECRET.encode() not in journal(zof)
    assert name.lower().encode() in journal(zof)


@pytest.mark.parametrize("name", PARAMETERS)
def test_query(name: str) -> None:
    """A secret in a query is in no form of the journal; the other parameters are."""
    zof = Zof()
    zof.send("GET", f"/v1/runs?limit=7&{name}={SECRET}&{name}={SECRET}x")
    found = zof.tell("GET", "/journal").json["data"][0]["request"]
    assert SECRET.encode() not in journal(zof)
    assert found["target"].startswith(f"/v1/runs?limit=7&{name}=masked-")
    assert found["query"][0] == ["limit", "7"]
    assert found["query"][1][1] != found["query"][2][1]


BODIES: Final = {
    "a field": '{"%s": "SECRET"}',
    "with spaces": '{ "a" : [1, {"%s" \n:\t "SECRET" }]}',
    "cut": '{"a": 1, "%s": "SECRET',
    "escaped": '{"%s": "\\"SECRET"}',
    "behind a text": '{"a": "\\"", "%s": "SECRET"}',
    "a form": "a=1&%s=SECRET",
}


@pytest.mark.parametrize("kind", sorted(BODIES))
@pytest.mark.parametrize("name", FIELDS)
def test_bodies(kind: str, name: str) -> None:
    """A secret in a field of a body is in no form of the journal, also when the body is cut or no JSON."""
    zof = Zof()
    body = (BODIES[kind] % name).replace("SECRET", SECRET).encode()
    zof.send("POST", "/v1/runs", headers=[("content-type", "application/json")], body=body)
    found = zof.tell("GET", "/journal").json["data"][0]["request"]
    assert SECRET.encode() not in journal(zof)
    assert found["size"] == len(body)


def test_numbers() -> None:
    """A number in a secret field is masked, and the body stays JSON."""
    assert json.loads(mask_body('{"pin": 0, "password": -12.5e3, "a": 12}')) == {"pin": 0, "password": 0, "a": 12}


@pytest.mark.parametrize("name", PUBLIC)
def test_what_is_no_secret(name: str) -> None:
    """The journal shows the data that a replay needs unchanged."""
    assert not is_secret_name(name)
    assert mask_query(f"{name}=abc") == f"{name}=abc"
    assert mask_body(json.dumps({name: "abc"})) == json.dumps({name: "abc"})


@given(secret=st.text(min_size=1))
def test_same_length(secret: str) -> None:
    """A masked secret has the length of the secret, and masking it again changes nothing."""
    masked = mask_text(secret)
    assert len(masked) == len(secret)
    assert is_masked(masked)
    assert mask_text(masked) == masked


JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(FIELDS), inner),
)


@given(value=JSON)
def test_the_rest_of_a_body(value: Any) -> None:  # noqa: ANN401  a JSON value
    """Masking changes the texts and numbers of secret fields alone, whatever JSON a body holds."""
    assert json.loads(mask_body(json.dumps(value))) == _mask(value)


def _mask(value: Any, *, is_secret: bool = False) -> Any:  # noqa: ANN401
    if isinstance(value, list):
        return [_mask(one, is_secret=is_secret) for one in value]
    if isinstance(value, dict):
        return {name: _mask(one, is_secret=is_secret or is_secret_name(name)) for name, one in value.items()}
    if isinstance(value, bool) or not isinstance(value, str | int) or not is_secret:
        return mask_url(value) if isinstance(value, str) else value
    return mask_text(value) if isinstance(value, str) else 0


NESTED: Final = (
    '{"tokens": ["SECRET", "SECRET"], "limit": 7}',
    '{"credentials": {"user": "a", "value": ["SECRET"]}, "limit": 7}',
    '{"secret": [{"a": {"b": "SECRET"}}, ["SECRET"]], "limit": 7}',
    '{"limit": 7, "api_key": ["x", "SECRET',
)


@pytest.mark.parametrize("body", NESTED)
def test_below_a_secret_field(body: str) -> None:
    """Texts in an array or an object that is the value of a secret field are masked; what follows it is not."""
    zof = Zof()
    content = body.replace("SECRET", SECRET).encode()
    zof.send("POST", "/v1/runs", headers=[("content-type", "application/json")], body=content)
    assert SECRET.encode() not in journal(zof)
    assert '"limit": 7' in zof.tell("GET", "/journal").json["data"][0]["request"]["body"]


URLS: Final = (
    "http://SECRET@127.0.0.1:9/a?limit=7",
    "http://user:SECRET@127.0.0.1:9/a",
    "http://127.0.0.1:9/a?limit=7&token=SECRET#part",
    "http://127.0.0.1:9/a?limit=7&token=SECRET",
    "https://a:SECRET@x.example?API_KEY=SECRET&b=c",
)


@pytest.mark.parametrize("url", URLS)
def test_secrets_in_urls(url: str) -> None:
    """The user information and the secret parameters of a URL are in no form of the journal, wherever it stands."""
    zof, full = Zof(deliveries=RecordedDeliveries(())), url.replace("SECRET", SECRET)
    zof.post("/webhooks", {"url": full, "events": ["run.started"]})
    escaped = json.dumps({"url": full}).replace("/", "\\/").encode()
    zof.send("POST", "/v1/webhooks", headers=[("content-type", "application/json"), ("referer", full)], body=escaped)
    zof.get("/runs", near=full)
    zof.start()
    zof.advance(1)
    assert SECRET.encode() not in journal(zof) + zof.tell("GET", "/deliveries").content
    found = zof.tell("GET", "/journal").json["data"][0]["request"]["body"]
    assert len(found) == len(json.dumps({"url": full, "events": ["run.started"]}))
    is_accepted = "@" not in url and "#" not in url
    assert zof.tell("GET", "/journal?limit=1").json["data"][0]["response"]["status"] == (201 if is_accepted else 400)
    assert replay(zof.tell("GET", "/journal.ndjson").content).differing == ()


@given(text=st.text() | st.from_regex(r"https?://([a-z:@]*@)?h/(\?(token|a)=[a-z&=#]*)?", fullmatch=True))
def test_masking_a_url_again_changes_nothing(text: str) -> None:
    """A masked URL has the length of the URL, and masking it again changes nothing."""
    assert len(mask_url(text)) == len(text)
    assert mask_url(mask_url(text)) == mask_url(text)


def test_webhook_secrets() -> None:
    """The secret of a webhook, supplied or generated, is not in the journal, and replay and verify still work."""
    zof = Zof()
    for more in ({"secret": SECRET}, {}):
        answer = zof.post("/webhooks", {"url": "http://127.0.0.1:9/", "events": ["run.started"], **more})
        assert answer.status == 201
        assert answer.json["secret"].encode() not in journal(zof)
    asked = {"operation": "createWebhook", "body": {"secret": SECRET}, "exactly": 1}
    assert zof.tell("POST", "/journal/verify", asked).json["verified"] is True
    assert zof.tell("POST", "/journal/verify", {**asked, "body": {"secret": "x" * 20}}).json["verified"] is False
    assert replay(zof.tell("GET", "/journal.ndjson").content).differing == ()


@given(
    story=st.lists(st.sampled_from(sorted(REQUESTS)), max_size=4),
    name=st.sampled_from(FIELDS),
    secret=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300),
)
def test_replay(story: list[str], name: str, secret: str) -> None:
    """A journal with secrets in all places replays without a difference."""
    zof = Zof()
    answer_story(zof, story)
    zof.post("/runs", {**STAGING, name: secret})
    zof.post("/webhooks", {"url": "http://127.0.0.1:9/", "events": ["agent.offline"], "secret": secret})
    zof.get("/runs", **{name: secret})
    zof.send("GET", "/v1/runs", headers=[("x-auth-token", "a-token-of-ours")])
    assert replay(zof.tell("GET", "/journal.ndjson").content).differing == ()


def test_masking_takes_linear_time() -> None:
    """Texts made to be read again and again are read once: the longest that is kept takes well under a second."""
    for text in (
        '"' + '\\"' * 32_000,
        '{"' * 32_000,
        '{"secret":"' * 6_000,
        '["' + " " * 65_000,
        '{"a"' + " " * 65_000,
    ):
        assert len(mask_body(text)) <= len(text) + 1
