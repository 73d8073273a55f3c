"""The emulators of all sign-in providers, from the document that the launcher wrote."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from infra.local.emulators.apple import AppleApp
from infra.local.emulators.facebook import FacebookApp
from infra.local.emulators.google import GoogleApp
from infra.local.emulators.sign_in import App, SignInApp


def open_apps(document: Path) -> Iterator[tuple[int, SignInApp]]:
    """(port, application) of each; what they keep lies beside the document."""
    registered: Mapping[str, Mapping[str, Any]] = json.loads(document.read_text())
    folder = document.parent
    for name, about in registered.items():
        app = App(about["client_id"], about["client_secret"], about["callback"])
        origin = f"http://localhost:{about['port']}"  # issuers are compared as strings
        more = about.get("more", {})
        match name:
            case "google":
                yield about["port"], GoogleApp(origin, app, folder, name)
            case "apple":
                yield about["port"], AppleApp(origin, app, folder, **more)
            case "facebook":
                yield about["port"], FacebookApp(origin, app, folder, **more)
