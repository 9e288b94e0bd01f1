"""The screenshot of a case: a small browser window, drawn in four colours and written as a PNG."""

from __future__ import annotations

import zlib
from struct import pack
from textwrap import wrap
from typing import TYPE_CHECKING, Final

from zof_emulator.core.instants import format_rfc3339
from zof_emulator.render import case_steps, font

if TYPE_CHECKING:
    from zof_emulator.core.results import Result

    Canvas = list[bytearray]

_WIDTH: Final = 336
_HEIGHT: Final = 138
_PITCH: Final = 10
_PAPER, _FRAME, _INK, _SIGNAL = b"0123"
"""The four colours, each the digit that stands for it on the canvas."""
_PALETTE: Final = bytes.fromhex("ffffff d9dfe8 1e293b")
_SIGNALS: Final = {"failed": bytes.fromhex("c62828"), "error": bytes.fromhex("b45309")}
_SLATE: Final = bytes.fromhex("64748b")
_BITS: Final = 2
_CUT: Final = "..."


def render_screenshot(result: Result) -> bytes:
    """A PNG, under 12 KB, of a browser window that shows the case, its status, its failure, its environment and time.

    Long texts are cut. The bytes do not depend on the result's ID or `created_at`.
    """
    canvas = [bytearray([_PAPER]) * _WIDTH for _ in range(_HEIGHT)]
    _draw_window(canvas, result)
    _draw_verdict(canvas, result)
    _draw_footer(canvas, result)
    return _encode_png(canvas, _PALETTE + _SIGNALS.get(result.status, _SLATE))


def _draw_window(canvas: Canvas, result: Result) -> None:
    """The frame: three buttons, a tab, and the address."""
    _fill(canvas, (0, 0), (_WIDTH, 30), _FRAME)
    for x in (7, 16, 25):
        _fill(canvas, (x + 1, 4), (3, 5), _PAPER)
        _fill(canvas, (x, 5), (5, 3), _PAPER)
    title = _clip(result.project_id, 30)
    _fill(canvas, (37, 2), (font.WIDTH * len(title) + 13, 12), _PAPER)
    _write(canvas, (44, 4), title, _INK, _PAPER)
    _fill(canvas, (6, 15), (_WIDTH - 12, 12), _PAPER)
    _write(canvas, (11, 17), _clip(case_steps.make_url(result), 52), _INK, _PAPER)
    _fill(canvas, (0, 29), (_WIDTH, 1), _INK)


def _draw_verdict(canvas: Canvas, result: Result) -> None:
    """The page: the status on its colour, the case beside it, the failure below."""
    status = _clip(result.status.upper(), 10)
    edge = font.WIDTH * len(status) + 19
    _fill(canvas, (8, 37), (edge - 8, 14), _SIGNAL)
    _write(canvas, (14, 40), status, _PAPER, _SIGNAL)
    case = _wrap(result.test_case_id, (_WIDTH - 8 - edge - 8) // font.WIDTH, 2)
    _write_paragraph(canvas, edge + 8, 35 if case[1:] else 40, case)
    _fill(canvas, (8, 58), (3, 5 * _PITCH), _SIGNAL)
    _write_paragraph(canvas, 18, 59, _wrap(result.failure.message if result.failure else "", 51, 5))


def _draw_footer(canvas: Canvas, result: Result) -> None:
    """The last two lines: the run, the environment, and when the case ended."""
    _fill(canvas, (0, 114), (_WIDTH, _HEIGHT - 114), _FRAME)
    ended = "-" if result.completed_at is None else format_rfc3339(result.completed_at)
    _write(canvas, (8, 117), _clip(f"run {result.run_id}", 53), _INK, _FRAME)
    _write(canvas, (8, 127), _clip(f"in {result.environment}", 52 - len(ended)), _INK, _FRAME)
    _write(canvas, (_WIDTH - 7 - font.WIDTH * len(ended), 127), ended, _INK, _FRAME)


def _fill(canvas: Canvas, corner: tuple[int, int], size: tuple[int, int], colour: int) -> None:
    (x, y), (width, height) = corner, size
    for line in canvas[y : y + height]:
        line[x : x + width] = bytes([colour]) * width


def _write(canvas: Canvas, corner: tuple[int, int], text: str, ink: int, paper: int) -> None:
    x, y = corner
    colours = bytes.maketrans(b"01", bytes([paper, ink]))
    for line, dots in zip(canvas[y:], font.draw_rows(text), strict=False):
        line[x : x + len(dots)] = dots.encode().translate(colours)


def _write_paragraph(canvas: Canvas, x: int, y: int, lines: list[str]) -> None:
    for number, line in enumerate(lines):
        _write(canvas, (x, y + number * _PITCH), line, _INK, _PAPER)


def _clip(text: str, length: int) -> str:
    shown = font.replace_unprintable(text)
    return shown if len(shown) <= length else shown[: length - len(_CUT)] + _CUT


def _wrap(text: str, width: int, lines: int) -> list[str]:
    shown = " ".join(font.replace_unprintable(text).split())[: 2 * width * lines]
    return wrap(shown, width, max_lines=lines, placeholder=_CUT)


def _encode_png(canvas: Canvas, palette: bytes) -> bytes:
    """The canvas as a PNG file. A row is a number in base four, because a dot has two bits."""
    rows = b"".join(b"\0" + int(line, 4).to_bytes(_WIDTH * _BITS // 8) for line in canvas)
    size = pack(">IIBBBBB", _WIDTH, _HEIGHT, _BITS, 3, 0, 0, 0)
    chunks = (b"IHDR", size), (b"PLTE", palette), (b"IDAT", _store_uncompressed(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_encode_chunk(kind, content) for kind, content in chunks)


def _encode_chunk(kind: bytes, content: bytes) -> bytes:
    return pack(">I", len(content)) + kind + content + pack(">I", zlib.crc32(kind + content))


def _store_uncompressed(content: bytes) -> bytes:
    """Up to 65,535 bytes as an uncompressed zlib stream: the compressed output of zlib differs by version."""
    block = pack("<BHH", 1, len(content), len(content) ^ 0xFFFF) + content
    return b"\x78\x01" + block + pack(">I", zlib.adler32(content))
