"""Task queues: one per resource, not per type of workflow."""

from collections.abc import Mapping
from typing import Final

CORE: Final = "core"
"""All short workflows and quick database activities; the sends, rate-limited. Nothing on it blocks the event loop."""

BILLING: Final = "billing"
"""Everything that asks Stripe."""

CALENDAR_GOOGLE: Final = "calendar-google"
CALENDAR_MICROSOFT: Final = "calendar-microsoft"
CALENDAR_CALDAV: Final = "calendar-caldav"
CALENDARS: Final[Mapping[str, str]] = {
    "google": CALENDAR_GOOGLE,
    "microsoft": CALENDAR_MICROSOFT,
    "caldav": CALENDAR_CALDAV,
}
"""By provider: the outage of one, or a leak in its SDK, is not the others'."""

MEDIA: Final = "media"
"""Looking at uploads and decoding them: it needs a core for seconds, and nobody waits for a reminder meanwhile."""

ROLES: Final[Mapping[str, tuple[str, ...]]] = {
    "core": (CORE,),
    "billing": (BILLING,),
    "calendar": tuple(CALENDARS.values()),
    "media": (MEDIA,),
}
"""The queues that a worker process of each role polls. The relay runs beside the role `core`; of the calendars' queues
a process polls those of `PETFOLIO_CALENDAR_PROVIDERS`."""

PER_SECOND: Final[Mapping[str, float]] = {BILLING: 30.0, CALENDAR_GOOGLE: 40.0, CALENDAR_MICROSOFT: 15.0}
"""Activities that all workers of a queue together begin per second. An activity makes three calls on average: Stripe
takes a hundred a second from an account, Google 10,000 a minute from an application (calendar-sync.md §5.1), Graph as
many in ten minutes from each mailbox."""

SLOTS: Final[Mapping[str, int]] = {MEDIA: 4}
"""Activities at once of a worker, where that is fewer than elsewhere: each may have a file of 200 MB on disk and a
child that decodes."""

CACHED: Final[Mapping[str, int]] = dict.fromkeys(CALENDARS.values(), 500)
"""Workflows that a worker keeps between two tasks of theirs, where that is fewer than elsewhere: a calendar sleeps for
minutes, in a run of five events. To keep it costs 60 kB, to read it again 9 ms."""
