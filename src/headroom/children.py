"""Child processes that do not outlive their parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

#: ``prctl(PR_SET_PDEATHSIG, signal)`` of Linux.
_PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Have the kernel end this process with process ``parent``, even where it hangs or computes for long.

    Elsewhere than on Linux nothing happens: the end of standard input still tells.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)  # it was gone before it could be asked for
