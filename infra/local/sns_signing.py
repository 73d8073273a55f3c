"""SNS messages that carry a real signature, made with a key and a certificate of this process' own.

Written from the SNS developer guide, "Verifying the signatures of Amazon SNS messages", and not from our reader of it.
"""

import base64
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

_DAY = timedelta(days=1)
_SIGNED = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_SIGNED_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")


class Signer:
    """One key and its certificate, which lies at `certificate_url`."""

    def __init__(self, certificate_url: str, *, valid_for: timedelta = 365 * _DAY, key_size: int = 2048) -> None:
        self.certificate_url = certificate_url
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=key_size)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.petfolio.test")])
        until = datetime.now(UTC) + valid_for
        certificate = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self._key.public_key())
        certificate = certificate.serial_number(x509.random_serial_number())
        certificate = certificate.not_valid_before(until - 400 * _DAY).not_valid_after(until)
        self.certificate = certificate.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def message(
        self,
        topic_arn: str,
        text: str,
        *,
        kind: str = "Notification",
        version: Literal["1", "2"] = "2",
        at: datetime | None = None,
        **more: str,
    ) -> dict[str, str]:
        """The document that SNS posts; `more` are fields like `Subject` or `Token`."""
        now = (at or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        fields = {"Type": kind, "MessageId": str(uuid.uuid4()), "TopicArn": topic_arn, "Message": text}
        fields |= {"Timestamp": now, "SignatureVersion": version, "SigningCertURL": self.certificate_url, **more}
        return self.signed(fields)

    def signed(self, fields: dict[str, str]) -> dict[str, str]:
        """The fields with a signature over what they say now."""
        names = _SIGNED if fields["Type"] == "Notification" else _SIGNED_CONFIRMATION
        text = "".join(f"{name}\n{fields[name]}\n" for name in names if name in fields)
        digest = hashes.SHA1() if fields["SignatureVersion"] == "1" else hashes.SHA256()  # noqa: S303  # nosec B303
        signature = self._key.sign(text.encode(), padding.PKCS1v15(), digest)
        return {**fields, "Signature": base64.b64encode(signature).decode()}

    def post(self, topic_arn: str, text: str) -> bytes:
        """A notification as it goes over the wire."""
        return json.dumps(self.message(topic_arn, text)).encode()
