"""The pure core: rules, state and time of the emulated service. It reads no clock, no random numbers and no files."""
