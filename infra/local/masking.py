"""A copy of the database that may leave production: everything personal is made up, everything else is as it is.

The copy is a folder: `database.sql` (schema and rows, for `psql`) and `keys/` (a master key and secrets of its own).
Made-up values are sealed under those keys, so the copy works like the original: people sign in with the address
`person-<id>@example.test` and the password `PASSWORD`. No key, token, session or blind index of the original is in it.

Each personal column has a rule here; a test walks the tables and fails for one without.
"""

import base64
import hashlib
import hmac
import os
import random
import subprocess
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import unquote, urlsplit
from uuid import UUID

import asyncpg
from sqlalchemy import Table

from api.passwords import Passwords
from core.crypto import FieldCipher, Subject, WrappedKey
from domain.password import normalize_password
from infra.local.errors import StackError
from infra.local.seed import FIRST, LAST, PETS
from integrations.keys.file import FileKeyProvider, FileSecretStore
from integrations.keys.secrets import ApplicationSecrets, ensure_secrets, load_secrets
from integrations.keys.store import KeyStore
from models.tables import metadata

PASSWORD: Final = "petfolio masked copy"  # noqa: S105 - of made-up accounts
NULL: Final = "\\N"
_KEYS: Final = "user_keys"

LEFT_OUT: Final = frozenset(
    # What lets somebody in, and what only means something to the processes that wrote it.
    "sessions retired_refresh device_cookies login_throttle mail_tokens auth_challenges mfa_totp mfa_recovery_codes "
    "webauthn_credentials auth_identities email_changes idempotency_keys outbox webhook_events devices ics_feeds "
    "mail_suppressions grant_access_log audit_seals audit_verifications "
    "calendar_connections calendar_links event_links calendar_inbox_items calendar_conflicts "
    "billing_customers stripe_events billing_snapshots billing_operations checkout_intents billing_charges refunds "
    "disputes ledger_entries billing_drift billing_watermarks".split()
)
"""Tables whose rows are not copied."""

Row = Mapping[str, str]
"""A row in the text form of COPY, by column."""
Rule = Callable[["Masker", Row], Awaitable[str]]
"""What stands in the copy, in the text form of COPY. Asked only where the original has a value."""


class MaskingKeys:
    """The `user_keys` of the copy (`integrations.keys.store.KeyRows`), kept until they are written into it."""

    def __init__(self) -> None:
        self.rows: dict[str, WrappedKey] = {}

    async def newest(self, subject: Subject) -> WrappedKey | None:
        """See `KeyRows`."""
        return await self.find(f"{subject}:1")

    async def find(self, kid: str) -> WrappedKey | None:
        """See `KeyRows`."""
        return self.rows.get(kid)

    async def insert(self, key: WrappedKey) -> bool:
        """See `KeyRows`."""
        return self.rows.setdefault(key.kid, key) is key


@dataclass(frozen=True, slots=True)
class Masker:
    """Makes things up, the same for the same row, under the keys of the copy."""

    store: KeyStore
    keys: MaskingKeys
    cipher: FieldCipher
    secrets: ApplicationSecrets
    password_hash: str

    def dice(self, *about: str) -> random.Random:
        """Chance that is the same for the same row, and in no other copy."""
        return random.Random(hmac.digest(self.secrets.derive("masking"), "|".join(about).encode(), hashlib.sha256))  # noqa: S311

    async def seal(self, sealed: str, column: str, row_id: str, text: str) -> str:
        """`text` as the column would hold it, under the key of whoever owns the original `sealed`."""
        subject = Subject.parse(sealed.split(".")[1].rpartition(":")[0])
        if f"{subject}:1" not in self.keys.rows:
            await self.store.create(subject)
        return await self.cipher.seal(subject, column, UUID(row_id), text)

    def index(self, purpose: str, text: str) -> str:
        """A blind index of the copy, as `bytea`."""
        return _bytes(hmac.digest(self.secrets.derive(purpose), text.encode(), hashlib.sha256))


def address(row_id: str) -> str:
    """The made-up address of an account."""
    return f"person-{row_id}@example.test"


def _sealed(column: str, make: Callable[[Masker, Row], str], row_id: str = "id") -> Rule:
    """A ciphertext of something made up. `row_id` names the column whose value the ciphertext is bound to."""
    name = column.partition(".")[2]

    async def rule(masker: Masker, row: Row) -> str:
        return await masker.seal(row[name], column, row[row_id], make(masker, row))

    return rule


