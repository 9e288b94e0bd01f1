"""A small shell: it runs the printed script of a finding against an application in process.

It knows what these scripts consist of and refuses everything else: assignments, curl with the options that they use,
and the functions `show`, `read_json` and `pause`. `test_curl.py` holds it to what a real shell and curl do.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from zof_contracts.contract.document import PREFIX
from zof_contracts.evidence.exchange import NO_STATUS, Response
from zof_contracts.report.shell import PAUSE, PAUSE_BY_CLOCK, READ_JSON, SHOW
from zof_contracts.target.transport import NoAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zof_contracts.target.target import Target
    from zof_contracts.target.transport import Transport

_FUNCTIONS: Final = (SHOW, READ_JSON, PAUSE, PAUSE_BY_CLOCK)
_VARIABLE: Final = re.compile(r"\$(?:(\w+)|\{(\w+)(?:%([^}]*))?\})")
_ESCAPE: Final = re.compile(r"\\([0-7]{3})")
_LOOP: Final = re.compile(
    r"for count in \$\(seq (\d+)\); do\n +(.*) \| head -n 1 \| grep -q \" 429\" && break\ndone", re.DOTALL
)
_AGAIN: Final = re.compile(r"for _ in \$\(seq (\d+)\); do\n +(.*)\ndone", re.DOTALL)
_SUBSTITUTION: Final = re.compile(r"(\w+)=\$\((.*)\)", re.DOTALL)
_PRINTING: Final = (r"""printf '%s\n' "$ANSWER" | show""", 'echo "$((count - 1)) requests before 429"')
"""Lines that print what was read."""
_TOO_MANY: Final = 429
_BODY_TYPE: Final = ("Content-Type", "application/x-www-form-urlencoded")


@dataclass(slots=True)
class Shell:
    """Runs one script."""

    target: Target
    variables: dict[str, str] = field(default_factory=dict)
    answers: list[Response] = field(default_factory=list)
    """The answers, in the order of the requests."""
    printed: list[str] = field(default_factory=list)
    """The output of the script, answer by answer."""

    def run(self, script: str) -> None:
        """Run a script."""
        for definition in _FUNCTIONS:
            script = script.replace(definition + "\n", "")
        transport = self.target.make_transport()
        for line in _join_lines(script):
            self._run_line(line, transport)

    def _run_line(self, line: str, transport: Transport) -> None:
        if (loop := _LOOP.fullmatch(line)) is not None:
            self._loop(int(loop[1]), list(self._split(loop[2])), transport)
        elif (again := _AGAIN.fullmatch(line)) is not None:
            for _ in range(int(again[1])):
                self._run_line(again[2], transport)
        elif (found := _SUBSTITUTION.fullmatch(line)) is not None:
            self._assign_output(found[1], list(self._split(found[2])), transport)
        elif line not in _PRINTING:
            self._run_words(list(self._split(line)), transport)

    def _run_words(self, words: list[str], transport: Transport) -> None:
        match words:
            case []:
                pass
            case [":", word]:
                assert word[2:].partition(":?")[0] in self.variables
            case ["export", word] | [word]:
                name, _, value = word.partition("=")
                assert re.fullmatch(r"\w+", name), word
                self.variables[name] = value
            case ["pause", seconds]:
                assert self.target.advance
                self.target.advance(round(float(seconds) * 1000))
            case [*command, "|", "show"]:
                self._send(command, transport)
            case _:
                raise AssertionError(words)

    def _loop(self, most: int, words: list[str], transport: Transport) -> None:
        for count in range(1, most + 1):
            self._send(words, transport)
            self.printed.pop()
            if self.answers.pop().status == _TOO_MANY:
                self.printed.append(f"{count - 1} requests before 429")
                return

    def _assign_output(self, name: str, words: list[str], transport: Transport) -> None:
        if "curl" in words:
            self._send(words, transport)
            self.variables[name] = ""  # which `show` and `read_json` look up in `answers`
            return
        assert (words[:2], words[3:5]) == (["printf", r"%s\n"], ["|", "read_json"])
        value = self.answers[-1].json
        for step in json.loads(words[5]):
            value = value[step]
        self.variables[name] = str(value)

    def _send(self, words: list[str], transport: Transport) -> None:
        at = words.index("curl")
        sent = _read_options(words[at + 1 :], _print(words[:at]))
        base = self.variables["ZOF_BASE_URL"].removesuffix(PREFIX)
        assert sent.url.startswith(base)
        method = sent.method or ("GET" if sent.body is None else "POST")
        try:
            answer = transport.carry(method, sent.url.removeprefix(base), tuple(sent.headers), sent.body or b"")
        except NoAnswer as error:
            answer = Response(NO_STATUS, (), b"", str(error))
        self.answers.append(answer)
        lines = (f"HTTP/1.1 {answer.status}", *(f"{name}: {value}" for name, value in answer.headers))
        self.printed.append("\n".join((*lines, "", answer.body.decode("utf-8", "backslashreplace"))))

    # --- words

    def _split(self, line: str) -> Iterator[str]:
        """Split a command into words, with quotes removed and variables replaced."""
        at, word, has_word = 0, "", False
        while at < len(line):
            each = line[at]
            if each == "'":
                end = line.index("'", at + 1)
                word, has_word, at = word + line[at + 1 : end], True, end + 1
            elif each == '"':
                text, at = self._read_double_quoted(line, at + 1)
                word, has_word = word + text, True
            elif each.isspace():
                if has_word:
                    yield word
                word, has_word, at = "", False, at + 1
            elif line.startswith("#", at) and not has_word:
                break
            elif line.startswith("$(", at):
                end = _find_end(line, at)
                word, has_word, at = word + line[at:end], True, end
            else:
                assert each in "|:=-@/.,+%{}" or each.isalnum() or each == "_", f"{each!r} in {line}"
                word, has_word, at = word + each, True, at + 1
        if has_word:
            yield word

    def _read_double_quoted(self, line: str, at: int) -> tuple[str, int]:
        text = ""
        while line[at] != '"':
            if line.startswith("$(printf '", at):
                end = line.index("')", at)
                text += _ESCAPE.sub(lambda found: chr(int(found[1], 8)), line[at + 10 : end])
                at = end + 2
            elif line.startswith("$(", at):
                at = _find_end(line, at)
                text += "now"
            elif line.startswith("$$", at):
                text, at = text + "1", at + 2
            elif (found := _VARIABLE.match(line, at)) is not None:
                value = self.variables[found[1] or found[2]]
                text += value.removesuffix(found[3]) if found[3] else value
                at = found.end()
            else:
                assert line[at] not in "\\`", line
                text, at = text + line[at], at + 1
        return text, at + 1


@dataclass(slots=True)
class _Sent:
    """A request as curl was told to send it."""

    method: str = ""
    url: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | None = None


def _print(command: list[str]) -> bytes:
    """The output of the command before curl."""
    if not command:
        return b""
    code = command[2].removeprefix("import sys; sys.stdout.buffer.write(").removesuffix(")")
    printed: bytes = eval(code, {"__builtins__": {}})  # noqa: S307  literals of bytes, which repr wrote
    return printed


def _read_options(words: list[str], printed: bytes) -> _Sent:
    """Read the options of curl; any that the scripts do not use is an error."""
    sent, options = _Sent(), iter(words)
    given: list[str] = []
    for word in options:
        match word:
            case "-sS" | "-i" | "-g" | "--path-as-is" | "--compressed":
                pass
            case "-I":
                sent.method = "HEAD"
            case "-X":
                sent.method = next(options)
            case "-H":
                given.append(next(options))
            case "--data-raw":
                sent.body = next(options).encode()
            case "--data-binary":
                assert next(options) == "@-"
                sent.body = printed
            case _:
                assert not word.startswith("-"), f"unknown option {word}"
                assert not sent.url, f"two addresses: {sent.url} and {word}"
                sent.url = word
    pairs = [_split_header(each) for each in given]
    if sent.body is not None and not any(name.lower() == "content-type" for name, _ in pairs):
        pairs.append(_BODY_TYPE)
    sent.headers = [(name, value) for name, value in pairs if value is not None]
    return sent


def _find_end(line: str, at: int) -> int:
    """The end of a command substitution, of which the scripts have none within another."""
    quote = ""
    for index in range(at, len(line)):
        each = line[index]
        if quote:
            quote = "" if each == quote else quote
        elif each in "'\"":
            quote = each
        elif each == ")":
            return index + 1
    raise AssertionError(line)


def _join_lines(script: str) -> Iterator[str]:
    """Yield the commands; a quoted text may go over several lines."""
    pending = ""
    for line in script.replace(" \\\n", " ").splitlines():
        pending = f"{pending}\n{line}" if pending else line
        if _is_complete(pending) and (not pending.startswith("for ") or line == "done"):
            yield pending
            pending = ""
    assert not pending


def _is_complete(line: str) -> bool:
    quote = ""
    for each in line:
        if quote:
            quote = "" if each == quote else quote
        elif each == "#":
            return True
        elif each in "'\"":
            quote = each
    return not quote


def _split_header(text: str) -> tuple[str, str | None]:
    """A header as curl reads it: `Name: value`, `Name;` for an empty one, `Name:` for none."""
    if text.endswith(";") and ":" not in text:
        return text[:-1], ""
    name, _, value = text.partition(":")
    return name, value.strip(" ") or None
