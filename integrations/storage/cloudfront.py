"""Signed URLs of CloudFront with a canned policy: one URL, until one instant.

The distribution's cache policy forwards `response-content-type` and `response-content-disposition` to S3, which it
reaches by origin access control; its response headers policy adds `nosniff` and a sandboxing CSP. A deleted object that
is still in a cache can be read until the URL expires, no longer.
"""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode

from botocore.signers import CloudFrontSigner
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key


class CloudFrontUrls:
    """Signs by itself and asks nobody. Raises ValueError for a key that is no RSA key in PEM."""

    def __init__(self, domain: str, key_pair_id: str, private_key: str) -> None:
        key = load_pem_private_key(private_key.encode(), password=None)
        if not isinstance(key, RSAPrivateKey):
            raise ValueError("CloudFront's canned policies are signed with RSA")
        self._domain = domain
        # SHA-1 is what CloudFront takes for RSA; what it guards is one URL for an hour.
        self._signer = CloudFrontSigner(key_pair_id, lambda text: key.sign(text, PKCS1v15(), hashes.SHA1()))  # noqa: S303  # nosec B303

    def download_url(self, key: str, *, content_type: str, disposition: str, expires_in: timedelta) -> str:
        """As `ObjectStorage.download_url`."""
        headers = {"response-content-disposition": disposition, "response-content-type": content_type}
        url = f"https://{self._domain}/{quote(key)}?{urlencode(headers, quote_via=quote)}"
        return str(self._signer.generate_presigned_url(url, date_less_than=datetime.now(UTC) + expires_in))