def _always(value: str) -> Rule:
    async def rule(_: Masker, __: Row) -> str:
        return value

    return rule


def _indexed(purpose: str, make: Callable[[Masker, Row], str]) -> Rule:
    async def rule(masker: Masker, row: Row) -> str:
        return masker.index(purpose, make(masker, row))

    return rule


async def _password(masker: Masker, _: Row) -> str:
    return masker.password_hash


def _one_of(names: Iterable[str], about: str) -> Callable[[Masker, Row], str]:
    choice = tuple(names)
    return lambda masker, row: masker.dice(about, row["id"]).choice(choice)


def _words(what: str) -> Callable[[Masker, Row], str]:
    """A text that says what it stands for."""
    return lambda masker, row: f"{what} {masker.dice(what, row['id']).randrange(10_000):04}"


def _taken(masker: Masker, row: Row) -> str:
    return f"2024-01-{masker.dice('taken', row['id']).randrange(1, 29):02}T12:00:00"


def _chip(masker: Masker, row: Row) -> str:
    return f"999{masker.dice('chip', row['id']).randrange(10**12):012}"


async def _tag_code(masker: Masker, row: Row) -> str:
    """As `api/tags.py` makes them: the original opens the public page of the original."""
    return base64.b32encode(masker.dice("tag", row["id"]).randbytes(10)).decode()


def _address(_: Masker, row: Row) -> str:
    return address(row["id"])


def _phone(masker: Masker, row: Row) -> str:
    return f"+1555010{masker.dice('phone', row['id']).randrange(10_000):04}"


_SEALED: Final[Mapping[str, Callable[[Masker, Row], str]]] = {
    "users.email_ct": _address,
    "users.first_name_ct": _one_of(FIRST, "first"),
    "users.last_name_ct": _one_of(LAST, "last"),
    "users.phone_ct": _phone,
    "households.name_ct": _words("Household"),
    "invitations.email_ct": _address,
    "pet_transfers.email_ct": _address,
    "grants.label_ct": _words("Grant"),
    "grants.email_ct": _address,
    "break_glass.reason_ct": _words("Reason"),
    "pets.name_ct": _one_of(PETS, "pet"),
    "microchips.code_ct": _chip,
    "microchips.code_as_entered_ct": _chip,
    "health_records.title_ct": _words("Record"),
    "health_records.description_ct": _words("Description"),
    "health_records.veterinarian_ct": _words("Dr."),
    "reminders.title_ct": _words("Reminder"),
    "reminders.description_ct": _words("Description"),
    "media_links.name_ct": _words("File"),
    "media_assets.captured_at_ct": _taken,
    "appointments.title_ct": _words("Appointment"),
    "appointments.notes_ct": _words("Notes"),
    "appointments.location_ct": _words("Place"),
    "appointment_overrides.title_ct": _words("Appointment"),
    "appointment_overrides.notes_ct": _words("Notes"),
    "appointment_overrides.location_ct": _words("Place"),
    "deliveries.params_ct": lambda _, __: "{}",
    "pet_tags.note_ct": _words("Note"),
    "pet_tags.care_note_ct": _words("Note"),
    "lost_cases.note_ct": _words("Note"),
    "sightings.message_ct": _words("Message"),
    "sightings.place_ct": _words("Place"),
    "sightings.contact_ct": _words("Contact"),
}
RULES: Final[Mapping[str, Rule]] = {
    **{column: _sealed(column, make) for column, make in _SEALED.items()},
    # Bound to the occurrence, of which there is one dose.
    "doses.override_reason_ct": _sealed("doses.override_reason_ct", _words("Reason"), "occurrence_id"),
    "users.email_bidx": _indexed("email-index", _address),
    "users.password_hash": _password,
    "invitations.email_bidx": _indexed("email-index", _address),
    "invitations.token_hash": _always(NULL),
    "pet_transfers.email_bidx": _indexed("email-index", _address),
    "microchips.code_bidx": _indexed("microchip-index", _chip),
    "pets.external_photo_url": _always(NULL),
    "health_records.attachments": _always("[]"),
    "grants.email_bidx": _indexed("email-index", _address),
    "grants.token_ct": _always(NULL),
    "grants.token_hash": _always(NULL),
    "pet_tags.code": _tag_code,
    "consents.ip_trunc": _always(NULL),
    "audit_log.ip_hmac": _always(NULL),
    # Its table is left out.
    "delivery_events.device_id": _always(NULL),
}
"""By `table.column`; what has no rule is copied as it is."""


