"""Exchanges as a shell script of curl commands that a reader of a finding can run as printed.

A value of an answer that a later request uses (an ID, a cursor) becomes a shell variable, and so does each API key:
`write_script(finding.trace, base=target.base, keys=target.keys)` returns a script without any API key.

What a target sends never becomes code: variables have names of ours, literals are quoted, answers are read by one fixed
function, and characters that are not printable ASCII are written as escapes.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from zof_contracts.contract.document import PREFIX
from zof_contracts.report.escape import escape_controls
from zof_contracts.target.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from zof_contracts.evidence.exchange import Exchange, Request

    Path = tuple[str | int, ...]
    """The names and indexes that lead to a value in an answer."""

_SHORTEST: Final = 8
"""The least length of an answer's value that is looked for in later requests."""
_INLINE: Final = 2_000
"""The longest body, in bytes, that is printed literally."""
_LONG_RUN: Final = re.compile(rb"(.)\1{63,}", re.DOTALL)
_PLAIN: Final = re.compile(r"[\w./:?=&%,+~@ -]*", re.ASCII)
"""Literals that may stand between double quotes, in scripts and on interactive command lines."""
_URL_SAFE: Final = "".join(chr(code) for code in range(0x21, 0x7F))
_PRINTF_PLAIN: Final = frozenset(chr(code) for code in range(0x20, 0x7F)) - set("%\\'!")
"""Characters that printf prints as they are, between single quotes."""
_NAMES: Final = {"run_": "RUN", "res_": "RESULT", "art_": "ARTIFACT", "proj_": "PROJECT", "evt_": "EVENT"}
"""The shell variables of IDs, by prefix."""
_CURSOR: Final = "next_cursor"
_READ_JSON: Final = """\
read_json() { python3 -c 'import json, sys
value = json.load(open(sys.argv[1], encoding="utf-8"))
for step in json.loads(sys.argv[2]): value = value[step]
print(value)' "$1" "$2"; }"""
"""A shell function that prints the value at a path of a JSON file."""


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


def key_variable(key: str) -> str:
    """Return the environment variable that holds an API key."""
    return "ZOF_API_KEY" if key == "main" else "ZOF_API_KEY_" + key.upper().replace("-", "_")


def write_script(trace: Sequence[Exchange], *, base: str, keys: Mapping[str, str]) -> str:
    """Return the commands that repeat a trace, with the status of each answer as a comment."""
    redact, variables = Redactor(keys), _Variables()
    commands: list[str] = []
    for step, exchange in enumerate(trace, 1):
        request, answer = exchange.request, exchange.response
        later_values = list(_find_later_values(answer.json, trace[step:], variables))
        file = f"step{step}.json" if later_values else ""
        request_id = _flatten(answer.header("x-request-id") or "")
        commands += ["", f"# {step}. {answer.status}" + (f", {request_id}" if request_id else "")]
        commands.append(_Command(request, variables, redact, keys).write(file, is_last=step == len(trace)))
        for path, value in later_values:
            commands.append(f"{variables.define(path, value)}=$(read_json {file} {shlex.quote(json.dumps(path))})")
    functions = [_READ_JSON] if variables.names else []
    lines = [f"export ZOF_BASE_URL={shlex.quote(redact.text(base) + PREFIX)}", *functions, *commands]
    return redact.text("\n".join(lines)) + "\n"


def _find_later_values(answer: object, later: Sequence[Exchange], variables: _Variables) -> Iterator[tuple[Path, str]]:
    """Yield the path and value of each text of an answer that a later request contains."""
    text = "\n".join(_request_text(exchange.request) for exchange in later)
    known = set(variables.names)
    for path, value in _list_texts(answer):
        if len(value) >= _SHORTEST and value not in known and value in text:
            known.add(value)
            yield path, value


