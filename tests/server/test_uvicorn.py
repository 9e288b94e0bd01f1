"""The names in uvicorn that `server/protocol.py` and `server/run.py` use or override: none may be missing."""

from __future__ import annotations

import inspect
import re
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pytest
import uvicorn
from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from zof_emulator.server.protocol import Connection, Cycle

ROOT: Final = Path(__file__).resolve().parents[2]

CONNECTION_METHODS: Final = [
    "__init__",
    "_unset_keepalive_if_required",
    "connection_lost",
    "connection_made",
    "data_received",
    "eof_received",
    "on_body",
    "on_header",
    "on_headers_complete",
    "on_message_begin",
    "on_message_complete",
    "on_response_complete",
    "on_url",
    "pause_writing",
    "resume_writing",
    "send_400_response",
    "timeout_keep_alive_handler",
]
CONNECTION_ATTRIBUTES: Final = [
    "access_logger",
    "app",
    "connections",
    "cycle",
    "expect_100_continue",
    "flow",
    "headers",
    "logger",
    "loop",
    "parser",
    "pipeline",
    "scope",
    "tasks",
    "timeout_keep_alive",
    "timeout_keep_alive_task",
    "transport",
    "url",
]
CYCLE_METHODS: Final = ["__init__", "receive", "run_asgi", "send"]
CYCLE_ATTRIBUTES: Final = [
    "body",
    "chunked_encoding",
    "disconnected",
    "expected_content_length",
    "flow",
    "keep_alive",
    "message_event",
    "more_body",
    "on_response",
    "response_complete",
    "response_started",
    "scope",
    "transport",
    "waiting_for_100_continue",
]
CYCLE_PARAMETERS: Final = [
    "scope",
    "transport",
    "flow",
    "logger",
    "access_logger",
    "access_log",
    "default_headers",
    "message_event",
    "expect_100_continue",
    "keep_alive",
    "on_response",
]
SERVER_METHODS: Final = ["capture_signals", "handle_exit", "run", "shutdown", "startup"]


def find_attributes(kind: type) -> set[str]:
    """The names that a class of uvicorn assigns or declares on its instances."""
    return set(re.findall(r"self\.(\w+)(?:: [^=\n]+)? =", inspect.getsource(kind)))


def explain(kind: str, name: str) -> str:
    """The advice for a name that is missing."""
    return f"uvicorn {version('uvicorn')} has no {kind}.{name}, which server/protocol.py or server/run.py uses"


@pytest.mark.parametrize("name", CONNECTION_METHODS)
def test_the_connection_of_uvicorn_has_each_method(name: str) -> None:
    """Each method that `Connection` overrides or calls exists in uvicorn's protocol."""
    assert name in vars(HttpToolsProtocol), explain("HttpToolsProtocol", name)


@pytest.mark.parametrize("name", CONNECTION_ATTRIBUTES)
def test_the_connection_of_uvicorn_has_each_attribute(name: str) -> None:
    """Each attribute that `Connection` uses is assigned by uvicorn's protocol."""
    assert name in find_attributes(HttpToolsProtocol), explain("HttpToolsProtocol", name)


@pytest.mark.parametrize("name", CYCLE_METHODS)
def test_the_cycle_of_uvicorn_has_each_method(name: str) -> None:
    """Each method that `Cycle` overrides or calls exists in uvicorn's cycle."""
    assert name in vars(RequestResponseCycle), explain("RequestResponseCycle", name)


@pytest.mark.parametrize("name", CYCLE_ATTRIBUTES)
def test_the_cycle_of_uvicorn_has_each_attribute(name: str) -> None:
    """Each attribute that `Cycle` and `Connection` use of a cycle is assigned by uvicorn's cycle."""
    assert name in find_attributes(RequestResponseCycle), explain("RequestResponseCycle", name)


def test_the_cycle_of_uvicorn_takes_what_is_passed() -> None:
    """The parameters of uvicorn's cycle are those that `Connection` passes."""
    parameters = list(inspect.signature(RequestResponseCycle).parameters)
    assert parameters == CYCLE_PARAMETERS, explain("RequestResponseCycle", "__init__")


@pytest.mark.parametrize("name", SERVER_METHODS)
def test_the_server_of_uvicorn_has_each_method(name: str) -> None:
    """Each method of uvicorn's server that ours overrides or calls exists."""
    assert name in vars(uvicorn.Server), explain("Server", name)


def test_status_lines_are_a_table_of_bytes() -> None:
    """Uvicorn's status lines, which are sent as they stand, are looked up by status."""
    assert httptools_impl.STATUS_LINE[200] == b"HTTP/1.1 200 OK\r\n"


_OF_EVERY_CLASS = {"__module__", "__doc__", "__firstlineno__", "__static_attributes__"}
"""The attributes that Python, since 3.13, defines in every class."""


@pytest.mark.parametrize(
    ("ours", "theirs", "listed"),
    [
        (Connection, HttpToolsProtocol, (*CONNECTION_METHODS, *CONNECTION_ATTRIBUTES)),
        (Cycle, RequestResponseCycle, (*CYCLE_METHODS, *CYCLE_ATTRIBUTES)),
    ],
    ids=["Connection", "Cycle"],
)
def test_the_lists_are_complete(ours: type, theirs: type, listed: tuple[str, ...]) -> None:
    """Every name of its own instance that our class uses is its own or stands in a list above."""
    used = set(re.findall(r"(?:self|super\(\))\.(\w+)", inspect.getsource(ours)))
    overridden = set(vars(ours)) & set(vars(theirs)) - _OF_EVERY_CLASS
    own = set(vars(ours)) - set(vars(theirs)) | set(ours.__annotations__)
    assert (used | overridden) - own - set(listed) == set()


def test_uvicorn_is_pinned_to_its_minor_version() -> None:
    """A release of uvicorn with another minor version is not installed until these lists have been read again."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    [requirement] = [one for one in project["dependencies"] if one.startswith("uvicorn")]
    major, minor, *_ = version("uvicorn").split(".")
    assert requirement == f"uvicorn>={major}.{minor},<{major}.{int(minor) + 1}"
