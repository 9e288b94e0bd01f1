"""Exchanges as a shell script of curl commands that a reader of a finding can run as printed.

A value of an answer that a later request uses (an ID, a cursor) becomes a shell variable, and so does each API key:
`write_script(finding.trace, base=target.base, keys=target.keys)` returns a script without any API key.

Text of a target never becomes code: variables have fixed names, literals are quoted, answers are read by one fixed
function, and characters that are not printable ASCII are written as escapes.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from zof_contracts.contract.document import PREFIX, load_contract
from zof_contracts.evidence.header_values import parse_whole_number
from zof_contracts.report.escape import escape_controls
from zof_contracts.report.shell import (
    PAUSE,
    PAUSE_BY_CLOCK,
    READ_JSON,
    SHOW,
    WAIT_FOR_END,
    print_bytes,
    quote_literal,
)
from zof_contracts.report.waits import find_wait
from zof_contracts.target.base_url import BaseUrl
from zof_contracts.target.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from zof_contracts.evidence.exchange import Exchange, Request
    from zof_contracts.report.waits import Wait

    Path = tuple[str | int, ...]
    """The names and indexes that lead to a value in an answer."""

_SHORTEST: Final = 8
"""The least length of an answer's value that is looked for in later requests."""
_INLINE: Final = 2_000
"""The longest body, in bytes, that is printed literally."""
_PLAIN: Final = re.compile(r"[\w./:?=&%,+~@ -]*", re.ASCII)
"""Literals that may stand between double quotes, in scripts and on interactive command lines."""
_URL_SAFE: Final = "".join(chr(code) for code in range(0x21, 0x7F))
_NAMES: Final = {
    "run_": "RUN",
    "res_": "RESULT",
    "art_": "ARTIFACT",
    "proj_": "PROJECT",
    "evt_": "EVENT",
    "wh_": "WEBHOOK",
}
"""The shell variables of IDs, by prefix."""
_CURSOR: Final = "next_cursor"
_UNIQUE: Final = 'UNIQUE="$(date +%s)-$$"'
"""The part of idempotency keys by which a script differs from the verification and from each other time it is run."""
_ADDRESS: Final = ': "${ZOF_BASE_URL:?set it to the URL of the API, such as http://127.0.0.1:9630/v1}"'
_MAX_KEY: Final = 200
"""The longest idempotency key that gets that part; a longer one is of the length that the finding is about."""
_TOO_MANY: Final = 429
_USUAL_LIMIT: Final = 100
"""The requests that use up a rate limit whose number is not known."""


@dataclass(slots=True)
class _Variables:
    """The shell variable of each value."""

    names: dict[str, str] = field(default_factory=dict)

    def define(self, path: Path, value: str) -> str:
        """Choose the variable of a value; its name depends on no text of the target."""
        prefix = value.partition("_")[0] + "_"
        stem = _NAMES.get(prefix, "CURSOR" if path[-1:] == (_CURSOR,) else "VALUE")
        count = sum(name.rstrip("0123456789") == stem for name in self.names.values())
        self.names[value] = f"{stem}{count + 1}" if count else stem
        return self.names[value]

    def split(self, text: str) -> list[tuple[str, str]]:
        """Split a text into pieces, each with the name of its variable, if it has one."""
        known = sorted(self.names, key=len, reverse=True)
        pieces = re.split("(" + "|".join(re.escape(value) for value in known) + ")", text) if known else [text]
        return [(piece, self.names.get(piece, "")) for piece in pieces if piece]


def name_key_variable(key: str) -> str:
    """Return the environment variable that holds an API key."""
    return "ZOF_API_KEY" if key == "main" else "ZOF_API_KEY_" + key.upper().replace("-", "_")


def write_script(
    trace: Sequence[Exchange],
    *,
    base: str,
    keys: Mapping[str, str],
    can_move_clock: bool = False,
    is_recorded: bool = False,
) -> str:
    """Return the commands that repeat a trace, with the status of each answer as a comment.

    Args:
        trace: the exchanges; the script waits between them as the verification did.
        base: the URL without `/v1`.
        keys: the API keys by name; the script contains none of them.
        can_move_clock: whether the script waits by moving the target's clock, which takes no time.
        is_recorded: whether a client sent the requests. The script then sends each of them once, and takes an address
            on loopback from the environment, since that server may have ended.
    """
    redact, variables = Redactor(keys), _Variables()
    steps: list[_Step] = []
    for number, exchange in enumerate(trace, 1):
        later_values = list(_find_later_values(exchange.response.json, trace[:number], trace[number:], variables))
        is_first = not is_recorded and not any(each.response.status == _TOO_MANY for each in trace[: number - 1])
        wait = find_wait(trace, number - 1, can_move_clock=can_move_clock, known=variables.names)
        pause = _write_wait(wait, variables, keys) if wait else ""
        command = _Command(exchange, variables, redact, keys).write()
        lines = tuple(_run_command(command, exchange, later_values, variables, uses_up_limit=is_first))
        if steps and not pause and lines == steps[-1].lines and len(lines) == 1:
            steps[-1] = replace(steps[-1], last=number)
        else:
            steps.append(_Step(number, number, exchange, pause, lines))
    commands = [line for step in steps for line in step.write()]
    is_named = not is_recorded or not BaseUrl.parse(base).is_loopback
    address = f"export ZOF_BASE_URL={shlex.quote(redact.text(base) + PREFIX)}" if is_named else _ADDRESS
    lines_before = [address, *_list_keys(trace, keys)]
    lines_before += [_UNIQUE] if any("${UNIQUE}" in command for command in commands) else []
    lines_before += [SHOW, *([READ_JSON] if variables.names else [])]
    lines_before += _list_functions([step.pause for step in steps], can_move_clock=can_move_clock)
    return redact.text("\n".join([*lines_before, *commands])) + "\n"