def _request_text(request: Request) -> str:
    headers = "\n".join(value for _, value in request.headers)
    return f"{request.target}\n{headers}\n{request.body.decode(errors='replace')}"


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

    request: Request
    variables: _Variables
    redact: Redactor
    keys: Mapping[str, str]

    def write(self, file: str, *, is_last: bool) -> str:
        """Return the command; the answer of the last one is printed, others are saved if a file is named."""
        request, (before, body) = self.request, self._body()
        words = [before + "curl -sS", "-i" if is_last else "", f"-o {file}" if file else "", self._method(body)]
        address = self.variables.split(request.target)
        if any(name for _, name in address) or any(mark in request.target for mark in "[]{}"):
            words.append("-g")  # brackets and braces are no pattern
        if "/." in request.path:
            words.append("--path-as-is")
        lines = [" ".join(word for word in (*words, self._address(address)) if word)]
        if request.key:
            lines.append(f"-H {self._authorization()}")
        lines += [f"-H {self._header(name, value)}" for name, value in request.headers]
        if body and request.header("content-type") is None:
            lines.append("-H Content-Type:")  # curl would add that of a form
        return " \\\n  ".join([*lines, body] if body else lines)

    def _method(self, body: str) -> str:
        if self.request.method == "HEAD":
            return "-I"
        usual = "POST" if body else "GET"
        return "" if self.request.method == usual else f"-X {shlex.quote(self.request.method)}"

    def _address(self, pieces: list[tuple[str, str]]) -> str:
        escaped = [(piece if name else quote(piece, safe=_URL_SAFE), name) for piece, name in pieces]
        if pieces and not pieces[0][1] and pieces[0][0].startswith(PREFIX):
            escaped[0] = (escaped[0][0].removeprefix(PREFIX), "")
            return self._quote(escaped, start="$ZOF_BASE_URL")
        return self._quote(escaped, start=f"${{ZOF_BASE_URL%{PREFIX}}}")

    def _authorization(self) -> str:
        before, brace, after = self.request.authorization.partition("{key}")
        if brace and self.request.key in self.keys:
            variable = key_variable(self.request.key)
            return self._quote([(f"Authorization: {before}", ""), (variable, variable), (after, "")])
        return _quote_literal(self.redact.text(f"Authorization: {before}{self.request.key if brace else ''}{after}"))

    def _header(self, name: str, value: str) -> str:
        return self._quote(self.variables.split(f"{name}: {value}"))

    def _quote(self, pieces: list[tuple[str, str]], start: str = "") -> str:
        """Quote a word of literals and variables."""
        cleared = [(piece if name else self.redact.text(piece), name) for piece, name in pieces if piece]
        if all(name or _PLAIN.fullmatch(piece) for piece, name in cleared):
            return f'"{start}{"".join(f"${{{name}}}" if name else piece for piece, name in cleared)}"'
        first = f'"{start}"' if start else ""
        return first + "".join(f'"${{{name}}}"' if name else _quote_literal(piece) for piece, name in cleared)

    def _body(self) -> tuple[str, str]:
        """Return what precedes curl in the command, and the option that gives the body."""
        body = self.redact.bytes(self.request.body)
        if not body:
            return "", ""
        text = body.decode(errors="replace")
        if len(body) <= _INLINE and text.isprintable() and text.isascii():
            pieces = self.variables.split(text)
            words = (f'"${name}"' if name else shlex.quote(self.redact.text(piece)) for piece, name in pieces)
            return "", f"--data-raw {''.join(words)}"
        code = f"import sys; sys.stdout.buffer.write({' + '.join(_pack(body))})"
        return f"python3 -c {shlex.quote(code)} | ", "--data-binary @-"


def _quote_literal(text: str) -> str:
    """Quote a text for the shell; characters that are not printable ASCII are written as octal escapes."""
    if text.isascii() and text.isprintable():
        return shlex.quote(text)
    try:
        content = text.encode("latin-1")  # as headers are sent
    except UnicodeEncodeError:
        content = text.encode(errors="surrogatepass")
    form = "".join(chr(byte) if chr(byte) in _PRINTF_PLAIN else f"\\{byte:03o}" for byte in content)
    return f"\"$(printf '{form}')\""


def _pack(body: bytes) -> Iterator[str]:
    """Yield Python expressions that make the bytes; long repetitions are written as multiplications."""
    at = 0
    for run in _LONG_RUN.finditer(body):
        if run.start() > at:
            yield repr(body[at : run.start()])
        yield f"{run[1]!r} * {len(run[0])}"
        at = run.end()
    if at < len(body):
        yield repr(body[at:])


def _flatten(text: str) -> str:
    """Return the text in one line, without characters that control a terminal."""
    return " ".join(escape_controls(text).split())