async def dump_masked(source: str, folder: Path, pg_dump: Path, told: Callable[[str, int], None]) -> None:
    """Write the copy of the database behind `source` into `folder`, which must not exist. `told` hears of each table
    and its rows. Raises `StackError`, and what Postgres raises. One snapshot; rows are never all in memory."""
    folder.mkdir(mode=0o700)  # noqa: ASYNC240 - a command: nothing else waits
    masker = await _masker(folder / "keys")
    connection = await asyncpg.connect(source)
    try:
        with (folder / "database.sql").open("xb") as out:
            (folder / "database.sql").chmod(0o600)
            out.write(_schema(pg_dump, source, "pre-data"))
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                for table in metadata.sorted_tables:
                    if table.name not in LEFT_OUT | {_KEYS}:
                        told(table.name, await _copy(connection, masker, table, out))
            _write_keys(masker.keys, out)
            out.write(_schema(pg_dump, source, "post-data"))
    finally:
        await connection.close()


async def _masker(directory: Path) -> Masker:
    secret_store = FileSecretStore(directory)
    await ensure_secrets(secret_store)
    keys = MaskingKeys()
    store = KeyStore(FileKeyProvider(directory), keys)
    await store.create(Subject("system"))
    with closing(Passwords(workers=1, queue=1)) as passwords:
        password_hash = await passwords.hash(normalize_password(PASSWORD))
    return Masker(store, keys, FieldCipher(store), await load_secrets(secret_store), password_hash)


async def _copy(connection: asyncpg.Connection, masker: Masker, table: Table, out: BinaryIO) -> int:
    """The rows of one table, masked as they stream through; answers how many."""
    columns = [column.name for column in table.columns]
    names = ", ".join(f'"{name}"' for name in columns)
    out.write(f"COPY public.{table.name} ({names}) FROM stdin;\n".encode())
    rules = {name: RULES[f"{table.name}.{name}"] for name in columns if f"{table.name}.{name}" in RULES}
    rest, rows = b"", 0

    async def mask(data: bytes) -> None:
        nonlocal rest, rows
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            row = dict(zip(columns, line.decode().split("\t"), strict=True))
            masked = {name: await rules[name](masker, row) for name in rules if row[name] != NULL}
            out.write("\t".join((row | masked).values()).encode() + b"\n")
        rows += len(lines)

    await connection.copy_from_query(f"SELECT {names} FROM {table.name}", output=mask)  # noqa: S608 - our own names
    out.write(b"\\.\n\n")
    return rows


def _write_keys(keys: MaskingKeys, out: BinaryIO) -> None:
    out.write(
        f"COPY public.{_KEYS} (kid, owner_kind, owner_id, key_version, wrapped_dek, kek_id) FROM stdin;\n".encode()
    )
    for key in keys.rows.values():
        owner = NULL if key.subject.id is None else str(key.subject.id)
        wrapped = NULL if key.wrapped is None else _bytes(key.wrapped)
        values = (key.kid, key.subject.kind, owner, str(key.version), wrapped, key.kek_id)
        out.write("\t".join(values).encode() + b"\n")
    out.write(b"\\.\n\n")


def _schema(pg_dump: Path, source: str, section: str) -> bytes:
    """One section of the schema, as pg_dump writes it. The password goes by environment: arguments are seen by all."""
    parts = urlsplit(source)
    bare = parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", "@")).geturl()
    run = subprocess.run(
        [str(pg_dump), "--schema-only", "--no-owner", f"--section={section}", "--schema=public", "--dbname", bare],
        env={**os.environ, "PGPASSWORD": unquote(parts.password or "")},
        capture_output=True,
        check=False,
    )
    if run.returncode:
        raise StackError(f"pg_dump failed: {run.stderr.decode().strip()[-300:]}")
    return run.stdout


def _bytes(value: bytes) -> str:
    """`bytea` in the text form of COPY, where a backslash is doubled."""
    return f"\\\\x{value.hex()}"
