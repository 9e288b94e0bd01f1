"""Starts zof-emulator as a process, to compare a deployment with it."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from zof_contracts.target.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator

EMULATOR_KEYS: Final = {
    "main": "zof_test_admin",
    "readonly": "zof_test_viewer",
    "no-webhooks": "zof_test_ci",
    "other-org": "zof_test_other",
    "expired": "zof_test_expired",
    "ci": "zof_test_ci",
}
"""The keys of a new emulator by their names in `zof_contracts.target.target.KEYS`."""
_USUAL_ENVIRONMENTS: Final = frozenset({"staging", "production"})
_PATIENCE: Final = 10.0
"""Seconds to wait until the process has ended."""


class NotStarted(Exception):  # noqa: N818  a message for the user
    """The emulator could not be started; the message says why."""


@contextmanager
def start_emulator(like: Target, *, seed: int) -> Iterator[Target]:
    """Start an emulator with the references of a target; it ends with the context.

    Args:
        like: the target to compare with it. The emulator gets a key for each name of a key that the target has.
        seed: the seed of the emulator's IDs and durations.

    Raises:
        NotStarted: there is no `zof-emulator` beside the interpreter, or it ends at once.
    """
    command = Path(sys.executable).with_name("zof-emulator")
    labels = () if like.environment in _USUAL_ENVIRONMENTS else ("--environment", like.environment)
    options = ["--port", "0", "--clock", "manual", "--rate-limit", "600/60", "--quiet", "--seed", str(seed), *labels]
    try:
        process = subprocess.Popen(  # noqa: S603  the command beside the interpreter
            [command, "serve", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # an interrupt of the terminal ends it only after the runs have been canceled
        )
    except OSError as error:
        raise NotStarted(f"cannot start {command}: {error.strerror or error}; give --against") from error
    try:
        yield Target(
            url=_read_address(process, command),
            keys={name: key for name, key in EMULATOR_KEYS.items() if name in like.keys},
            project=like.project,
            environment=like.environment,
            cases=like.cases,
            suite=like.suite,
            failing_case=like.failing_case,
            error_case=like.error_case,
            profile=like.profile,
            is_strict=like.is_strict,
        )
    finally:
        process.terminate()
        try:
            process.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _read_address(process: subprocess.Popen[bytes], command: Path) -> str:
    """The address in the line that the emulator prints when it is ready."""
    line = process.stdout.readline() if process.stdout else b""
    try:
        return f"http://127.0.0.1:{int(json.loads(line)['port'])}"
    except (ValueError, KeyError, TypeError) as error:
        raise NotStarted(f"{command} serve ended without a line that says that it is ready") from error
