"""The sign-in providers of the local stack: how the platform is registered at each, and where each one is.

They run in the process of `launchers/aws.py`. One that the person has set up for real (its client id is in the
environment) keeps their settings.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from infra.local.site import Site, write_private

PORTS = ("google", "apple", "facebook")
SECRETS = ("google_client", "facebook_client")
_CLIENT_ID = "petfolio-local"
_TEAM, _KEY = "LOCALTEAM1", "LOCALKEY01"


def document(site: Site) -> Path:
    """What the emulators read: 0600, because secrets are in it."""
    hooks = f"http://{site.address('api')}/api/v1/webhooks"
    more = {
        "apple": {"team_id": _TEAM, "key_id": _KEY, "notices": f"{hooks}/apple"},
        "facebook": {"deletions": f"{hooks}/facebook/data-deletion"},
    }
    client_secrets = {
        "google": site.secrets["google_client"],
        "apple": _apple_key(site, public=True),
        "facebook": site.secrets["facebook_client"],
    }
    registered = {
        name: {
            "port": site.ports[name],
            "client_id": _CLIENT_ID,
            "client_secret": client_secrets[name],
            "callback": f"{site.link('api')}/api/v1/auth/oauth/{name}/callback",
            "more": more.get(name, {}),
        }
        for name in PORTS
    }
    path = site.folder("sign_in") / "registered.json"
    write_private(path, json.dumps(registered))
    return path


def settings(site: Site) -> Mapping[str, str]:
    """What the api is told: browsers go to `localhost`, it asks on 127.0.0.1 itself."""
    links, addresses = ({name: of(name) for name in PORTS} for of in (site.link, site.address))
    graph = f"http://{addresses['facebook']}/v24.0"
    found = {
        "GOOGLE__CLIENT_ID": _CLIENT_ID,
        "GOOGLE__CLIENT_SECRET": site.secrets["google_client"],
        "GOOGLE__ISSUER": links["google"],
        "GOOGLE__AUTHORIZE_URL": f"{links['google']}/authorize",
        "GOOGLE__TOKEN_URL": f"http://{addresses['google']}/token",
        "GOOGLE__JWKS_URL": f"http://{addresses['google']}/jwks",
        "APPLE__CLIENT_ID": _CLIENT_ID,
        "APPLE__TEAM_ID": _TEAM,
        "APPLE__KEY_ID": _KEY,
        "APPLE__PRIVATE_KEY": _apple_key(site, public=False).replace("\n", "\\n"),
        "APPLE__ISSUER": links["apple"],
        "APPLE__AUTHORIZE_URL": f"{links['apple']}/auth/authorize",
        "APPLE__TOKEN_URL": f"http://{addresses['apple']}/auth/token",
        "APPLE__REVOKE_URL": f"http://{addresses['apple']}/auth/revoke",
        "APPLE__JWKS_URL": f"http://{addresses['apple']}/auth/keys",
        "FACEBOOK__CLIENT_ID": _CLIENT_ID,
        "FACEBOOK__CLIENT_SECRET": site.secrets["facebook_client"],
        "FACEBOOK__ISSUER": links["facebook"],
        "FACEBOOK__AUTHORIZE_URL": f"{links['facebook']}/v24.0/dialog/oauth",
        "FACEBOOK__GRAPH_URL": graph,
    }
    given = tuple(f"{name.upper()}__" for name in PORTS if f"PETFOLIO_{name.upper()}__CLIENT_ID" in site.environ)
    return {f"PETFOLIO_{name}": value for name, value in found.items() if not name.startswith(given)}


def _apple_key(site: Site, *, public: bool) -> str:
    """The key that client secrets are signed with, made on first use; or its public half."""
    path = site.folder("sign_in") / "apple-client.pem"
    if not path.exists():
        made = ec.generate_private_key(ec.SECP256R1())
        write_private(path, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())
    private = path.read_text()
    if not public:
        return private
    key = load_pem_private_key(private.encode(), None).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
