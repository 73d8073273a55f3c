"""The calendars of the local stack: Google Calendar and Microsoft Graph, in a process of ours.

A vendor that the person has set up for real (its client id is in the environment) keeps their settings.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from infra.local.probe import http_status
from infra.local.process import Command
from infra.local.service import Service
from infra.local.site import CHECKOUT, Site, write_private

_CLIENT_ID = "petfolio-local"
_SECRETS = {"google": "google_calendar_client", "microsoft": "microsoft_calendar_client"}


def document(site: Site) -> Path:
    """What the servers read: 0600, because secrets are in it."""
    path = site.folder("emulators") / "calendars.json"
    registered = {
        name: {
            "client_id": _CLIENT_ID,
            "client_secret": site.secrets[secret],
            "callback": f"{site.link('api')}/api/v1/integrations/calendar/callback/{name}",
        }
        for name, secret in _SECRETS.items()
    }
    write_private(path, json.dumps(registered))
    return path


def settings(site: Site) -> Mapping[str, str]:
    """What the application is told: browsers go to `localhost`, it asks on 127.0.0.1 itself."""
    link, address = site.link("calendars"), f"http://{site.address('calendars')}"
    found = {
        "GOOGLE__CLIENT_ID": _CLIENT_ID,
        "GOOGLE__CLIENT_SECRET": site.secrets[_SECRETS["google"]],
        "GOOGLE__AUTHORIZE_URL": f"{link}/o/oauth2/v2/auth",
        "GOOGLE__TOKEN_URL": f"{address}/token",
        "GOOGLE__REVOKE_URL": f"{address}/revoke",
        "GOOGLE__API_URL": address,
        "MICROSOFT__CLIENT_ID": _CLIENT_ID,
        "MICROSOFT__CLIENT_SECRET": site.secrets[_SECRETS["microsoft"]],
        "MICROSOFT__AUTHORIZE_URL": f"{link}/common/oauth2/v2.0/authorize",
        "MICROSOFT__TOKEN_URL": f"{address}/common/oauth2/v2.0/token",
        "MICROSOFT__API_URL": address,
    }
    given = tuple(
        f"{name.upper()}__" for name in _SECRETS if f"PETFOLIO_CALENDARS__{name.upper()}__CLIENT_ID" in site.environ
    )
    ours = {f"PETFOLIO_CALENDARS__{name}": value for name, value in found.items() if not name.startswith(given)}
    # They tell us of changes over plain HTTP; the vendors themselves would refuse such an address.
    push = {} if given else {"PETFOLIO_CALENDARS__PUSH_URL": f"http://{site.address('api')}"}
    return ours | push


def _command(site: Site) -> Command:
    store = ("--store", str(site.folder("emulators") / "calendars.db"))
    registered = ("--registered", str(document(site)))
    argv = (sys.executable, "-m", "infra.local.calendars", "--port", str(site.ports["calendars"]), *store, *registered)
    return Command(argv, cwd=CHECKOUT)


SERVICE = Service(
    name="calendars",
    title="Google and Outlook calendars",
    ports=("calendars",),
    secrets=tuple(_SECRETS.values()),
    command=_command,
    ready=lambda site: http_status(site.ports["calendars"], "/healthz") == 200,
    link=lambda site: site.link("calendars"),
    settings=settings,
)
