"""What a calendar gave us, in the form in which events are compared."""

from dataclasses import replace

from domain.calendar_form import RuleUnreadable, canonical
from domain.calendar_projection import project
from integrations.calendar.errors import UNSUPPORTED_RECURRENCE
from integrations.calendar.protocol import CalendarProvider, EventRejected, RemoteEvent


def read(found: RemoteEvent, provider: CalendarProvider) -> RemoteEvent:
    """The event in the form in which events are compared. Raises `EventRejected`."""
    try:
        return replace(found, event=project(canonical(found.event), provider.capabilities))
    except RuleUnreadable:
        raise EventRejected("the recurrence cannot be read", code=UNSUPPORTED_RECURRENCE) from None
