"""The report: the figures as tables that are readable on a terminal and are valid Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Found = dict[str, Any]

_LEGEND: Final = (
    "answers/s: answers per second at 32 connections, the median of the rounds, with the lowest and the highest.",
    "ratio: compared with the bare ASGI function in the same round. CPU: CPU time per answer, and its ratio to that of",
    "the bare ASGI function; other processes on the machine disturb it least. of core: the share of its core that a",
    "server used; a share well below 100 % means that other processes used the core, which favours the slower server.",
    "In that case trust the CPU ratio or measure again. Prism and Mockoon answer with examples and keep no state.",
)


def render(found: Found) -> str:
    """The whole report."""
    return "\n".join(_render_lines(found)) + "\n"


def _render_lines(found: Found) -> Iterator[str]:
    yield "# Benchmark"
    yield ""
    yield from _render_verdicts(found)
    for operation in found.get("throughput", ()):
        yield from _render_throughput(operation)
    if found.get("throughput"):
        yield from _LEGEND
        yield ""
    for name, section in _SECTIONS.items():
        if name in found:
            yield from section(found[name])
    if found["without"]:
        yield found["without"] + "."
        yield ""
    yield "## Machine"
    yield ""
    yield from _render_table(("what", "value"), [(name, value) for name, value in found["machine"].items()])


def _render_verdicts(found: Found) -> Iterator[str]:
    rows = [
        (one["title"], f">= {one['target']:.2f} of the baseline", f"{one['reached']:.3f}", _format_verdict(one))
        for one in found.get("throughput", ())
        if one["target"] is not None
    ]
    if "extras" in found:
        one = found["extras"]
        rows.append(
            ("Journal, worlds", f">= {one['target']} of the rate without", f"{one['reached']:.3f}", _format_met(one))
        )
        one = one["faults"]
        rows.append(
            ("Fault rules", f">= {one['target']} of the rate without", f"{one['reached']:.3f}", _format_met(one))
        )
    if "webhooks" in found:
        one = found["webhooks"]["deliveries"]
        rows.append(
            (f"{one['count']:,} deliveries", f"< {one['target']:.0f} s", f"{one['reached']:.1f} s", _format_met(one))
        )
    if "boot" in found:
        first, memory = found["boot"]["seconds"], found["boot"]["memory"]
        rows.append(("First answer", f"< {first['target']} s", f"{first['reached']:.3f} s", _format_met(first)))
        rows.append(
            ("Resident memory", f"< {memory['target']:.0f} MiB", f"{memory['reached']:.1f} MiB", _format_met(memory))
        )
    if "memory" in found:
        one = found["memory"]
        rows.append(("Memory of a run", f"< {one['target']} B", f"{one['reached']:.0f} B", _format_met(one)))
    if "pages" in found:
        one = found["pages"]
        rows.append(("Worst filter", f"<= {one['target']} x", f"{one['reached']:.2f} x", _format_met(one)))
    if "proxy" in found:
        one = found["proxy"]
        rows.append(("Added by the proxy", f"< {one['target']:.0f} ms", f"{one['reached']:.3f} ms", _format_met(one)))
    rows += [
        (f"Verification: {one['title']}", f"< {one['target']:.0f} s", f"{one['seconds']:.1f} s", _format_met(one))
        for one in found.get("verify", {}).get("rows", ())
        if one["target"] is not None
    ]
    if rows:
        yield from _render_table(("what", "target", "reached", "verdict"), rows)


def _render_extras(found: Found) -> Iterator[str]:
    yield "## With a journal, with a selected world, and with fault rules that do not match"
    yield ""
    yield from _render_table(
        ("operation", "with", "answers/s", "ratio", "spread", "CPU µs", "CPU ratio"),
        [(row["title"], name, *_format_load(one)) for row in found["rows"] for name, one in row["servers"].items()],
    )


def _render_webhooks(found: Found) -> Iterator[str]:
    yield "## With a webhook"
    yield ""
    yield from _render_table(
        ("start a run with", "answers/s", "ratio", "spread", "CPU µs", "CPU ratio"),
        [(name, *_format_load(one)) for name, one in found["starts"].items()],
    )
    one = found["deliveries"]
    yield f"{one['count']:,} deliveries to a fast receiver on the same core took {one['seconds']:.1f} s."
    yield f"Both took {one['reached']:.1f} s of CPU time, and the emulator {one['cpu_us']:.0f} µs for each delivery."
    yield ""


def _format_load(one: Found) -> tuple[str, ...]:
    """Rate and CPU time of a server, with their ratios to those of another one."""
    return (
        f"{one['rate']['median']:,.0f}",
        f"{one['ratio']['median']:.3f}",
        f"{one['ratio']['low']:.3f} to {one['ratio']['high']:.3f}",
        f"{one['cpu_us']['median']:.1f}",
        f"{one['cpu_ratio']['median']:.3f}",
    )


def _render_throughput(operation: Found) -> Iterator[str]:
    yield f"## {operation['title']}"
    yield ""
    yield from _render_table(
        ("server", "answers/s", "spread", "ratio", "spread", "CPU µs", "CPU ratio", "of core", "p99 ms"),
        [
            (
                name,
                f"{one['rate']['median']:,.0f}",
                f"{one['rate']['low']:,.0f} to {one['rate']['high']:,.0f}",
                f"{one['ratio']['median']:.3f}",
                f"{one['ratio']['low']:.3f} to {one['ratio']['high']:.3f}",
                f"{one['cpu_us']['median']:.1f}",
                f"{one['cpu_ratio']['median']:.3f}",
                f"{one['share']:.0%}",
                f"{one['p99_ms']:.1f}",
            )
            for name, one in operation["servers"].items()
        ],
    )


def _render_boot(boot: Found) -> Iterator[str]:
    yield "## Start to the first answer, and resident memory"
    yield ""
    yield from _render_table(
        ("server", "seconds", "spread", "CPU s", "MiB then", "MiB after 10,000 requests"),
        [
            (
                name,
                f"{one['seconds']['median']:.3f}",
                f"{one['seconds']['low']:.3f} to {one['seconds']['high']:.3f}",
                f"{one['cpu_seconds']['median']:.2f}",
                f"{one['idle_mib']['median']:.1f}",
                f"{one['busy_mib']:.1f}",
            )
            for name, one in boot["servers"].items()
        ],
    )


def _render_memory(memory: Found) -> Iterator[str]:
    yield f"## Bytes per run of two cases, with {memory['runs']:,} runs"
    yield ""
    yield from _render_table(
        ("counted by", "waiting", "ended"),
        [
            (name, f"{memory[key]['waiting']:,.0f}", f"{memory[key]['ended']:,.0f}")
            for name, key in (("Python (tracemalloc)", "counted"), ("the system (resident)", "resident"))
        ],
    )
    rate = memory["runs"] / memory["load_seconds"]
    yield f"The server then held {memory['server_mib']:.0f} MiB; it took {rate:,.0f} runs per second on one connection."
    yield ""


def _render_pages(pages: Found) -> Iterator[str]:
    yield "## A page of 20, out of 100 runs and out of 100,000"
    yield ""
    yield from _render_table(
        ("list and filter", "items", "µs of 100", "µs of 100,000", "ratio", "newly encoded", "", "ratio"),
        [
            (
                name,
                f"{one['items_of_few']}/{one['items']}",
                *(f"{one[key]:.1f}" for key in ("few_us", "many_us")),
                f"{one['ratio']:.2f}",
                *(f"{one[key]:.1f}" for key in ("few_new_us", "many_new_us")),
                f"{one['ratio_new']:.2f}",
            )
            for name, one in pages["filters"].items()
        ],
    )
    yield from _render_table(
        ("over HTTP, one connection", "µs of 100", "µs of 100,000", "ratio"),
        [
            (f"`{target}`", f"{one['few_us']:.0f}", f"{one['many_us']:.0f}", f"{one['ratio']:.2f}")
            for target, one in pages["over_http"].items()
        ],
    )


def _render_proxy(proxy: Found) -> Iterator[str]:
    yield "## Through `zof-contracts proxy`"
    yield ""
    yield from _render_table(
        ("request", "added ms, median", "spread of the rounds", "CPU µs of the proxy"),
        [
            (
                name,
                f"{one['added_ms']['median']:.3f}",
                f"{one['added_ms']['low']:.3f} to {one['added_ms']['high']:.3f}",
                f"{one['cpu_us']:.0f}",
            )
            for name, one in proxy["rows"].items()
        ],
    )


def _render_verifications(verify: Found) -> Iterator[str]:
    yield "## Verification of an emulator whose clock cannot be moved"
    yield ""
    yield from _render_table(
        ("what", "seconds", "CPU s", "server CPU s", "requests", "runs", "rules exercised", "rules with findings"),
        [
            (
                one["title"],
                *(f"{one[name]:.1f}" for name in ("seconds", "cpu_seconds", "server_cpu_seconds")),
                f"{one['requests']:,}",
                f"{one['runs']:,}",
                f"{one['exercised']}",
                f"{len(one['findings'])}",
            )
            for one in verify["rows"]
        ],
    )
    same = "the same rules and had" if verify["same"] else "OTHER RULES, OR HAD NOT"
    yield f"One sequence at a time and several at once exercised {same} the same findings."
    yield ""


def _format_met(one: Found) -> str:
    return "met" if one["met"] else "MISSED"


def _format_verdict(one: Found) -> str:
    return (
        f"{_format_met(one)}, but disturbed: {one['by_cpu']:.3f} by CPU ratio" if one["disturbed"] else _format_met(one)
    )


def _render_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for index, row in enumerate((heads, ["-" * width for width in widths], *rows)):
        cells = [
            f"{one:<{width}}" if nth == 0 else f"{one:>{width}}"
            for nth, (one, width) in enumerate(zip(row, widths, strict=True))
        ]
        if index == 1:
            cells = [cells[0], *(f"{one[:-1]}:" if one else "" for one in cells[1:])]
        yield f"| {' | '.join(cells)} |"
    yield ""


_SECTIONS: Final = {
    "extras": _render_extras,
    "webhooks": _render_webhooks,
    "boot": _render_boot,
    "memory": _render_memory,
    "pages": _render_pages,
    "proxy": _render_proxy,
    "verify": _render_verifications,
}
"""The sections of the report by the part that was measured, in their order."""
