"""`python -m contracts` is `zof-contracts`."""

from contracts.cli import main

if __name__ == "__main__":
    main()
