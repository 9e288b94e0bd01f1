"""The catalogue of mutants, and how one is deployed.

`MUTANTS["key-ignored"]` is a deployment with one planted defect, `target(mutant, seed=1)` what the harness is pointed
at. They were written from the contract, without a look at what finds them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from zof_contracts.target.target import Target
from zof_emulator import Settings, create_app
from zof_emulator.core.tenants import DEFAULT, Key

from tests.mutants import access, conventions, deployments, outcomes, promises, runs, starts, webhooks
from tests.mutants.layer import Mutant
from tests.receivers import PATIENCE

if TYPE_CHECKING:
    from zof_contracts.target.transport import App

MUTANTS: Final = {
    mutant.name: mutant
    for part in (conventions, access, promises, runs, starts, outcomes, deployments, webhooks)
    for mutant in part.ALL
}
"""All mutants by name."""

HEALTHY: Final = Mutant(name="healthy", rule="")
"""The emulator as it is."""

_KEYS: Final = {
    "main": "zof_test_admin",
    "readonly": "zof_test_viewer",
    "no-webhooks": "zof_test_ci",
    "no-projects": "zof_test_creates",
    "other-org": "zof_test_other",
    "expired": "zof_test_expired",
    "ci": "zof_test_ci",
}
_DATA: Final = replace(
    DEFAULT,
    keys=(*DEFAULT.keys, Key("zof_test_creates", "org_abc", frozenset({"runs:create"}), "starts runs, and no more")),
)


def target(mutant: Mutant = HEALTHY, *, seed: int = 0, **settings: Any) -> Target:  # noqa: ANN401
    """A new deployment of a mutant, in process, with a movable clock and all keys."""
    chosen = Settings(**{"clock": "manual", "seed": seed, **settings, **mutant.settings})
    app: Any = create_app(chosen, data=_DATA)
    hosted = app.hosted
    if mutant.compose:
        app.deliveries.compose = mutant.compose(app.deliveries.compose)
    if mutant.world:
        mutant.world(hosted.world)

    def advance(milliseconds: int) -> None:
        # As in the control operation, the attempts in progress end first, so that retries are due at the same instants.
        with app.deliveries.lock:
            idle = app.deliveries.when_idle(hosted)
        idle.result(PATIENCE)
        with app.deliveries.lock:
            hosted.world.move_to(hosted.world.now + milliseconds)

    over: App = mutant.over(app)
    return Target(
        app=over,
        keys=_KEYS,
        failing_case="tc_pay_fail_001",
        error_case="tc_platform_error_001",
        quota=True,
        is_strict=mutant.rule.startswith(("versioning.", "limits.default")),
        advance=advance,
    )
