"""`python -m zof_contracts` is the command `zof-contracts`."""

import sys

try:
    from zof_contracts.cli.main import main
except KeyboardInterrupt:  # Ctrl-C while the modules load
    sys.exit(130)

if __name__ == "__main__":
    main()
