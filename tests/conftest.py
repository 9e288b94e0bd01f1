"""What every test begins with: settings of Hypothesis (no deadline, a failure says how to repeat it), and Ctrl-C."""

import os
import signal

from hypothesis import settings

settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("ci", settings.get_profile("default"), database=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

# A background job of a shell ignores SIGINT, and a test that sends it would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
