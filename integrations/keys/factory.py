"""Which keeper of keys and secrets the settings ask for. Both composition roots and `workers setup` call it."""

from urllib.parse import urlsplit

from core.settings import Settings
from integrations.keys.file import FileKeyProvider, FileSecretStore
from integrations.keys.protocols import KeyProvider, SecretStore


class KeysMisconfigured(RuntimeError):
    """The process must not start: the sentence names the setting."""


def open_keys(settings: Settings) -> tuple[KeyProvider, SecretStore]:
    """The two adapters of `PETFOLIO_KEYS__PROVIDER`. Raises `KeysMisconfigured`, `FileModeTooWide` and OSError."""
    return _files(settings) if settings.keys.provider == "file" else _aws(settings)


def _aws(settings: Settings) -> tuple[KeyProvider, SecretStore]:
    # Here because they cost half a second and 20 MB that a process with key files need not spend.
    import boto3  # noqa: PLC0415

    from integrations.keys.aws import CLIENT_CONFIG, KmsKeyProvider, SecretsManagerStore  # noqa: PLC0415

    if not settings.keys.kms_key_id or not settings.keys.kms_mac_key_id:
        raise KeysMisconfigured("PETFOLIO_KEYS__KMS_KEY_ID and PETFOLIO_KEYS__KMS_MAC_KEY_ID must name KMS keys")
    session = boto3.Session(region_name=settings.aws_region)
    return (
        KmsKeyProvider(
            session.client("kms", config=CLIENT_CONFIG),
            key_id=settings.keys.kms_key_id,
            mac_key_id=settings.keys.kms_mac_key_id,
        ),
        SecretsManagerStore(session.client("secretsmanager", config=CLIENT_CONFIG)),
    )


def _files(settings: Settings) -> tuple[KeyProvider, SecretStore]:
    if settings.keys.directory is None:
        raise KeysMisconfigured("PETFOLIO_KEYS__DIRECTORY must name the folder of the key files")
    served = urlsplit(settings.public_url)
    # Key files beside the data they protect are for one machine; a site served to others has a key service.
    if served.scheme == "https" and served.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise KeysMisconfigured(f"PETFOLIO_KEYS__PROVIDER=file is for the local stack, not for {settings.public_url}")
    return FileKeyProvider(settings.keys.directory), FileSecretStore(settings.keys.directory)
