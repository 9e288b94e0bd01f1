"""`python -m emulator` is `zof-emulator`."""

from emulator.cli import main

main()
