# SPDX-License-Identifier: LGPL-2.1-or-later
"""A forked process does not outlive the one that waits for it.

Source: prctl(2), PR_SET_PDEATHSIG.
"""

import ctypes
import os
import signal

_SET_PARENT_DEATH_SIGNAL = 1


def die_with_parent(parent: int) -> None:
    """Let the kernel kill this process when the thread that forked it ends.

    `parent` is the process id of that one, which may have died already. Raises OSError.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
