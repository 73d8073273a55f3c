"""Python's garbage collector, told about long-lived processes."""

import gc

NEW_OBJECTS = 20_000
"""New containers before a look at the youngest; a request or an activity makes hundreds, nearly all freed at once."""


def spare_what_lives_on(*, new_objects: int = NEW_OBJECTS, seldom: int = 20) -> None:
    """Call when start-up is done: what it made lives as long as the process, and is not looked through again.

    Otherwise, and with the default thresholds, collecting is a fifth of the CPU time of a small GET. `new_objects`: how
    many make a look at the youngest; `seldom`: how many looks at one generation make one at the next.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(new_objects, seldom, seldom)
