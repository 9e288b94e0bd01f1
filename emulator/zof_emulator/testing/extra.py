"""The extra `contracts`, whose packages `zof-contracts client` needs to judge a client."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

PACKAGES: Final = ("brotli", "h11", "httpcore", "hypothesis", "ijson", "rich", "schemathesis")
"""The packages of the extra, which are also the names of their modules."""


def describe_missing_extra() -> str:
    """A sentence that says which package of the extra is missing and how to install it; empty if none is."""
    missing = next((name for name in PACKAGES if find_spec(name) is None), "")
    return (
        f"package {missing} is not installed: pip install 'PATH/zof_emulator-VERSION.whl[contracts]'" if missing else ""
    )
