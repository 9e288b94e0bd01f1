"""Sends traffic through `zof-contracts proxy`, and compares each byte on both sides of it.

`pytest -p tests.through_proxy tests/server` runs the tests of the server with a proxy before each server. A test that
is about more than the bytes of HTTP has the marker `direct`, and is left out. `python -m tests.through_proxy PORT` puts
a proxy before a server that runs already, prints its port, and ends with SIGTERM; `scripts/fuzz` does so where
THROUGH_PROXY is set.
"""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

import pytest

from tests import served
from tests.contracts.proxy.watched import WatchedProxy

if TYPE_CHECKING:
    from collections.abc import Iterator
_SERVED: Final = pytest.StashKey[ExitStack]()


@contextmanager
def watching(port: int) -> Iterator[int]:
    """A port that leads through the proxy to another port.

    Raises:
        AssertionError: a byte changed on its way.
    """
    with WatchedProxy(port) as proxy:
        yield proxy.port
    assert not proxy.changes, "\n".join(proxy.changes)


def pytest_configure(config: pytest.Config) -> None:
    """Put a proxy before each server."""
    stack = config.stash[_SERVED] = ExitStack()
    stack.callback(setattr, served.Server, "approach", served.Server.approach)
    served.Server.approach = watching


def pytest_unconfigure(config: pytest.Config) -> None:
    """Serve without a proxy again."""
    config.stash[_SERVED].close()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests with the marker `direct`."""
    left_out = [item for item in items if item.get_closest_marker("direct") is not None]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def main() -> int:
    """Put a proxy before a port until a signal ends it; 1 if a byte changed."""
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # before there are threads, so that none of them takes the signal
    with WatchedProxy(int(sys.argv[1])) as proxy:
        sys.stdout.write(f"{proxy.port}\n")
        sys.stdout.flush()
        signal.sigwait(ends)
    sys.stdout.write(proxy.describe())
    return 1 if proxy.changes else 0


if __name__ == "__main__":
    sys.exit(main())
