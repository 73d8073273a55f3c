"""Everything that differs between one laptop and a cluster. Built once per entry point, then passed down.

Every variable is prefixed `PETFOLIO_`; `__` separates levels (`PETFOLIO_DB__POOLER`). Secrets have no default: a
process that needs one and does not get it refuses to start with a sentence that names the variable.
"""

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import SettingsConfigDict

from core.billing_settings import StripeSettings
from core.calendar_settings import CalendarSettings
from core.sign_in_settings import AppleSettings, FacebookSettings, GoogleSettings, OAuthSettings
from core.storage_settings import ScanningSettings, StorageSettings

WEB_PUSH_SERVICES = ("fcm.googleapis.com", "push.services.mozilla.com", "notify.windows.com", "push.apple.com")
"""Of Chrome, Firefox, Edge and Safari."""


class RateLimit(BaseModel, frozen=True):
    """A GCRA policy: `quota` requests per `window` seconds on average, `burst` at once."""

    quota: int
    window: int
    burst: int


class RateLimits(BaseModel, frozen=True):
    """One policy per kind of traffic. `default` counts a signed-in user, `credentials` what they do to their password
    and address, `payments` what they ask of Stripe, `invitations` what they have mailed to others (invitations to a
    household, offers of a pet, sitters); `mails` and `reset_mails` an address that is written to, `login_account` an
    address from one network, `feeds` a calendar feed or a vet's link, `tag_sightings` a tag. The others count a network
    (an IPv4 address or an IPv6 /64); `pushes` what calendar providers tell of all people's calendars from few of them.

    Set one with `PETFOLIO_RATE_LIMITS__REGISTRATION='{"quota": 100, "window": 60, "burst": 100}'`.
    """

    default: RateLimit = RateLimit(quota=600, window=60, burst=200)
    anonymous: RateLimit = RateLimit(quota=120, window=60, burst=60)
    login: RateLimit = RateLimit(quota=20, window=60, burst=20)
    login_hourly: RateLimit = RateLimit(quota=100, window=3600, burst=100)
    login_account: RateLimit = RateLimit(quota=10, window=60, burst=10)
    registration: RateLimit = RateLimit(quota=10, window=3600, burst=10)
    mails: RateLimit = RateLimit(quota=3, window=3600, burst=3)
    reset_mails: RateLimit = RateLimit(quota=3, window=3600, burst=3)
    reset_network: RateLimit = RateLimit(quota=10, window=3600, burst=10)
    credentials: RateLimit = RateLimit(quota=10, window=3600, burst=10)
    payments: RateLimit = RateLimit(quota=120, window=3600, burst=40)
    feeds: RateLimit = RateLimit(quota=120, window=3600, burst=20)
    invitations: RateLimit = RateLimit(quota=20, window=86_400, burst=20)
    sightings: RateLimit = RateLimit(quota=10, window=3600, burst=5)
    tag_sightings: RateLimit = RateLimit(quota=20, window=3600, burst=10)
    pushes: RateLimit = RateLimit(quota=30_000, window=60, burst=10_000)


class DbSettings(BaseModel, frozen=True):
    """How we talk to Postgres. `pooler` other than `none` switches named prepared statements off."""

    pooler: Literal["none", "pgbouncer", "rds_proxy"] = "none"
    ssl: Literal["disable", "require", "verify-full"] = "disable"


