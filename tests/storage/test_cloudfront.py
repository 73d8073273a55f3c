"""Signed URLs of CloudFront, checked with the public key as CloudFront checks them."""

import base64
import json
import time
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError

from core.storage_settings import CloudFrontSettings
from integrations.storage.cloudfront import CloudFrontUrls
from integrations.storage.factory import open_storage
from tests.services import S3Server
from tests.storage.stores import settings_for

HOUR = timedelta(hours=1)
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
DISPOSITION = "attachment; filename=\"_.pdf\"; filename*=UTF-8''%F0%9F%90%88.pdf"


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def signed(**changed: str) -> str:
    about = {"key": "media/h/a/original.pdf", "content_type": "application/pdf", "disposition": DISPOSITION, **changed}
    return CloudFrontUrls("media.petfolio.example", "K123", pem(KEY)).download_url(
        about["key"], content_type=about["content_type"], disposition=about["disposition"], expires_in=HOUR
    )


def check(url: str) -> None:
    """What CloudFront does for a canned policy: rebuild it from the URL, and verify the signature."""
    query = parse_qs(urlsplit(url).query)
    resource, _, _ = url.partition("&Expires=")
    policy = {
        "Statement": [
            {"Resource": resource, "Condition": {"DateLessThan": {"AWS:EpochTime": int(query["Expires"][0])}}}
        ]
    }
    signature = base64.b64decode(query["Signature"][0].replace("-", "+").replace("_", "=").replace("~", "/"))
    KEY.public_key().verify(signature, json.dumps(policy, separators=(",", ":")).encode(), PKCS1v15(), hashes.SHA1())


def test_a_url_is_what_cloudfront_accepts() -> None:
    url = signed()
    parts, query = urlsplit(url), parse_qs(urlsplit(url).query)
    assert (parts.scheme, parts.netloc, parts.path) == ("https", "media.petfolio.example", "/media/h/a/original.pdf")
    assert query["Key-Pair-Id"] == ["K123"]
    assert query["response-content-disposition"] == [DISPOSITION]
    assert query["response-content-type"] == ["application/pdf"]
    assert abs(int(query["Expires"][0]) - time.time() - 3600) < 10
    check(url)


def test_another_object_header_or_time_has_another_signature() -> None:
    url = signed()
    expires = parse_qs(urlsplit(url).query)["Expires"][0]
    for old, new in (("original", "preview"), ("attachment", "inline"), (expires, str(int(expires) + 3600))):
        with pytest.raises(InvalidSignature):
            check(url.replace(old, new))


def test_the_settings_decide_who_signs(s3: S3Server) -> None:
    cloudfront = {"domain": "media.petfolio.example", "key_pair_id": "K123", "private_key": pem(KEY)}
    storage = open_storage(settings_for(s3, storage={"encryption": "AES256", "cloudfront": cloudfront}))
    url = storage.download_url("media/h/a/480.webp", content_type="image/webp", disposition="inline", expires_in=HOUR)
    assert url.startswith("https://media.petfolio.example/media/h/a/480.webp?")
    check(url)


def test_a_domain_without_a_key_and_a_key_of_another_kind_are_refused() -> None:
    with pytest.raises(ValidationError):
        CloudFrontSettings(domain="media.petfolio.example")
    with pytest.raises(ValueError, match="RSA"):
        CloudFrontUrls("media.petfolio.example", "K123", pem(ec.generate_private_key(ec.SECP256R1())))
