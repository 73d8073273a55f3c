"""Named places where a test may end the process, as a power cut would.

`PETFOLIO_FAILPOINT=relay_after_start:kill` sends SIGKILL to the process that reaches `failpoint("relay_after_start")`.
Unset, as everywhere but in tests of faults, a failpoint does nothing.
"""

import os
import signal


def failpoint(name: str) -> None:
    """End this process at once if the environment says so: nothing is flushed, nothing is closed."""
    wanted, _, action = os.environ.get("PETFOLIO_FAILPOINT", "").partition(":")
    if wanted == name and action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
