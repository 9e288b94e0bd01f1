"""Settings of Hypothesis for every test: no deadline, and a failure prints how to reproduce it."""

import os

from hypothesis import settings

settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("ci", settings.get_profile("default"), database=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")
