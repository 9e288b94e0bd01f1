"""The control operations, under `/_emulator`: one module a resource."""
