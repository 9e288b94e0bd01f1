"""The screenshot, read by the decoder of these tests."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from struct import unpack

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.core.results import Failure, Result
from zof_emulator.render import font
from zof_emulator.render.png import render_screenshot

from tests.render.strategies import SAMPLE, from_statuses, instants

RED, AMBER = (0xC6, 0x28, 0x28), (0xB4, 0x53, 0x09)
INK, PAPER = (0x1E, 0x29, 0x3B), (0xFF, 0xFF, 0xFF)
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Picture:
    """A decoded PNG: rows of colours."""

    rows: list[list[Colour]]

    def mark_colour(self, colour: Colour) -> list[str]:
        """Each row as text, `1` where it has that colour."""
        return ["".join("01"[dot == colour] for dot in row) for row in self.rows]


def chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    """The kind and content of each chunk, their checks verified."""
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    found, at = [], 8
    while at < len(content):
        (length,) = unpack(">I", content[at : at + 4])
        kind, body = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        assert unpack(">I", content[at + 8 + length : at + 12 + length]) == (zlib.crc32(kind + body),)
        found.append((kind, body))
        at += 12 + length
    return found


def decode(content: bytes) -> Picture:
    """A palette image without filters or interlacing."""
    (_, head), (_, palette), (_, packed), _ = chunks(content)
    width, height, bits, kind, *rest = unpack(">IIBBBBB", head)
    assert (kind, rest) == (3, [0, 0, 0])
    colours = [(palette[at], palette[at + 1], palette[at + 2]) for at in range(0, len(palette), 3)]
    line = width * bits // 8 + 1
    data = zlib.decompress(packed)
    assert len(data) == line * height
    rows = []
    for start in range(0, len(data), line):
        assert data[start] == 0
        whole = "".join(f"{byte:08b}" for byte in data[start + 1 : start + line])
        rows.append([colours[int(whole[at : at + bits], 2)] for at in range(0, len(whole), bits)])
    return Picture(rows)


def shows(picture: Picture, text: str, colour: Colour) -> bool:
    """Whether the picture contains the text in letters of that colour."""
    dots, drawn = picture.mark_colour(colour), font.draw_rows(text)
    for y in range(len(dots) - font.HEIGHT + 1):
        x = dots[y].find(drawn[0])
        while x >= 0:
            if all(row.startswith(letters, x) for row, letters in zip(dots[y:], drawn, strict=False)):
                return True
            x = dots[y].find(drawn[0], x + 1)
    return False


def test_chunks() -> None:
    """The chunks are a header, a palette, one body and an end, in this order."""
    assert [kind for kind, _ in chunks(render_screenshot(SAMPLE))] == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]


@given(from_statuses())
def test_decodes(result: Result) -> None:
    """The screenshot of any result is a valid image of the same size, under 12 KB."""
    content = render_screenshot(result)
    picture = decode(content)
    assert (len(picture.rows), len(picture.rows[0])) == (138, 336)
    assert len(content) < 12_000


def test_stored() -> None:
    """The image is not compressed, since compressed bytes differ by zlib version."""
    packed = dict(chunks(render_screenshot(SAMPLE)))[b"IDAT"]
    assert packed[:3] == b"\x78\x01\x01"
    assert packed[7:-4] == zlib.decompress(packed)


@pytest.mark.parametrize(
    "text", ["tc_checkout_fail", "run run_4f9ac2", "in staging", "2026-01-01T00:00:00Z", "proj_web"]
)
def test_words(text: str) -> None:
    """The case, the run, the environment, the time and the project can be read."""
    assert shows(decode(render_screenshot(SAMPLE)), text, INK)


@pytest.mark.parametrize(("status", "colour"), [("failed", RED), ("error", AMBER)])
def test_status(status: str, colour: Colour) -> None:
    """The status is in capitals on its colour: red for a failure, amber for an error."""
    picture = decode(render_screenshot(replace(SAMPLE, status=status)))
    assert shows(picture, status.upper(), PAPER)
    assert sum(row.count("1") for row in picture.mark_colour(colour)) > 500


def test_address() -> None:
    """The address bar shows the URL of the case."""
    short = replace(SAMPLE, test_case_id="tc_1")
    assert shows(decode(render_screenshot(short)), "https://staging.app.example/?case=tc_1", INK)


def test_message_is_wrapped() -> None:
    """A failure's message is wrapped between words."""
    words = [f"{number}.word" for number in range(20)]
    picture = decode(render_screenshot(replace(SAMPLE, failure=Failure(" \n".join(words), "assertion"))))
    assert all(shows(picture, word, INK) for word in words)


def test_message_is_cut() -> None:
    """A message that is too long is visibly cut."""
    picture = decode(render_screenshot(replace(SAMPLE, failure=Failure("word " * 10_000 + "end", "assertion"))))
    assert shows(picture, "word...", INK)
    assert not shows(picture, "end", INK)


def test_long_id_is_wrapped() -> None:
    """The longest ID that the contract allows is shown whole, on two lines."""
    picture = decode(render_screenshot(replace(SAMPLE, test_case_id="tc_" + "a" * 63 + "Z")))
    assert shows(picture, "aZ", INK)


def test_long_environment_is_cut() -> None:
    """A long label is cut, so that the time beside it stays legible."""
    picture = decode(render_screenshot(replace(SAMPLE, environment="qa" * 40)))
    assert shows(picture, "2026-01-01T00:00:00Z", INK)
    assert shows(picture, "in " + "qa" * 13 + "...", INK)


@given(from_statuses("failed", "error"), st.none() | instants)
def test_known_before_visible(result: Result, created_at: int | None) -> None:
    """The bytes do not change when the result becomes visible."""
    assert render_screenshot(result) == render_screenshot(replace(result, id="res_other", created_at=created_at))
