"""The command: `scripts/bench`. Exit status 0 measured, 2 could not, 130 interrupted."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from bench import boot, extras, report, throughput, weight
from bench.machine import ROOT, CannotMeasure, cores, described, tool
from bench.servers import peers

if TYPE_CHECKING:
    from collections.abc import Sequence

_OUT: Final = ROOT / "bench" / "out"
_PARTS: Final = (*throughput.NAMES, "extras", "boot", "memory", "pages")
_BOOTS: Final = 5
_BEGAN: Final = time.monotonic()
_COULD_NOT: Final = 2
_INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is asked for, print it and write it down; the exit status."""
    asked = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that servers end with us
    try:
        found = _measured(asked)
    except CannotMeasure as lacking:
        sys.stderr.write(f"bench: error: {lacking}\n")
        return _COULD_NOT
    except KeyboardInterrupt:
        sys.stderr.write("\nbench: interrupted; nothing is left running\n")
        return _INTERRUPTED
    text, document = report.written(found), orjson.dumps(found, option=orjson.OPT_INDENT_2)
    _OUT.mkdir(exist_ok=True)
    (_OUT / "bench.md").write_text(text, "utf-8")
    (_OUT / "bench.json").write_bytes(document)
    sys.stdout.write(document.decode() + "\n" if asked.json else text)
    sys.stderr.write("bench: written to bench/out/bench.md and bench/out/bench.json\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="Measure the emulator beside its floor and peers."
    )
    parser.add_argument("--rounds", type=_positive, default=5, help="how often each is measured, in turn (default: 5)")
    parser.add_argument("--seconds", type=_positive, default=1, help="how long wrk asks each time (default: 1)")
    parser.add_argument("--only", type=_parts, default=_PARTS, metavar="PART,…", help=f"some of {', '.join(_PARTS)}")
    parser.add_argument(
        "--peers", action=argparse.BooleanOptionalAction, default=True, help="Prism and Mockoon too (default: yes)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no positive number")
    return int(text)


def _parts(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    unknown = [name for name in names if name not in _PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(_PARTS)}")
    return names


def _measured(asked: argparse.Namespace) -> dict[str, Any]:
    tool("wrk", "wrk")
    tool("taskset", "util-linux")
    machine = described()
    pinned = cores()
    operations = [name for name in throughput.NAMES if name in asked.only]
    mocked = {"boot", *throughput.NAMES} & set(asked.only)
    others, without = peers() if asked.peers and mocked else ((), "Peers were not asked for")
    if without and asked.peers and mocked:
        _tell(without)
    found: dict[str, Any] = {"machine": machine, "without": without if mocked else ""}
    with tempfile.TemporaryDirectory(prefix="zof-bench-") as name:
        folder = Path(name)
        if operations:
            found["throughput"] = throughput.measure(
                operations, others, rounds=asked.rounds, seconds=asked.seconds, cores=pinned, folder=folder, tell=_tell
            )
        if "extras" in asked.only:
            found["extras"] = extras.measure(
                rounds=asked.rounds, seconds=asked.seconds, cores=pinned, folder=folder, tell=_tell
            )
        if "boot" in asked.only:
            found["boot"] = boot.measure(
                others, rounds=min(asked.rounds, _BOOTS), cores=pinned, folder=folder, tell=_tell
            )
        if "memory" in asked.only:
            found["memory"] = weight.measure_memory(pinned, folder, _tell)
        if "pages" in asked.only:
            found["pages"] = weight.measure_pages(pinned, folder, _tell)
    machine["load after"] = " ".join(f"{one:.2f}" for one in os.getloadavg())
    machine["servers on core, wrk on core"] = f"{pinned.server}, {pinned.client}"
    machine["rounds, seconds each"] = f"{asked.rounds}, {asked.seconds}"
    machine["took"] = f"{time.monotonic() - _BEGAN:.0f} s"
    return found


def _tell(what: str) -> None:
    sys.stderr.write(f"bench: {time.monotonic() - _BEGAN:4.0f} s  {what}\n")


if __name__ == "__main__":
    sys.exit(main())