@dataclass(frozen=True, slots=True)
class _Step:
    """One request of a script, or several equal ones in a row."""

    first: int
    last: int
    exchange: Exchange
    """The first of them."""
    pause: str
    """The command that waits before it; empty for none."""
    lines: tuple[str, ...]
    """The commands."""

    def write(self) -> Iterator[str]:
        """Yield the lines of the step; equal requests are sent in a loop."""
        if self.pause:
            yield from ("", self.pause)
        answer, count = self.exchange.response, self.last - self.first + 1
        request_id = _remove_newlines(answer.header("x-request-id") or "")
        numbers = f"{self.first}" if count == 1 else f"{self.first} to {self.last}"
        yield from ("", f"# {numbers}. {answer.status}" + (f", {request_id}" if request_id else ""))
        if count == 1:
            yield from self.lines
        else:
            yield from (f"for _ in $(seq {count}); do", *(f"  {line}" for line in self.lines), "done")


def _run_command(
    command: str,
    exchange: Exchange,
    later_values: Sequence[tuple[Path, str]],
    variables: _Variables,
    *,
    uses_up_limit: bool,
) -> Iterator[str]:
    """Yield the lines that send a request, print its answer, and read the values that later requests use."""
    answer = exchange.response
    if answer.status == _TOO_MANY and uses_up_limit:
        limit = parse_whole_number(answer.header("x-ratelimit-limit")) or _USUAL_LIMIT
        yield f"for count in $(seq {2 * limit}); do"
        yield f'  {command} | head -n 1 | grep -q " 429" && break'
        yield "done"
        yield 'echo "$((count - 1)) requests before 429"'
    if later_values:
        yield from (f"ANSWER=$({command})", """printf '%s\\n' "$ANSWER" | show""")
    else:
        yield f"{command} | show"
    for path, value in later_values:
        name, place = variables.define(path, value), shlex.quote(json.dumps(path))
        yield f"""{name}=$(printf '%s\\n' "$ANSWER" | read_json {place})"""


def _write_wait(wait: Wait, variables: _Variables, keys: Mapping[str, str]) -> str:
    """Return the command that waits."""
    if not wait.run_id or wait.key not in keys:
        return f"pause {wait.seconds:g}"
    return f'wait_for_end "${variables.names[wait.run_id]}" {wait.seconds:g} "${name_key_variable(wait.key)}"'


def _list_functions(waits: Sequence[str], *, can_move_clock: bool) -> Iterator[str]:
    """Yield the shell functions that the commands which wait use."""
    if any(each.startswith("pause ") for each in waits):
        yield PAUSE_BY_CLOCK if can_move_clock else PAUSE
    if any(each.startswith("wait_for_end ") for each in waits):
        yield WAIT_FOR_END.replace("STATUSES", "|".join(sorted(load_contract().terminal)))


