"""The command `scripts/bench`. Exit status: 0 measured, 2 could not measure, 130 interrupted."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from bench import boot, extras, many_runs, proxy, report, throughput, verification, webhooks
from bench.machine import ROOT, CannotMeasure, describe, find_tool, pin_cores
from bench.servers import install_peers
from bench.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence

_OUT: Final = ROOT / "bench" / "out"
_PARTS: Final = (*throughput.NAMES, "extras", "webhooks", "boot", "memory", "pages", "proxy", "verify")
_BOOTS: Final = 5
_BEGAN: Final = time.monotonic()
_COULD_NOT: Final = 2
_INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the report and write it to files. Returns the exit status."""
    options = _make_parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the servers end too
    try:
        found = _measure(options)
    except CannotMeasure as lacking:
        sys.stderr.write(f"bench: error: {lacking}\n")
        return _COULD_NOT
    except KeyboardInterrupt:
        sys.stderr.write("\nbench: interrupted; no server is left running\n")
        return _INTERRUPTED
    text, document = report.render(found), orjson.dumps(found, option=orjson.OPT_INDENT_2)
    _OUT.mkdir(exist_ok=True)
    (_OUT / "bench.md").write_text(text, "utf-8")
    (_OUT / "bench.json").write_bytes(document)
    sys.stdout.write(document.decode() + "\n" if options.json else text)
    sys.stderr.write("bench: written to bench/out/bench.md and bench/out/bench.json\n")
    return 0


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Compare the emulator with a bare ASGI function, Starlette, Prism and Mockoon;"
        " measure the time that the proxy adds, and how long a verification takes.",
    )
    parser.add_argument(
        "--rounds", type=_parse_positive, default=5, help="rounds in which each server is measured once (default: 5)"
    )
    parser.add_argument(
        "--seconds", type=_parse_positive, default=1, help="seconds that wrk sends requests in each round (default: 1)"
    )
    parser.add_argument(
        "--only",
        type=_parse_parts,
        default=_PARTS,
        metavar="PART,…",
        help=f"measure these parts only: {', '.join(_PARTS)}",
    )
    parser.add_argument(
        "--peers",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="measure Prism and Mockoon too (default: yes)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    return parser


def _parse_positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive integer")
    return int(text)


def _parse_parts(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    unknown = [name for name in names if name not in _PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not a part; the parts are {', '.join(_PARTS)}")
    return names


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    find_tool("wrk", "wrk")
    find_tool("taskset", "util-linux")
    machine = describe()
    cores = pin_cores()
    operations = [name for name in throughput.NAMES if name in options.only]
    mocked = {"boot", *throughput.NAMES} & set(options.only)
    others, without = install_peers() if options.peers and mocked else ((), "Peers were not measured")
    if without and options.peers and mocked:
        _log(without)
    found: dict[str, Any] = {"machine": machine, "without": without if mocked else ""}
    with tempfile.TemporaryDirectory(prefix="zof-bench-") as name:
        session = Session(options.rounds, options.seconds, cores, Path(name), _log)
        if operations:
            found["throughput"] = throughput.measure(operations, others, session)
        if "extras" in options.only:
            found["extras"] = extras.measure(session)
        if "webhooks" in options.only:
            found["webhooks"] = webhooks.measure(session)
        if "boot" in options.only:
            found["boot"] = boot.measure(others, replace(session, rounds=min(options.rounds, _BOOTS)))
        if "memory" in options.only:
            found["memory"] = many_runs.measure_memory(session)
        if "pages" in options.only:
            found["pages"] = many_runs.measure_pages(session)
        if "proxy" in options.only:
            found["proxy"] = proxy.measure(session)
        if "verify" in options.only:
            found["verify"] = verification.measure(session)
    machine["load after"] = " ".join(f"{one:.2f}" for one in os.getloadavg())
    machine["servers on core, wrk on core"] = f"{cores.server}, {cores.client}"
    machine["rounds, seconds each"] = f"{options.rounds}, {options.seconds}"
    machine["took"] = f"{time.monotonic() - _BEGAN:.0f} s"
    return found


def _log(message: str) -> None:
    sys.stderr.write(f"bench: {time.monotonic() - _BEGAN:4.0f} s  {message}\n")


if __name__ == "__main__":
    sys.exit(main())
