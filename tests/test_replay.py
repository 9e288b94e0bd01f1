"""Replay: a journal sent to a fresh world gives the same bytes; what differs is shown, what is no journal refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zof_emulator.app import EPOCH
from zof_emulator.cli.main import main
from zof_emulator.cli.replay import replay
from zof_emulator.cli.snapshot_files import UnusableFile
from zof_emulator.core.limits import Rate, RateScope

from tests.http.exchanges import ALL
from tests.http.stories import REQUESTS, answer_story
from tests.zof import Zof

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STEPS: Final = st.lists(st.tuples(st.sampled_from(sorted(REQUESTS)), st.integers(0, 3_000)), max_size=12)


def journal(zof: Zof) -> bytes:
    """The journal of a world, as a file."""
    answer = zof.tell("GET", "/journal.ndjson")
    assert answer.status == 200
    return answer.content


def record_journal(*story: str, **settings: Any) -> bytes:  # noqa: ANN401  a setting
    """The journal of a story."""
    zof = Zof(**settings)
    answer_story(zof, story)
    return journal(zof)


@settings(max_examples=60)  # each makes two emulators
@given(
    steps=STEPS,
    clock=st.sampled_from(["real", "manual", "auto"]),
    rate=st.sampled_from(
        [Rate(), Rate(limit=4), Rate(limit=4, window_ms=2_000, scope=RateScope.ORGANIZATION, burst=1)]
    ),
    world=st.sampled_from(["", "alpha"]),
)
def test_every_history(steps: list[tuple[str, int]], clock: str, rate: Rate, world: str) -> None:
    """The journal of any history, under any clock and in any world, replays byte for byte."""
    system = [EPOCH + 86_400_000]
    zof = Zof(clock=clock, rate=rate, seed=9, capacity=2, system=lambda: system[0])
    inside = zof.select_world(world) if world else zof
    for name, later in steps:
        answer_story(inside, [name])
        answer_story(zof, ["start"])
        system[0] += later
    found = replay(journal(inside))
    assert found.differing == ()
    assert found.exchanges == len(journal(inside).splitlines()) - 1


def test_settings() -> None:
    """A journal says all that its replay needs: environments in their order, the base of links, strict references."""
    zof = Zof(environments=("qa", "eu.1"), public_url="https://zof.test", references="strict", scenario="empty")
    answer_story(zof, ["start", "another environment", "start a suite"])
    zof.start(environment="eu.1")
    assert replay(journal(zof)).differing == ()


def test_runs_that_were_forgotten() -> None:
    """A world that keeps few runs is replayed as one."""
    zof = Zof(max_runs=1, scenario="empty")
    for _ in range(3):
        zof.complete_run("tc_a")
    zof.get("/runs")
    assert replay(journal(zof)).differing == ()


def test_every_kind_of_exchange() -> None:
    """There is no kind of exchange that does not replay."""
    zof = Zof(rate=Rate(limit=60))
    for exchange in (ALL[kind] for kind in ALL if kind not in {"too often", "our fault"}):
        exchange(zof)
    assert replay(journal(zof)).differing == ()


@pytest.mark.parametrize(("value", "status"), [("bytes=2-9", 206), ("bytes=-3", 206), ("bytes=1000000-", 416)])
def test_a_range_of_an_artifact(value: str, status: int) -> None:
    """A range of an artifact replays as the part, or the refusal, that was sent."""
    zof = Zof()
    answer = zof.send("GET", "/v1/artifacts/art_sample_failed_0005/content", headers=[("range", value)])
    assert answer.status == status
    assert replay(journal(zof)).differing == ()


def test_a_world_made_by_hand() -> None:
    """A world that was made with a seed, a clock and a scenario of its own replays as such."""
    zof = Zof()
    zof.tell("POST", "/worlds", {"name": "a", "seed": 77, "clock": "auto", "scenario": "empty"})
    answer_story(zof.select_world("a"), ["start", "newest", "newest", "newest"])
    found = replay(journal(zof.select_world("a")))
    assert (found.exchanges, found.differing) == (7, ())


def lines(content: bytes) -> list[Any]:
    """The lines of a journal, as JSON."""
    return [json.loads(line) for line in content.splitlines()]


def write_journal(found: list[Any]) -> bytes:
    """A journal of these lines."""
    return b"".join(json.dumps(one).encode() + b"\n" for one in found)


def tamper(change: Callable[[Any], object]) -> bytes:
    """A journal in whose second answer something was changed."""
    found = lines(record_journal("start", "runs", "export"))
    change(found[2]["response"])
    return write_journal(found)


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("status", lambda answer: answer.update(status=404)),
        ("headers", lambda answer: answer["headers"][0].__setitem__(1, "text/plain")),
        ("body", lambda answer: answer.update(body=answer["body"].replace("run_", "ruN_"))),
        ("sha256", lambda answer: answer.update(sha256="0" * 64)),
    ],
)
def test_another_answer(what: str, change: Callable[[Any], object]) -> None:
    """Where an answer is another, its number, its request, and both versions are told."""
    found = replay(tamper(change))
    (differing,) = found.differing
    assert (differing.number, differing.request, differing.what) == (2, "GET /v1/runs?limit=2", what)
    assert differing.expected != differing.got
    assert "number 2, GET /v1/runs?limit=2" in found.format_text()
    assert found.format_text().endswith("2 of 3 answers are the same, byte for byte")


GOOD: Final = lines(record_journal("start", "runs"))


def without(place: int, name: str) -> bytes:
    """A journal one of whose lines lacks something."""
    return write_journal(
        [
            {key: value for key, value in one.items() if (number, key) != (place, name)}
            for number, one in enumerate(GOOD)
        ]
    )


CANNOT: Final = {
    "nothing": (b"", "no journal"),
    "no JSON": (b"{", "no journal"),
    "no text": (b"\xff\n", "no journal"),
    "another array": (b"[]\n", "no journal"),
    "another object": (b"{}\n", "no journal"),
    "a snapshot": (b'{"format":"zof-emulator-world","version":1}\n', "no journal"),
    "a head alone": (b'{"format":"zof-emulator-journal","version":1}\n', "no journal"),
    "another version": (write_journal([GOOD[0] | {"version": 2}]), "version 2"),
    "a line that is none": (write_journal(GOOD) + b"{\n", "no journal"),
    "a line of something else": (write_journal(GOOD) + b"5\n", "line 4"),
    "dropped": (record_journal("runs", "runs", "runs", journal=2), "first 1 exchanges"),
    **{f"no {name}": (without(0, name), "no journal") for name in GOOD[0] if name not in {"began", "version"}},
    **{f"no {name} in a line": (without(1, name), "line 2") for name in ("number", "at_ms", "request", "response")},
    "a seed that is none": (write_journal([GOOD[0] | {"seed": "x"}]), "no journal"),
    "a clock that is none": (write_journal([GOOD[0] | {"clock": "wall"}]), "no journal"),
    "a time that is none": (write_journal([GOOD[0] | {"began_ms": 10**18}]), "no journal"),
    "a public URL that is none": (write_journal([GOOD[0] | {"public_url": "x"}]), "invalid URL 'x'"),
    "bad base64": (
        write_journal([GOOD[0], GOOD[1] | {"request": GOOD[1]["request"] | {"encoding": "base64", "body": "a"}}]),
        "line 2 has a request body that is not valid base64",
    ),
    "a name that is none": (write_journal([GOOD[0] | {"world": "a/b"}]), "no journal"),
}


def test_from_a_snapshot() -> None:
    """The journal of a restored world, or of a fork, begins with no fresh world, and cannot be replayed."""
    zof = Zof()
    zof.tell("POST", "/worlds/default/fork", {"name": "fork"})
    with pytest.raises(UnusableFile, match="snapshot"):
        replay(journal(zof.select_world("fork")))


def test_cleared() -> None:
    """A journal that was cleared begins in the middle, and cannot be replayed; after a reset it can again."""
    zof = Zof()
    answer_story(zof, ["start"])
    zof.tell("DELETE", "/journal")
    answer_story(zof, ["runs"])
    with pytest.raises(UnusableFile, match="first 1 exchanges of the world default are gone"):
        replay(journal(zof))
    zof.control("/reset")
    answer_story(zof, ["start"])
    assert replay(journal(zof)).differing == ()


def test_a_cut_request() -> None:
    """A request of which only the beginning was kept cannot be sent again."""
    zof = Zof()
    zof.send("POST", "/v1/runs", headers=[("content-type", "application/json")], body=b" " * 70_000)
    with pytest.raises(UnusableFile, match="exchange 1 is cut"):
        replay(journal(zof))


# --- on the command line


def run_command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of a command."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as done:
        main(["replay", *arguments])
    out, err = capsys.readouterr()
    return int(done.value.code or 0), out, err


def test_the_same(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A journal that replays is exit status 0, and says how many answers are the same."""
    (tmp_path / "j").write_bytes(record_journal("start", "runs"))
    assert run_command(capsys, str(tmp_path / "j")) == (0, "2 of 2 answers are the same, byte for byte\n", "")
    code, out, _ = run_command(capsys, "--json", str(tmp_path / "j"))
    assert (code, json.loads(out)) == (0, {"exchanges": 2, "differing": [], "deliveries": 0, "left_out": []})


