"""The control operations, under `/_emulator`: one module for each resource."""
