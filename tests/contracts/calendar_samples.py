"""Events that every calendar must hold as they are, by what is special about them."""

from dataclasses import replace
from datetime import date, datetime, timedelta

from domain.calendar import Event, Override, Status, When


def at(text: str) -> datetime:
    """A wall time."""
    return datetime.fromisoformat(text)


def timed(start: str, tzid: str = "Europe/Berlin", *, minutes: int = 30, rrule: str | None = None) -> When:
    """A time on the clock of a zone."""
    return When(at(start), at(start) + timedelta(minutes=minutes), tzid, rrule)


def days(first: str, count: int = 1, rrule: str | None = None) -> When:
    """Whole days."""
    return When(date.fromisoformat(first), date.fromisoformat(first) + timedelta(days=count), None, rrule)


def moved(original: str, start: str, title: str, *, minutes: int = 30, notes: str = "") -> Override:
    """An occurrence at another time, with other words."""
    return Override(at(original), at(start), at(start) + timedelta(minutes=minutes), title, notes)


VET = Event("Vet: Milo", timed("2027-03-02T09:30"), notes="Bring the pass.\nAnd the cat.", location="Main Street 5")
WEEKLY = Event(
    "Training",
    timed("2027-03-01T17:00", rrule="FREQ=WEEKLY;COUNT=20;BYDAY=MO,TH"),
    exdates=(at("2027-03-08T17:00"), at("2027-04-01T17:00")),
    overrides=(
        moved("2027-03-04T17:00", "2027-03-05T18:00", "Training, later", notes="Only once"),
        moved("2027-03-11T17:00", "2027-03-11T17:00", "Training with Bo", minutes=90),
    ),
)

SINGLE: dict[str, Event] = {
    "plain": VET,
    "bare": Event("Vet", timed("2027-03-02T09:30")),
    "letters": replace(VET, title="Läufe, Bäder; und 🐈 \\n", notes='Sie sagte: "x;y,z"\\\n\nß 🐶 ' + "ä" * 400),
    "utc": Event("Call", timed("2027-07-01T12:00", "UTC")),
    "new-york": Event("Call", timed("2027-07-01T12:00", "America/New_York")),
    "night": Event("Night watch", timed("2027-03-27T22:00", minutes=8 * 60)),
    "alarm": replace(VET, alarms=(30,)),
    "tentative": replace(VET, status=Status.TENTATIVE),
    "one-day": Event("Birthday of Milo", days("2027-05-05")),
    "many-days": Event("Holiday", days("2027-05-05", 4)),
}
SERIES: dict[str, Event] = {
    "weekly": WEEKLY,
    "daily-until": Event("Tablet", timed("2027-01-01T08:00", rrule="FREQ=DAILY;UNTIL=20270110T225959Z")),
    "every-third-day": Event("Tablet", timed("2027-01-01T08:00", rrule="FREQ=DAILY;INTERVAL=3")),
    "third-saturday": Event("Club", timed("2027-01-16T10:00", rrule="FREQ=MONTHLY;BYDAY=3SA")),
    "fifth-of-month": Event("Worm cure", days("2027-01-05", rrule="FREQ=MONTHLY;COUNT=6")),
    "yearly": Event("Birthday", days("2027-05-05", rrule="FREQ=YEARLY")),
    "days-without-one": Event(
        "Bath", days("2027-01-01", rrule="FREQ=WEEKLY"), exdates=(date(2027, 1, 8), date(2027, 1, 15))
    ),
    "across-dst-berlin": Event("Walk", timed("2027-03-21T07:00", rrule="FREQ=WEEKLY;COUNT=60")),
    "across-dst-lord-howe": Event("Walk", timed("2027-03-28T07:00", "Australia/Lord_Howe", rrule="FREQ=WEEKLY")),
    "moved-in-summer": Event(
        "Walk",
        timed("2027-03-21T07:00", rrule="FREQ=WEEKLY;COUNT=10"),
        overrides=(moved("2027-03-28T07:00", "2027-03-28T09:00", "Walk"),),
    ),
}
SAMPLES = SINGLE | SERIES
