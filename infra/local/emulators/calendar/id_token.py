"""ID tokens as both vendors shape them (OIDC Core §2). The signature is noise: they come straight from the token
endpoint, whose TLS proves the issuer (§3.1.3.7, 6), and nobody here reads it."""

import base64
import json
import secrets
import time
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from infra.local.emulators.calendar.store import Document, Provider

TENANT: Final = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""Microsoft's own, of personal accounts."""


def id_token(provider: Provider, account: str, client_id: str, seconds: int) -> str:
    """Whose consent it is, for this client. The subject is of the account and never changes."""
    subject = uuid5(NAMESPACE_URL, f"{provider}:{account}")
    claims: Document = {"aud": client_id, "iat": int(time.time()), "exp": int(time.time()) + seconds}
    if provider == "google":
        claims |= {"iss": "https://accounts.google.com", "sub": str(subject.int)[:21], "email": account}
        claims |= {"email_verified": True}
    else:
        claims |= {"iss": f"https://login.microsoftonline.com/{TENANT}/v2.0", "sub": subject.hex}
        claims |= {"tid": TENANT, "oid": str(subject), "preferred_username": account}
    parts = [json.dumps({"alg": "RS256", "kid": "local", "typ": "JWT"}), json.dumps(claims)]
    return ".".join([*(_encoded(part.encode()) for part in parts), _encoded(secrets.token_bytes(256))])


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
