"""Realistic people, pets, diaries and reminders. What they are is drawn from a seed, so one number is one data set."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

_ZONES = ("Europe/Berlin", "Europe/London", "America/New_York", "America/Vancouver", "Asia/Tokyo", "Australia/Sydney")
FIRST = ("Alex", "Amara", "Björn", "Chiara", "Dmitri", "Elif", "Fatima", "Jonas", "Keiko", "Lucía", "Noor", "Zoë")
LAST = ("Andersen", "Becker", "Costa", "Dubois", "Evans", "García", "Haddad", "Ivanova", "Kowalski", "Müller", "Sato")
_VETS = ("Dr. Weber", "Dr. Okafor", "Dr. Lindqvist", "Dr. Patel")


@dataclass(frozen=True, slots=True)
class Species:
    """What is usual for a kind of animal: weights in kilograms, reminders as (title, rule, hour)."""

    name: str
    names: tuple[str, ...]
    breeds: tuple[str, ...]
    weights: tuple[float, float]
    reminders: tuple[tuple[str, dict[str, object], int], ...]


_DAILY: dict[str, object] = {"freq": "DAILY"}
_WEEKLY: dict[str, object] = {"freq": "WEEKLY"}
_MONTHLY: dict[str, object] = {"freq": "MONTHLY"}
_YEARLY: dict[str, object] = {"freq": "YEARLY"}
_SHOTS = ("Vaccination", _YEARLY, 9)
_SPECIES: tuple[tuple[Species, int], ...] = (
    (
        Species(
            "dog",
            ("Balu", "Bella", "Luna", "Rocky", "Fenja"),
            ("Labrador Retriever", "Dachshund", "Border Collie", "mixed"),
            (4.0, 42.0),
            (("Heartworm tablet", _MONTHLY, 8), ("Tick collar", {"freq": "MONTHLY", "interval": 3}, 18), _SHOTS),
        ),
        45,
    ),
    (
        Species(
            "cat",
            ("Milo", "Simba", "Cleo", "Nala", "Findus"),
            ("European Shorthair", "Maine Coon", "Siamese", "mixed"),
            (2.5, 8.0),
            (("Thyroid tablet", _DAILY, 7), ("Flea drops", _MONTHLY, 19), _SHOTS),
        ),
        35,
    ),
    (
        Species(
            "rabbit",
            ("Hoppel", "Clover", "Pip"),
            ("Netherland Dwarf", "Lop"),
            (1.0, 3.5),
            (("Trim nails", {"freq": "WEEKLY", "interval": 6}, 17), _SHOTS),
        ),
        10,
    ),
    (
        Species("budgerigar", ("Kiwi", "Coco"), ("budgerigar",), (0.03, 0.045), (("Clean the cage", _WEEKLY, 10),)),
        5,
    ),
    (
        Species(
            "horse",
            ("Stella", "Fuchur"),
            ("Icelandic Horse", "Haflinger"),
            (350.0, 560.0),
            (("Farrier", {"freq": "WEEKLY", "interval": 8}, 14), ("Worming", {"freq": "MONTHLY", "interval": 4}, 9)),
        ),
        5,
    ),
)
PETS: tuple[str, ...] = tuple(name for kind, _ in _SPECIES for name in kind.names)


@dataclass(frozen=True, slots=True)
class SeedPet:
    """One animal as the bodies of the requests that make it."""

    pet: dict[str, Any]
    records: Sequence[dict[str, Any]]
    reminders: Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class SeedPerson:
    """Somebody with one to three animals."""

    first_name: str
    last_name: str
    timezone: str
    pets: Sequence[SeedPet]


def person(number: int, today: date) -> SeedPerson:
    """The `number`th person; the same one every time."""
    draw = random.Random(number)  # noqa: S311 (sample data)
    timezone = draw.choice(_ZONES)
    pets = [_pet(draw, today, timezone) for _ in range(draw.choice((1, 1, 1, 2, 2)))]
    return SeedPerson(draw.choice(FIRST), draw.choice(LAST), timezone, pets)


def _pet(draw: random.Random, today: date, timezone: str) -> SeedPet:
    kinds, weights = zip(*_SPECIES, strict=True)
    kind: Species = draw.choices(kinds, weights)[0]
    born = today - timedelta(days=draw.randrange(120, 14 * 365))
    pet = {
        "name": draw.choice(kind.names),
        "species": kind.name,
        "breed": draw.choice(kind.breeds),
        "date_of_birth": born.isoformat(),
        "weight_kg": round(draw.uniform(*kind.weights), 2),
    }
    chosen = draw.sample(kind.reminders, draw.randint(1, len(kind.reminders)))
    return SeedPet(pet, _records(draw, born, today), [_reminder(draw, today, timezone, *item) for item in chosen])


def _records(draw: random.Random, born: date, today: date) -> list[dict[str, Any]]:
    age = (today - born).days
    kinds = (
        ("vaccination", "Annual booster", 62.0),
        ("visit", "Check-up", 45.5),
        ("dental", "Teeth cleaned", 180.0),
        ("lab", "Blood count", 38.9),
        ("parasite", "Worming", 14.9),
    )
    records = []
    for record_type, title, cost in draw.choices(kinds, k=min(1 + age // 200, 12)):
        on = born + timedelta(days=draw.randrange(60, age))
        record = {"record_type": record_type, "title": title, "date_administered": on.isoformat()}
        records.append(record | {"veterinarian": draw.choice(_VETS), "cost": cost, "currency": "EUR"})
    return sorted(records, key=lambda record: str(record["date_administered"]))


def _reminder(
    draw: random.Random, today: date, timezone: str, title: str, rule: dict[str, object], hour: int
) -> dict[str, Any]:
    first = datetime(today.year, today.month, today.day, hour, draw.choice((0, 15, 30))) + timedelta(  # noqa: DTZ001
        days=draw.randrange(1, 60)
    )
    schedule = {"mode": "fixed", "dtstart_local": first.isoformat(), "tzid": timezone, **rule}
    return {"title": title, "schedule": schedule, "notification_methods": ["email"]}
