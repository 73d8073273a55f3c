"""The CalDAV server of the local stack: Radicale with one person's account, whose calendars survive a restart."""

import sys
from http import HTTPStatus

from passlib.hash import sha512_crypt

from infra.local.probe import http_status
from infra.local.process import Command
from infra.local.service import Service
from infra.local.site import CHECKOUT, Site, write_private

USER = "milo"
PASSWORD = "caldav_password"  # noqa: S105 - the name of one
_ROUNDS = 1_000  # the password is long and random: nothing is gained by making a guess of it slow


def _prepare(site: Site) -> None:
    digest = sha512_crypt.using(rounds=_ROUNDS).hash(site.secrets[PASSWORD])
    write_private(site.folder("caldav") / "users", f"{USER}:{digest}\n")


def _command(site: Site) -> Command:
    folder = site.folder("caldav")
    stores = ("--folder", str(folder / "collections"), "--users", str(folder / "users"))
    argv = (sys.executable, "-m", "infra.local.caldav_server", "--port", str(site.ports["caldav"]), *stores)
    return Command(argv, cwd=CHECKOUT)


SERVICE = Service(
    name="caldav",
    title="Radicale (CalDAV)",
    ports=("caldav",),
    secrets=(PASSWORD,),
    prepare=_prepare,
    command=_command,
    ready=lambda site: http_status(site.ports["caldav"], "/.well-known/caldav") == HTTPStatus.MOVED_PERMANENTLY,
    link=lambda site: site.link("caldav"),
    # The adapter calls addresses that people enter, which must be public ones, under https, everywhere but here.
    settings=lambda _: {
        "PETFOLIO_CALENDARS__CALDAV__PLAIN_HTTP": "true",
        "PETFOLIO_CALENDARS__CALDAV__PRIVATE": "true",
    },
)
