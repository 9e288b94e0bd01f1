"""`python -m zof_contracts` is `zof-contracts`; where what it needs is not installed, it says so in one line."""

import sys

try:
    from zof_contracts.cli.main import main
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] in {"zof_contracts", "zof_emulator"}:
        raise
    print(f"zof-contracts: error: {error.name} is missing; install zof-emulator[contracts]", file=sys.stderr)  # noqa: T201
    sys.exit(2)
except KeyboardInterrupt:  # loading takes a second, in which somebody may think better of it
    sys.exit(130)

if __name__ == "__main__":
    main()
