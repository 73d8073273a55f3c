"""One `vdirsyncer sync` that says how long it took without the start of its process: everything is imported first."""

import sys
import time

from vdirsyncer.cli import app, config, discover, tasks, utils
from vdirsyncer.storage import dav

WARM = (config, discover, tasks, utils, dav)
"""What the command would import on its way."""


def main() -> None:
    """The command of the arguments, then its seconds, and its seconds of CPU."""
    started, used = time.perf_counter(), time.process_time()
    app(sys.argv[1:], standalone_mode=False)
    print(time.perf_counter() - started, time.process_time() - used)


if __name__ == "__main__":
    main()
