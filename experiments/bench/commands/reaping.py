"""Run a command, and wait for every process that it leaves behind before ending with its status.

A server that workers are forked from ends after the command that started it. Nobody would wait for
it, and neither its seconds nor its workers' would count for whoever asks for those of its children.
"""

import ctypes
import os
import subprocess
import sys
from collections.abc import Sequence

PR_SET_CHILD_SUBREAPER = 36
"""Linux's prctl: orphans among this process's descendants become its children."""


def main(command: Sequence[str]) -> int:
    """The command's exit status, once it and all its descendants have ended."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    status = subprocess.run(command, check=False).returncode
    try:
        while True:
            os.wait()
    except ChildProcessError:
        return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
