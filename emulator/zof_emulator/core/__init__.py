"""The pure core: rules, state and time of the emulated service; the standard library only, no clock, no chance."""
