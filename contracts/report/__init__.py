"""Reports: how a verification went, for a person, a pipeline and other programs."""