class ApiSettings(BaseModel, frozen=True):
    """The HTTP process. `drain_delay` is how long readiness says 503 before the listener closes (behind a balancer).

    `metrics_port`: a listener of its own for Prometheus, on `host`; 0 means none, then only this machine may ask.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    docs: bool = False
    cors_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    drain_delay: float = 3.0
    request_deadline: float = 15.0
    processes: int = 1
    metrics_port: int = 0


class WorkerSettings(BaseModel, frozen=True):
    """A worker process. `metrics_port` 0 means: no Prometheus listener.

    `relay_lease_seconds`: how long a relay that died keeps its rows from the others; `relay_in_flight`: calls at once,
    above 40 only latency grows (temporal.md §4.6). `scratch`: where a worker of media has its files meanwhile, by
    default the folder of temporary ones; a few uploads of 200 MB have to fit.
    """

    metrics_port: int = 0
    health_port: int = 0
    max_cached_workflows: int = 5000
    max_concurrent_workflow_tasks: int = 16
    max_concurrent_activities: int = 30
    graceful_shutdown_seconds: int = 30
    relay_lease_seconds: float = 30
    relay_in_flight: int = 40
    scratch: Path | None = None

    @field_validator("scratch", mode="before")
    @classmethod
    def blank_is_none(cls, given: object) -> object:
        """Compose files pass on what is not set as an empty word."""
        return given or None


class AuthSettings(BaseModel, frozen=True):
    """Tokens and sessions; the numbers are those of identity-and-security.md §2.2–2.6."""

    issuer: str = "petfolio"
    audience: str = "petfolio-api"
    access_token_seconds: int = 600
    refresh_idle_days: int = 30
    refresh_absolute_days: int = 90
    cookie_absolute_days: int = 14
    refresh_replay_window_seconds: int = Field(default=10, le=30)
    hash_workers: int = 2
    hash_queue: int = 60


class WebAuthnSettings(BaseModel, frozen=True):
    """Whom passkeys belong to (WebAuthn L3 §5.1.2). `rp_id`: a domain, by default the host of `public_url`; passkeys
    made for one are worth nothing to another. `origins`: exact ones beside that of `public_url`, like
    `https://app.petfolio.example` or `android:apk-key-hash:…`.
    """

    rp_id: str | None = None
    origins: tuple[str, ...] = ()


class PasswordSettings(BaseModel, frozen=True):
    """Lists of stolen passwords that new ones are looked up in, besides the packaged list of frequent ones.

    `breached_file`: SHA-1 in ascending order, as HIBP's downloader writes it; `breached_api`: the range API
    (`https://api.pwnedpasswords.com`). While the API is away passwords are accepted without it, and the audit log
    says so.
    """

    breached_file: Path | None = None
    breached_api: str | None = Field(default=None, pattern=r"^https?://[^/?#@]+(/[^?#]*)?$")

    @field_validator("breached_file", "breached_api", mode="before")
    @classmethod
    def blank_is_none(cls, given: object) -> object:
        """Compose files pass on what is not set as an empty word."""
        return given or None


class KeySettings(BaseModel, frozen=True):
    """Where master keys live: AWS KMS and Secrets Manager, or files of mode 0600 below `directory`."""

    provider: Literal["aws", "file"] = "aws"
    directory: Path | None = None
    kms_key_id: str | None = None
    kms_mac_key_id: str | None = None
    cache_seconds: int = Field(default=300, le=300)


class MailSettings(BaseModel, frozen=True):
    """Who mails come from."""

    sender: str = "Petfolio <reminders@petfolio.test>"


class FeedbackSettings(BaseModel, frozen=True):
    """Bounces, complaints and receipts of SES, which come through an SNS topic. Without a topic the endpoint is off.

    `local_certificate`: the loopback address of the certificate that the local stack signs with, instead of SNS'.
    """

    topic_arn: str | None = Field(
        default=None, pattern=r"^arn:aws(-us-gov)?:sns:[a-z]{2}(-[a-z]+)+-\d:\d{12}:[A-Za-z0-9_-]{1,256}$"
    )
    local_certificate: str | None = Field(default=None, pattern=r"^http://127\.0\.0\.1:\d{1,5}/[a-z-]+\.pem$")

    @field_validator("topic_arn", "local_certificate", mode="before")
    @classmethod
    def blank_is_none(cls, given: object) -> object:
        """Compose files pass on what is not set as an empty word."""
        return given or None


class ErasureSettings(BaseModel, frozen=True):
    """How long a requested erasure can be taken back."""

    grace_days: int = Field(default=14, ge=0, le=30)


class Settings(StripeSettings):
    """See the module. Frozen: a process never changes its mind about these."""

    model_config = SettingsConfigDict(env_prefix="PETFOLIO_", env_nested_delimiter="__", frozen=True, extra="ignore")

    public_url: str = "http://localhost:8000"

    database_url: SecretStr
    """`postgresql://user:password@host:port/name`; what requests and activities use, through the pooler if any."""
    database_direct_url: SecretStr | None = None
    """Without a transaction pooler, for LISTEN. Default: `database_url`."""
    migration_url: SecretStr | None = None
    """The owner of the schema; only `python -m workers setup` uses it. Default: `database_direct_url`."""
    redis_url: SecretStr
    temporal_address: str = "127.0.0.1:7233"
    temporal_namespace: str = "petfolio"
    temporal_ui_url: str | None = None
    temporal_tls: bool = False
    temporal_api_key: SecretStr | None = None

    aws_region: str = "us-east-1"
    s3_endpoint: str | None = None
    s3_access_key_id: SecretStr | None = None
    s3_secret_access_key: SecretStr | None = None
    ses_endpoint: str | None = None
    sns_endpoint: str | None = None
    fcm_endpoint: str = "https://fcm.googleapis.com"
    fcm_credentials: SecretStr | None = None
    """The service account of the Firebase project, as JSON; unset: phones are not pushed to."""
    web_push_services: tuple[str, ...] = WEB_PUSH_SERVICES
    """Hosts that browsers' subscriptions may name (`domain/push.py`)."""

    codec_token: SecretStr | None = None
    """Bearer token of the codec server, beside operators who are signed in; unset: for these alone."""
    codec_open_on_loopback: bool = False
    """The Temporal UI of the local stack sends no credentials. Refused unless the api listens on loopback."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    otlp_endpoint: str | None = None

    db: DbSettings = DbSettings()
    api: ApiSettings = ApiSettings()
    worker: WorkerSettings = WorkerSettings()
    auth: AuthSettings = AuthSettings()
    webauthn: WebAuthnSettings = WebAuthnSettings()
    passwords: PasswordSettings = PasswordSettings()
    keys: KeySettings = KeySettings()
    mail: MailSettings = MailSettings()
    feedback: FeedbackSettings = FeedbackSettings()
    erasure: ErasureSettings = ErasureSettings()
    rate_limits: RateLimits = RateLimits()
    oauth: OAuthSettings = OAuthSettings()
    google: GoogleSettings = GoogleSettings()
    apple: AppleSettings = AppleSettings()
    facebook: FacebookSettings = FacebookSettings()
    storage: StorageSettings = StorageSettings()
    scanning: ScanningSettings = ScanningSettings()
    calendars: CalendarSettings = CalendarSettings()
    calendar_providers: tuple[str, ...] = ("google", "microsoft", "caldav")
    """Whose calendars a worker of the role `calendar` looks after; in production one process each."""

    @property
    def direct_url(self) -> str:
        """The DSN that reaches Postgres itself (LISTEN, Alembic)."""
        return (self.database_direct_url or self.database_url).get_secret_value()

    @property
    def push_url(self) -> str | None:
        """Where calendar providers reach us: they call public HTTPS addresses alone, or what was set on purpose. Paths
        are added to it, so it ends without a slash."""
        public = self.public_url if self.public_url.startswith("https://") else ""
        return (self.calendars.push_url or public).rstrip("/") or None

    @property
    def rp_id(self) -> str:
        """The domain that passkeys are made for."""
        return self.webauthn.rp_id or urlsplit(self.public_url).hostname or "localhost"

    @property
    def origins(self) -> tuple[str, ...]:
        """Where passkeys may be used: that of `public_url` (RFC 6454 §6.2, without a default port), and those set."""
        url = urlsplit(self.public_url)
        port = "" if url.port in (None, {"http": 80, "https": 443}.get(url.scheme)) else f":{url.port}"
        return f"{url.scheme}://{url.hostname}{port}", *self.webauthn.origins


def read_settings() -> Settings:
    """The settings of this process, from its environment. Leaves with one sentence that names what is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        problems = [f"PETFOLIO_{'__'.join(map(str, it['loc'])).upper()} ({it['type']})" for it in error.errors()]
        raise SystemExit(f"Petfolio cannot start. Check {', '.join(problems)}.") from None
