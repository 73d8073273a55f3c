"""Certificates by their address: fetched within bounds, kept for a day."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from core.errors import PetfolioError, Unavailable

KEPT: Final = timedelta(days=1)
PAUSE: Final = timedelta(seconds=5)
"""After an address that gave nothing: made-up addresses must not make us ask somebody else's server all the time. One
that has given a certificate before is always asked again."""
_SLOWEST: Final = 5.0
_LARGEST: Final = 16 * 1024
_MOST: Final = 8
_SHORTEST_KEY: Final = 2048


class CertificateUnusable(PetfolioError):
    """What lies there is no certificate that anything could be checked with now."""

    code = "certificate_unusable"
    http_status = 502


class CertificateAway(Unavailable):
    """503: it cannot be had now."""

    code = "certificate_unavailable"

    def __init__(self) -> None:
        super().__init__("temporarily unavailable, try again", retry_after=int(PAUSE.total_seconds()))


@dataclass(frozen=True, slots=True)
class _Known:
    key: RSAPublicKey
    valid_from: datetime
    valid_until: datetime
    kept_until: datetime


class Certificates:
    """Public keys by address. One fetch at a time."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._known: dict[str, _Known] = {}
        self._lock = asyncio.Lock()
        self._closed_until: datetime | None = None

    async def key(self, url: str, now: datetime) -> RSAPublicKey:
        """The key of the certificate at `url`. Raises `CertificateUnusable` and `CertificateAway`."""
        async with self._lock:
            known = self._known.get(url)
            if known is None or known.kept_until <= now:
                known = await self._learn(url, now)
        if not known.valid_from <= now <= known.valid_until:
            raise CertificateUnusable("the certificate is not valid now")
        return known.key

    async def _learn(self, url: str, now: datetime) -> _Known:
        if url not in self._known and self._closed_until is not None and now < self._closed_until:
            raise CertificateAway
        self._closed_until = now + PAUSE  # unless it works
        known = _read(await self._fetch(url), now)
        self._closed_until = None
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[url] = known
        return known

    async def _fetch(self, url: str) -> bytes:
        found = bytearray()
        try:
            async with asyncio.timeout(_SLOWEST), self._http.stream("GET", url) as answer:
                if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
                    raise CertificateAway
                if answer.status_code != httpx.codes.OK:
                    raise CertificateUnusable("there is no certificate")
                async for chunk in answer.aiter_bytes():
                    found += chunk
                    if len(found) > _LARGEST:
                        raise CertificateUnusable("too large for a certificate")
        except (httpx.HTTPError, TimeoutError):
            raise CertificateAway from None
        return bytes(found)


def _read(pem: bytes, now: datetime) -> _Known:
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        key = certificate.public_key()
    except ValueError:
        raise CertificateUnusable("no certificate") from None
    if not isinstance(key, RSAPublicKey) or key.key_size < _SHORTEST_KEY:
        raise CertificateUnusable("no RSA key, or too short a one")
    return _Known(key, certificate.not_valid_before_utc, certificate.not_valid_after_utc, now + KEPT)
