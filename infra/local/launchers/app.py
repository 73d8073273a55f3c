"""Our own processes: the deploy step, the api and the workers. Only their environment says that this is one machine."""

import hashlib
import sys
from collections.abc import Mapping

from infra.local.launchers import seaweedfs
from infra.local.probe import http_status
from infra.local.process import Command, Stop
from infra.local.service import Service
from infra.local.site import CHECKOUT, Site, write_private

_DATA_SERVICES = ("postgres", "temporal")
_ADDRESSES = ("PETFOLIO_DATABASE_URL", "PETFOLIO_TEMPORAL_ADDRESS")
_SETUP_CODE = ("core", "domain", "models", "integrations", "temporal", "activities", "workflows", "workers")
_MARK = "release"
# Everybody on this machine is one network: a limit per network would count all of them as one.
_PER_NETWORK = ("ANONYMOUS", "LOGIN", "LOGIN_HOURLY", "REGISTRATION", "SIGHTINGS")
_ROOMY = '{"quota": 6000, "window": 60, "burst": 1000}'
HABITS: Mapping[str, str] = {
    "PETFOLIO_API__DOCS": "true",
    "PETFOLIO_API__DRAIN_DELAY": "0",
    "PETFOLIO_CALENDARS__POLL_SECONDS": "15",  # what is edited on a CalDAV server is seen while somebody watches
    **{f"PETFOLIO_RATE_LIMITS__{policy}": _ROOMY for policy in _PER_NETWORK},
}


def _shared(site: Site) -> Mapping[str, str]:
    """What every process of ours gets besides the addresses of the services; of the habits the person's own win."""
    habits = {name: value for name, value in HABITS.items() if name not in site.environ}
    return {
        **habits,
        "PETFOLIO_KEYS__PROVIDER": "file",
        "PETFOLIO_KEYS__DIRECTORY": str(site.root / "keys"),
        "PETFOLIO_PUBLIC_URL": site.link("api"),
        "PETFOLIO_API__PORT": str(site.ports["api"]),
        "PETFOLIO_CODEC_OPEN_ON_LOOPBACK": "true",
        "PYTHONTZPATH": "",
    }


def _python(site: Site, *arguments: str, **env: str) -> Command:
    own = seaweedfs.credentials(site, arguments[-1])
    return Command((sys.executable, "-m", *arguments), env={**site.settings, **own, **env}, cwd=CHECKOUT)


def _release() -> str:
    """A hash over the files that decide what the deploy step does: our code and the locked versions."""
    code = (path for package in _SETUP_CODE for path in (CHECKOUT / package).rglob("*.py"))
    files = sorted((*code, CHECKOUT / "requirements.lock"))
    about = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(repr(about).encode()).hexdigest()


def _settled(site: Site) -> bool:
    """Whether this very release has already set up this very data: then a start need not spend two seconds on it.

    What lives elsewhere may have changed without us, so there the step always runs.
    """
    mark = site.root / _MARK
    elsewhere = any(name in site.environ and name not in site.settings for name in _ADDRESSES)
    return not elsewhere and mark.exists() and mark.read_text() == _release()


def _worker(role: str) -> Service:
    """One worker process; `PETFOLIO_WORKER__…` differs per process and so is not part of the shared settings."""
    metrics, health = f"worker_{role}_metrics", f"worker_{role}_health"
    return Service(
        name=f"worker-{role}",
        title=f"Worker ({role})",
        ports=(health, metrics),
        after=("setup", "redis"),
        command=lambda site: _python(
            site,
            "workers",
            role,
            PETFOLIO_WORKER__HEALTH_PORT=str(site.ports[health]),
            PETFOLIO_WORKER__METRICS_PORT=str(site.ports[metrics]),
        ),
        ready=lambda site: http_status(site.ports[health], "/readyz") == 200,
        stop=Stop(stage=1, patience=40),
        reload=True,
    )


SETUP = Service(
    name="setup",
    title="Migrations",
    after=_DATA_SERVICES,
    prepare=lambda site: (site.folder("keys"), None)[1],
    command=lambda site: _python(site, "workers", "setup"),
    settled=_settled,
    provision=lambda site: write_private(site.root / _MARK, _release()),
    settings=_shared,
    oneshot=True,
    backoff=(),
)

API = Service(
    name="api",
    title="API",
    ports=("api",),
    after=("setup", "redis"),
    command=lambda site: _python(site, "api"),
    ready=lambda site: http_status(site.ports["api"], "/readyz") == 200,
    link=lambda site: site.link("api"),
    stop=Stop(stage=0, patience=25),
    reload=True,
)

WORKER_CORE = _worker("core")
WORKER_BILLING = _worker("billing")
WORKER_CALENDAR = _worker("calendar")
WORKER_MEDIA = _worker("media")
