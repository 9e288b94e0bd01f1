"""Exchanges as a shell script of curl commands that a reader of a finding can run as printed.

A value of an answer that a later request uses (an ID, a cursor) becomes a shell variable, and so does each API key:
`write_script(finding.trace, base=target.base, keys=target.keys)` returns a script without any API key.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from zof_contracts.contract.document import PREFIX
from zof_contracts.target.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from zof_contracts.evidence.exchange import Exchange, Request

_SHORTEST: Final = 8
"""The least length of an answer's value that is looked for in later requests."""
_INLINE: Final = 2_000
"""The longest body, in bytes, that is printed literally."""
_RUN: Final = re.compile(rb"(.)\1{63,}", re.DOTALL)


@dataclass(slots=True)
class _Names:
    """The shell variable of each value."""

    values: dict[str, str] = field(default_factory=dict)

    def name(self, path: Sequence[str | int], value: str) -> str:
        words = [part for part in path if isinstance(part, str)]
        kind, underscore, _ = value.partition("_")
        word = kind if words[-1:] == ["id"] and underscore else "".join(words[-1:]) or "value"
        stem = re.sub(r"\W", "_", word).upper()
        taken = sum(name.rstrip("0123456789") == stem for name in self.values.values())
        self.values[value] = f"{stem}{taken + 1}" if taken else stem
        return self.values[value]


def key_variable(key: str) -> str:
    """Return the environment variable that holds an API key."""
    return "ZOF_API_KEY" if key == "main" else "ZOF_API_KEY_" + key.upper().replace("-", "_")


def write_script(trace: Sequence[Exchange], *, base: str, keys: Mapping[str, str]) -> str:
    """Return the commands that repeat a trace, with the status of each answer as a comment."""
    redact, names = Redactor(keys), _Names()
    lines = [f"export ZOF_BASE_URL={shlex.quote(redact.text(base) + PREFIX)}"]
    for step, exchange in enumerate(trace, 1):
        request, answer = exchange.request, exchange.response
        wanted = list(_used_later(answer.json, trace[step:], names))
        saved = f"step{step}.json" if wanted else ""
        said = answer.header("x-request-id")
        lines += ["", f"# {step}. {answer.status}" + (f", {_one_line(said)}" if said else "")]
        lines.append(_command(request, names, redact, keys, saved, shown=step == len(trace)))
        for path, value in wanted:
            reach = "".join(f"[{part!r}]" if isinstance(part, int) else f'["{part}"]' for part in path)
            code = f'import json; print(json.load(open("{saved}")){reach})'
            lines.append(f"{names.name(path, value)}=$(python3 -c {shlex.quote(code)})")
    return redact.text("\n".join(lines)) + "\n"


def _used_later(answer: Any, later: Sequence[Exchange], names: _Names) -> Iterator[tuple[list[str | int], str]]:  # noqa: ANN401  a JSON value
    text = "\n".join(_sent(exchange.request) for exchange in later)
    seen = set(names.values)
    for path, value in _leaves(answer, []):
        if len(value) >= _SHORTEST and value in text and value not in seen:
            seen.add(value)
            yield path, value


def _sent(request: Request) -> str:
    headers = "\n".join(value for _, value in request.headers)
    return f"{request.target}\n{headers}\n{request.body.decode(errors='replace')}"


def _leaves(node: Any, path: list[str | int]) -> Iterator[tuple[list[str | int], str]]:  # noqa: ANN401  a JSON value
    if isinstance(node, str):
        yield path, node
    elif isinstance(node, dict):
        for name, value in node.items():
            yield from _leaves(value, [*path, name])
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _leaves(value, [*path, index])


def _command(  # noqa: PLR0913  each is a part of the command
    request: Request, names: _Names, redact: Redactor, keys: Mapping[str, str], saved: str, *, shown: bool
) -> str:
    before, data = _body(request, names, redact)
    first = [before + "curl -sS", "-i" if shown else "", f"-o {saved}" if saved else ""]
    if request.method == "HEAD":
        first.append("-I")
    elif request.method != ("POST" if data else "GET"):
        first.append(f"-X {shlex.quote(request.method)}")
    if any(mark in request.target for mark in "[]{}"):
        first.append("-g")
    if "/." in request.path:
        first.append("--path-as-is")
    words = [" ".join(word for word in (*first, _address(request, names, redact)) if word)]
    if request.key:
        words.append(f"-H {_authorization(request, redact, keys)}")
    words += [f'-H "{_double(f"{name}: {value}", names, redact)}"' for name, value in request.headers]
    if data and request.header("content-type") is None:
        words.append("-H Content-Type:")  # curl would say that it is a form
    return " \\\n  ".join([*words, data] if data else words)


def _address(request: Request, names: _Names, redact: Redactor) -> str:
    if request.target.startswith(PREFIX):
        return f'"$ZOF_BASE_URL{_double(request.target.removeprefix(PREFIX), names, redact)}"'
    return f'"${{ZOF_BASE_URL%{PREFIX}}}{_double(request.target, names, redact)}"'


def _authorization(request: Request, redact: Redactor, keys: Mapping[str, str]) -> str:
    before, brace, after = request.authorization.partition("{key}")
    if not brace or request.key not in keys:
        return shlex.quote(redact.text(f"Authorization: {before}{request.key if brace else ''}{after}"))
    return f'"Authorization: {_escape(before)}${{{key_variable(request.key)}}}{_escape(after)}"'


def _body(request: Request, names: _Names, redact: Redactor) -> tuple[str, str]:
    """Return what precedes curl in the command, and the option that names the body."""
    body = redact.bytes(request.body)
    if not body:
        return "", ""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = "\0"
    if len(body) <= _INLINE and "\0" not in text and not text.startswith("@"):
        return "", f"--data-binary {_single(text, names, redact)}"
    code = f"import sys; sys.stdout.buffer.write({' + '.join(_pack(body))})"
    return f"python3 -c {shlex.quote(code)} | ", "--data-binary @-"


def _pack(body: bytes) -> Iterator[str]:
    """Yield Python expressions that make the bytes; long repetitions are written as multiplications."""
    at = 0
    for run in _RUN.finditer(body):
        if run.start() > at:
            yield repr(body[at : run.start()])
        yield f"{run[1]!r} * {len(run[0])}"
        at = run.end()
    if at < len(body):
        yield repr(body[at:])


def _parts(text: str, names: _Names) -> Iterator[tuple[str, str]]:
    """Split a text into pieces, each with the name of its variable, if it has one."""
    known = sorted(names.values, key=len, reverse=True)
    pieces = re.split("(" + "|".join(re.escape(value) for value in known) + ")", text) if known else [text]
    return ((piece, names.values.get(piece, "")) for piece in pieces if piece)


def _double(text: str, names: _Names, redact: Redactor) -> str:
    """Return the content of a double-quoted word, with known values as variables."""
    return "".join(f"${{{name}}}" if name else _escape(redact.text(piece)) for piece, name in _parts(text, names))


def _single(text: str, names: _Names, redact: Redactor) -> str:
    """Return a single-quoted word, with known values as variables."""
    return "".join(f'"${name}"' if name else shlex.quote(redact.text(piece)) for piece, name in _parts(text, names))


def _escape(text: str) -> str:
    return re.sub(r'([\\"$`])', r"\\\1", text)


def _one_line(text: str) -> str:
    return " ".join(text.split())
