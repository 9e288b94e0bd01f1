"""Words of a shell script: literals are quoted so that nothing in them becomes code, and non-ASCII text is escaped."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_PRINTF_PLAIN: Final = frozenset(chr(code) for code in range(0x20, 0x7F)) - set("%\\'!")
"""Characters that printf prints as they are, between single quotes."""
_LONG_RUN: Final = re.compile(rb"(.)\1{63,}", re.DOTALL)

SHOW: Final = "show() { tr -d '\\r' | cat -v; echo; }"
"""A shell function that prints an answer; `cat -v` escapes what is not printable ASCII."""
READ_JSON: Final = """\
read_json() { python3 -c 'import json, sys
text = sys.stdin.buffer.read().replace(b"\\r\\n", b"\\n")
while text.startswith(b"HTTP/"): text = text.partition(b"\\n\\n")[2]
value = json.loads(text.decode("utf-8-sig"))
for step in json.loads(sys.argv[1]): value = value[step]
print(value)' "$1"; }"""
"""A shell function that prints the value at a path of a JSON answer, which it reads with its headers."""
PAUSE: Final = 'pause() { sleep "$1"; }'
"""A shell function that waits for a number of seconds."""
WAIT_FOR_END: Final = """\
wait_for_end() { for _ in $(seq "$2"); do
  case "$(curl -sS -i "$ZOF_BASE_URL/runs/$1" -H "Authorization: Bearer $3" | read_json '["status"]' 2>/dev/null)" in
    STATUSES) return;;
  esac
  sleep 1
done; }"""
"""A shell function that retrieves a run once a second, a number of times at most, until it has one of the STATUSES."""
PAUSE_BY_CLOCK: Final = """\
pause() { curl -sSf -o /dev/null -H "Content-Type: application/json" \\
  -d "{\\"by_ms\\": $(python3 -c 'import sys; print(round(float(sys.argv[1]) * 1000))' "$1")}" \\
  "${ZOF_BASE_URL%/v1}/_emulator/clock/advance"; }"""
"""A shell function that moves the target's clock forward by a number of seconds."""


def quote_literal(text: str) -> str:
    """Quote a text for the shell; characters that are not printable ASCII are written as octal escapes."""
    if text.isascii() and text.isprintable():
        return shlex.quote(text)
    try:
        content = text.encode("latin-1")  # as headers are sent
    except UnicodeEncodeError:
        content = text.encode(errors="surrogatepass")
    form = "".join(chr(byte) if chr(byte) in _PRINTF_PLAIN else f"\\{byte:03o}" for byte in content)
    return f"\"$(printf '{form}')\""


def print_bytes(body: bytes) -> str:
    """Return a command that prints these bytes; long repetitions are written as multiplications."""
    code = f"import sys; sys.stdout.buffer.write({' + '.join(_write_expressions(body))})"
    return f"python3 -c {shlex.quote(code)}"


def _write_expressions(body: bytes) -> Iterator[str]:
    """Yield Python expressions that make the bytes."""
    at = 0
    for run in _LONG_RUN.finditer(body):
        if run.start() > at:
            yield repr(body[at : run.start()])
        yield f"{run[1]!r} * {len(run[0])}"
        at = run.end()
    if at < len(body):
        yield repr(body[at:])
