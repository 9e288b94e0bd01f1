"""`zof-emulator webhooks`: follows the webhook deliveries of a running emulator in the terminal."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

import click
import orjson

from zof_emulator.server.terminal import say

if TYPE_CHECKING:
    from collections.abc import Iterator

_PAUSE: Final = 0.5
"""Seconds between two polls."""
_PATIENCE: Final = 10.0
"""Seconds that the emulator has for an answer."""
_PAGE: Final = 1_000
_OPEN: Final = frozenset({"pending", "sending"})


@click.command()
@click.option(
    "--url",
    default="http://127.0.0.1:9630",
    envvar="ZOF_EMULATOR_URL",
    show_default=True,
    show_envvar=True,
    help="Scheme and host of the emulator, with /w/NAME for a world other than the default one.",
)
@click.option("--token", default="", envvar="ZOF_EMULATOR_TOKEN", help="Token of the emulator, if it requires one.")
@click.option("--once", is_flag=True, help="Print the attempts so far, and exit.")
def webhooks(url: str, token: str, *, once: bool) -> int:
    """Follow webhook deliveries: print one line for each attempt, until Ctrl-C."""
    follower = Follower(url, token)
    while True:
        for line in follower.poll():
            say(sys.stdout, line)
        if once:
            return 0
        time.sleep(_PAUSE)


class Follower:
    """Polls the deliveries of an emulator and describes the new attempts."""

    def __init__(self, url: str, token: str) -> None:
        self._base = f"{url.rstrip('/')}/_emulator/deliveries"
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._printed: dict[int, int] = {}
        """How many attempts of each open delivery were printed; -1 after its end."""
        self._ended = 0
        """The deliveries up to this number have ended and were printed."""

    def poll(self) -> Iterator[str]:
        """A line for each attempt since the last poll.

        Raises:
            click.ClickException: no emulator answers at the URL.
        """
        after, more = self._ended, True
        while more:
            page = self._get(f"{self._base}?limit={_PAGE}&starting_after={after}")
            for delivery in page["data"]:
                yield from self._describe(delivery)
            more, after = page["has_more"], page["next_cursor"]
        while self._printed.get(self._ended + 1) == -1:
            self._ended += 1
            del self._printed[self._ended]

    def _describe(self, delivery: Any) -> Iterator[str]:  # noqa: ANN401  JSON
        number, attempts = delivery["number"], delivery["attempts"]
        before = self._printed.get(number, 0)
        if before < 0:
            return
        for index, attempt in enumerate(attempts[before:], before + 1):
            result = attempt["error"] or str(attempt["status"])
            yield (
                f"{attempt['ended_at']} {delivery['type']} {delivery['event_id']} {delivery['kind']} "
                f"attempt {index} to {delivery['request']['url']}: {result} ({delivery['status']})"
            )
        if delivery["status"] == "dropped":
            yield f"{delivery['type']} {delivery['event_id']} dropped: {delivery['note']}"
        self._printed[number] = len(attempts) if delivery["status"] in _OPEN else -1

    def _get(self, url: str) -> Any:  # noqa: ANN401  JSON
        try:
            opener = build_opener(ProxyHandler({}))
            with opener.open(Request(url, headers=self._headers), timeout=_PATIENCE) as answer:  # noqa: S310
                return orjson.loads(answer.read())
        except HTTPError as error:
            raise click.ClickException(
                f"{url} answered {error.code}; check that --url and --token are those of an emulator"
            ) from error
        except (URLError, OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise click.ClickException(f"cannot read {url}: {reason}; name the emulator with --url") from error
