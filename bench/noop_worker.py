"""`python -m bench.noop_worker FILE`: the worker of `bench/noop.py`; each effect is one line in FILE."""

import asyncio
import sys
from pathlib import Path

from bench.noop import serve

if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
