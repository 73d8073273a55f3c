"""Master keys and secrets in files, for the local stack: real encryption, no cloud.

```
master-0001.key …   AES-256 master keys; the highest number wraps, every number unwraps
mac.key             the key of `mac`, never rotated with the others
secrets/NAME.current, secrets/NAME.previous
```
Every file is 0600 and written whole before it gets its name. A wider mode refuses the start: a key that others can
read protects nothing.
"""

import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from integrations.keys.protocols import Context, KeysRefused, NewDataKey, SecretChanged, SecretMissing, Stage

_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")
_MASTER = re.compile(r"master-(\d{4})\.key")


class FileModeTooWide(RuntimeError):
    """Somebody else may read a key file. The message says what to change."""


class FileKeyProvider:
    """`KeyProvider` over AES-256-GCM. A wrapped key is version (4 bytes), nonce (12 bytes), ciphertext with tag."""

    def __init__(self, directory: Path) -> None:
        """Reads the keys of `directory`, and makes the first ones. Raises `FileModeTooWide` and OSError."""
        self._directory = directory
        self._masters: dict[int, AESGCM] = {}
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _create(directory / "mac.key", os.urandom(32))
        _create(directory / "master-0001.key", os.urandom(32))
        self._mac_key = _read(directory / "mac.key")
        self._load_masters()

    async def generate_data_key(self, context: Context) -> NewDataKey:
        """See `KeyProvider`."""
        secret = os.urandom(32)
        wrapped, kek_id = await self.wrap(secret, context)
        return NewDataKey(secret, wrapped, kek_id)

    async def wrap(self, secret: bytes, context: Context) -> tuple[bytes, str]:
        """See `KeyProvider`."""
        version = max(self._masters)
        nonce = os.urandom(12)
        sealed = self._masters[version].encrypt(nonce, secret, _canonical(context))
        return version.to_bytes(4, "big") + nonce + sealed, f"file:{version}"

    async def unwrap(self, wrapped: bytes, context: Context) -> bytes:
        """See `KeyProvider`."""
        version, nonce, sealed = int.from_bytes(wrapped[:4], "big"), wrapped[4:16], wrapped[16:]
        if version not in self._masters:  # another process may have rotated since this one started
            self._load_masters()
        try:
            return self._masters[version].decrypt(nonce, sealed, _canonical(context))
        except (KeyError, InvalidTag, ValueError) as error:
            raise KeysRefused("the wrapped key does not open in this context") from error

    async def mac(self, data: bytes) -> bytes:
        """See `KeyProvider`."""
        return hmac.digest(self._mac_key, data, hashlib.sha256)

    def rotate(self) -> int:
        """Add a master key; it wraps from now on. Answers its version."""
        self._load_masters()
        version = max(self._masters) + 1
        _create(self._directory / f"master-{version:04}.key", os.urandom(32))
        self._load_masters()
        return version

    def _load_masters(self) -> None:
        for path in sorted(self._directory.iterdir()):
            if match := _MASTER.fullmatch(path.name):
                self._masters.setdefault(int(match[1]), AESGCM(_read(path)))


class FileSecretStore:
    """`SecretStore` with one file per name and stage."""

    def __init__(self, directory: Path) -> None:
        """`directory` is that of the keys. Raises OSError."""
        self._directory = directory / "secrets"
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def get(self, name: str, stage: Stage = "current") -> str:
        """See `SecretStore`. Raises `FileModeTooWide` besides."""
        try:
            return _read(self._path(name, stage)).decode()
        except FileNotFoundError as error:
            raise SecretMissing(f"no {stage} secret {name!r}: run `python -m workers setup`") from error

    async def create(self, name: str, value: str) -> bool:
        """See `SecretStore`."""
        return _create(self._path(name, "current"), value.encode())

    async def rotate(self, name: str, value: str, *, former: str) -> None:
        """See `SecretStore`. The former value is `previous` before the new one is current: never neither."""
        with _alone_in(self._directory):
            if await self.get(name) != former:
                raise SecretChanged(f"the secret {name!r} was rotated meanwhile")
            _replace(self._path(name, "previous"), former.encode())
            _replace(self._path(name, "current"), value.encode())

    def _path(self, name: str, stage: Stage) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a secret")
        return self._directory / f"{name}.{stage}"


def _canonical(context: Context) -> bytes:
    return json.dumps(dict(context), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode & 0o777
        if mode & 0o077:
            raise FileModeTooWide(f"{path} has mode {mode:04o}: run `chmod 600 {path}`")
        return file.read()


def _create(path: Path, content: bytes) -> bool:
    """Whole or not at all, and never over an existing file: two processes may start at the same moment."""
    if path.exists():
        return False
    written = _written(path.parent, content)
    try:
        os.link(written, path)
    except FileExistsError:
        return False
    finally:
        written.unlink()
    return True


@contextlib.contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """One process of this machine at a time. Nobody waits long: what is done meanwhile takes milliseconds."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(path: Path, content: bytes) -> None:
    _written(path.parent, content).replace(path)


def _written(directory: Path, content: bytes) -> Path:
    descriptor, name = tempfile.mkstemp(dir=directory, prefix=".new-")  # mkstemp makes it 0600
    with contextlib.closing(os.fdopen(descriptor, "wb")) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return Path(name)
