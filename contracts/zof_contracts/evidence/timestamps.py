"""Timestamps of JSON bodies."""

from __future__ import annotations

from datetime import datetime


def parse_timestamp(value: object) -> float | None:
    """The Unix seconds of an RFC 3339 timestamp; None if the value is not one."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo else None