def test_not_the_same(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A journal with another answer is exit status 1, and shows it."""
    (tmp_path / "j").write_bytes(tamper(lambda answer: answer.update(status=404)))
    code, out, err = run_command(capsys, str(tmp_path / "j"))
    assert (code, err) == (1, "")
    assert "status differs\n  journal: 404\n  now:     200\n" in out
    code, out, _ = run_command(capsys, str(tmp_path / "j"), "--json")
    told = {"number": 2, "request": "GET /v1/runs?limit=2", "what": "status", "expected": "404", "got": "200"}
    differing = [told | {"journal": 1}]
    assert (code, json.loads(out)) == (1, {"exchanges": 3, "differing": differing, "deliveries": 0, "left_out": []})


@pytest.mark.parametrize("kind", sorted(CANNOT))
def test_what_cannot_be_replayed(capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: str) -> None:
    """A file that is no journal, or not a whole one, is exit status 2 and one line with the reason."""
    content, why = CANNOT[kind]
    (tmp_path / "j").write_bytes(content)
    code, out, err = run_command(capsys, str(tmp_path / "j"))
    (line,) = err.splitlines()
    assert (code, out) == (2, "")
    assert line.startswith("zof-emulator: error: ")
    assert why in line


@pytest.mark.parametrize("name", ["none", "", "."])
def test_no_file(capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str) -> None:
    """A file that cannot be read is exit status 2, and one line that names it."""
    code, out, err = run_command(capsys, str(tmp_path / name))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert str(tmp_path) in err
