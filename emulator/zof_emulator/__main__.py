"""`python -m zof_emulator` is `zof-emulator`."""

from zof_emulator.cli.main import main

main()
