"""Only browsers' own push services are asked: whatever else a request names, we do not go there."""

import pytest

from domain.push import is_push_service

SERVICES = ("push.services.mozilla.com", "push.apple.com", "http://127.0.0.1:8055")


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://push.services.mozilla.com/wpush/v2/gAAA",
        "https://updates.push.services.mozilla.com:443/wpush/v2/gAAA",
        "https://web.push.apple.com/Q?a=b#c",
        "http://127.0.0.1:8055/push/1",
    ],
)
def test_a_push_service(endpoint: str) -> None:
    assert is_push_service(endpoint, SERVICES)


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "http://push.apple.com/plain",
        "https://push.apple.com.evil.test/",
        "https://evilpush.apple.com/",
        "https://push.apple.com:8443/",
        "https://user@push.apple.com/",
        "https://push.apple.com@evil.test/",
        "https://push.apple.com\\@evil.test/",
        "https://evil.test/https://push.apple.com",
        "https://evil.test#.push.apple.com",
        "https://evil.test?.push.apple.com",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://PUSH.apple.com./",
        "http://127.0.0.1:8056/",
        "http://127.0.0.1:8055@evil.test/",
        "http://127.0.0.1:80555/",
        "https://push.apple.com/a b",
        "https://push.apple.com/\r\nHost: evil.test",
        "https://pu\u017fh.apple.com/",
        "file:///etc/passwd",
    ],
)
def test_none(endpoint: str) -> None:
    assert not is_push_service(endpoint, SERVICES)
