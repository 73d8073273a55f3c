"""One owner per folder: an advisory lock that the kernel releases when its holder dies, however it dies."""

import fcntl
import os
from pathlib import Path


def try_lock(path: Path) -> int | None:
    """Lock this file without waiting; the open descriptor is the lock. None when somebody else holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # A holder who has just left may have removed the file: a lock on a name that is gone protects nothing.
        if os.stat(path).st_ino == os.fstat(descriptor).st_ino:
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock now."""
    if not path.exists():
        return False
    descriptor = try_lock(path)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False
