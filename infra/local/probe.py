"""Is it ready? The cheapest honest question for each kind of server; any network failure means: not yet."""

import http.client
import json
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

_TIMEOUT = 1.0


def http_status(port: int, path: str) -> int | None:
    """The status of a GET on loopback, or None when nothing answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def http_post(port: int, path: str, body: Mapping[str, object]) -> int | None:
    """The status of a POST of JSON on loopback, or None when nothing answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def redis_answers(port: int, password: str) -> bool:
    """AUTH and PING in the wire protocol; a server that is loading its file answers LOADING, not PONG."""
    try:
        with socket.create_connection(("127.0.0.1", port), _TIMEOUT) as connection:
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            answer = b""
            while answer.count(b"\r\n") < 2 and (part := connection.recv(256)):
                answer += part
    except OSError:
        return False
    return answer == b"+OK\r\n+PONG\r\n"


def accepts(url: str) -> bool:
    """Whether something listens at the host and port of a URL or `host:port` (external services)."""
    parts = urlsplit(url if "://" in url else f"//{url}")
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    if not parts.hostname or not port:
        return False
    try:
        with socket.create_connection((parts.hostname, port), _TIMEOUT):
            return True
    except OSError:
        return False


_DEFAULT_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "redis": 6379, "rediss": 6379}
