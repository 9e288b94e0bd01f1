"""The search generates requests in a thread beside the test's own, during which no garbage is collected."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _garbage_stays() -> Iterator[None]:
    """Collect no garbage during a test.

    Python 3.11 raises `SystemError` where a collection in the middle of `ast.parse` lets another thread call it too.
    """
    gc.disable()
    yield
    gc.enable()
