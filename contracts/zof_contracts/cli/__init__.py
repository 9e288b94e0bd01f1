"""The command line of the harness: commands, options and the configuration file."""