def _list_keys(trace: Sequence[Exchange], keys: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each key of the target that a script needs; the line reports a key that is not set."""
    for key in dict.fromkeys(exchange.request.key for exchange in trace):
        if key in keys:
            yield f': "${{{name_key_variable(key)}:?set it to the API key: {key}}}"'


def _find_later_values(
    answer: object, sent: Sequence[Exchange], later: Sequence[Exchange], variables: _Variables
) -> Iterator[tuple[Path, str]]:
    """Yield the path and value of each text of an answer that a later request contains and no earlier one does."""
    before, after = ("\n".join(_join_request(each.request) for each in part) for part in (sent, later))
    known = set(variables.names)
    for path, value in _list_texts(answer):
        if len(value) >= _SHORTEST and value not in known and value in after and value not in before:
            known.add(value)
            yield path, value


def _join_request(request: Request) -> str:
    headers = "\n".join(value for _, value in request.headers)
    return f"{_unquote_colons(request.target)}\n{headers}\n{request.body.decode(errors='replace')}"


def _unquote_colons(target: str) -> str:
    """Return path and query with the colons of a query as they are, so that times of answers are found in it."""
    path, mark, query = target.partition("?")
    return f"{path}{mark}{query.replace('%3A', ':')}"


def _list_texts(answer: object) -> Iterator[tuple[Path, str]]:
    todo: list[tuple[Path, Any]] = [((), answer)]
    while todo:  # without recursion: an answer may be nested as deep as a target likes
        path, node = todo.pop()
        if isinstance(node, str):
            yield path, node
        elif isinstance(node, dict):
            todo += reversed([((*path, name), value) for name, value in node.items()])
        elif isinstance(node, list):
            todo += reversed([((*path, index), value) for index, value in enumerate(node)])


@dataclass(frozen=True, slots=True)
class _Command:
    """Writes one request as a curl command."""

    exchange: Exchange
    variables: _Variables
    redact: Redactor
    keys: Mapping[str, str]

    @property
    def request(self) -> Request:
        return self.exchange.request

    def write(self) -> str:
        """Return the command, which prints the answer with its headers."""
        request, (before, body) = self.request, self._write_body()
        words = [before + "curl -sS", "" if request.method == "HEAD" else "-i", self._write_method(body)]
        address = self.variables.split(_unquote_colons(request.target))
        if any(name for _, name in address) or any(mark in request.target for mark in "[]{}"):
            words.append("-g")  # brackets and braces are no pattern
        if "/." in request.path:
            words.append("--path-as-is")
        if self.exchange.response.header("content-encoding"):
            words.append("--compressed")
        lines = [" ".join(word for word in (*words, self._write_address(address)) if word)]
        if request.key:
            lines.append(f"-H {self._write_authorization()}")
        lines += [f"-H {self._write_header(name, value)}" for name, value in request.headers]
        if body and request.header("content-type") is None:
            lines.append("-H Content-Type:")  # curl would add that of a form
        return " \\\n  ".join([*lines, body] if body else lines)

    def _write_method(self, body: str) -> str:
        if self.request.method == "HEAD":
            return "-I"
        usual = "POST" if body else "GET"
        return "" if self.request.method == usual else f"-X {shlex.quote(self.request.method)}"

    def _write_address(self, pieces: list[tuple[str, str]]) -> str:
        escaped = [(piece if name else quote(piece, safe=_URL_SAFE), name) for piece, name in pieces]
        if pieces and not pieces[0][1] and pieces[0][0].startswith(PREFIX):
            escaped[0] = (escaped[0][0].removeprefix(PREFIX), "")
            return self._quote(escaped, start="$ZOF_BASE_URL")
        return self._quote(escaped, start=f"${{ZOF_BASE_URL%{PREFIX}}}")

    def _write_authorization(self) -> str:
        before, brace, after = self.request.authorization.partition("{key}")
        if brace and self.request.key in self.keys:
            variable = name_key_variable(self.request.key)
            return self._quote([(f"Authorization: {before}", ""), (variable, variable), (after, "")])
        return quote_literal(self.redact.text(f"Authorization: {before}{self.request.key if brace else ''}{after}"))

    def _write_header(self, name: str, value: str) -> str:
        pieces = self.variables.split(f"{name}: {value}")
        if name.lower() == "idempotency-key" and 0 < len(value) <= _MAX_KEY and value.isascii() and value.isprintable():
            pieces += [("-", ""), ("UNIQUE", "UNIQUE")]  # the target has kept the answer to the original key
        if not value:
            pieces = [(f"{name};", "")]  # which curl sends as an empty header
        return self._quote(pieces)

    def _quote(self, pieces: list[tuple[str, str]], start: str = "") -> str:
        """Quote a word of literals and variables."""
        cleared = [(piece if name else self.redact.text(piece), name) for piece, name in pieces if piece]
        if all(name or _PLAIN.fullmatch(piece) for piece, name in cleared):
            return f'"{start}{"".join(f"${{{name}}}" if name else piece for piece, name in cleared)}"'
        first = f'"{start}"' if start else ""
        return first + "".join(f'"${{{name}}}"' if name else quote_literal(piece) for piece, name in cleared)

    def _write_body(self) -> tuple[str, str]:
        """Return what precedes curl in the command, and the option that gives the body."""
        body = self.redact.bytes(self.request.body)
        if not body:
            return "", ""
        text = body.decode(errors="replace")
        if len(body) <= _INLINE and text.isprintable() and text.isascii():
            pieces = self.variables.split(text)
            words = (f'"${name}"' if name else shlex.quote(self.redact.text(piece)) for piece, name in pieces)
            return "", f"--data-raw {''.join(words)}"
        return f"{print_bytes(body)} | ", "--data-binary @-"


def _remove_newlines(text: str) -> str:
    """Return the text in one line, without characters that control a terminal."""
    return " ".join(escape_controls(text).split())
