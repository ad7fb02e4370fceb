"""What is run: tables, figures, ablations, claims."""

import signal
import sys

if sys.argv[:1] == ["-m"]:  # a script of this package is about to import what takes seconds
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C then ends it without a traceback
