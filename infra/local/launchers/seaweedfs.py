"""SeaweedFS as S3: signatures, upload policies, CORS and versions are enforced, and objects survive a restart."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from infra.local.errors import StackError
from infra.local.probe import http_status
from infra.local.process import Command, missing
from infra.local.s3_identities import ADMIN, POLICIES, SECRETS, configuration, credentials_of
from infra.local.service import Service
from infra.local.site import CHECKOUT, Site, write_private

_SIGNING = ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")
_SOCKETS = ("s3.sock", "filer.sock")
_PORTS = {
    "s3.port": "s3",
    "s3.port.grpc": "s3_grpc",
    "master.port": "s3_master",
    "master.port.grpc": "s3_master_grpc",
    "volume.port": "s3_volume",
    "volume.port.grpc": "s3_volume_grpc",
    "filer.port": "s3_filer",
    "filer.port.grpc": "s3_filer_grpc",
    "admin.port": "s3_admin",
    "admin.port.grpc": "s3_admin_grpc",
}


def _binary() -> str:
    beside = Path(sys.executable).parent
    found = shutil.which("weed", path=str(beside)) or shutil.which("weed")
    if not found:
        raise missing("weed")
    return found


def _prepare(site: Site) -> None:
    folder = site.folder("s3")
    site.folder("logs/s3")
    write_private(folder / "s3.json", configuration(site.secrets))
    # Without keys the filer's port shows private objects to anybody (measured, local-stack.md §4.2).
    sections = (f'[{name}]\nkey = "{site.secrets[_secret(name)]}"\n' for name in _SIGNING)
    write_private(folder / "security.toml", "\n".join(sections))
    # Its default store is eight databases with large buffers each: 75 MB more when they are opened again.
    write_private(folder / "filer.toml", '[leveldb]\nenabled = true\ndir = "./filer"\n')


def _secret(section: str) -> str:
    return "s3_" + section.replace(".", "_")


def _command(site: Site) -> Command:
    folder = site.root / "s3"
    # Every flag every time: SeaweedFS remembers the last ones in mini.options and opens what is not forbidden.
    flags = {
        "dir": folder,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        **{flag: site.ports[port] for flag, port in _PORTS.items()},
        "admin.ui": "false",
        "webdav": "false",
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "master.telemetry": "false",
        "s3.autoCreateBucket": "false",
        "s3.allowDeleteBucketNotEmpty": "false",
        "s3.localSocket": site.run / _SOCKETS[0],
        "filer.localSocket": site.run / _SOCKETS[1],
        "s3.config": folder / "s3.json",
    }
    argv = (_binary(), f"-logdir={site.logs / 's3'}", "mini", *(f"-{name}={value}" for name, value in flags.items()))
    # Collecting often costs little on so small a heap; with a limit close to it (GOMEMLIMIT) Go collects all the time.
    return Command(argv, env={"GOGC": "20"}, cwd=folder)


def _provision(site: Site) -> None:
    """The buckets, once per data folder, by a process of its own: boto3 would stay in the supervisor's memory."""
    mark, wanted = site.root / "s3/provisioned", _wanted(site)
    if mark.exists() and mark.read_text() == wanted:
        return
    environment = {"PATH": site.environ.get("PATH", ""), **_settings(site)}
    argv = (sys.executable, "-m", "infra.local.buckets", site.link("api"))
    done = subprocess.run(argv, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StackError(f"The S3 buckets could not be set up:\n{done.stderr[-2000:]}")
    mark.write_text(wanted)


def _wanted(site: Site) -> str:
    """What the buckets depend on: the address of our pages, and what this release says of buckets."""
    rules = hashlib.sha256((CHECKOUT / "infra/local/buckets.py").read_bytes()).hexdigest()
    return f"{site.link('api')} {rules}"


def _clean_up(site: Site) -> None:
    """Its gRPC sockets lie in the system's temporary folder, whatever TMPDIR says; like ours they outlive it."""
    for name in _SOCKETS:
        (site.run / name).unlink(missing_ok=True)
    for name in _PORTS.values():
        for socket in Path("/tmp").glob(f"seaweedfs-*-grpc-{site.ports[name]}.sock"):  # noqa: S108  # nosec B108
            socket.unlink(missing_ok=True)


def _settings(site: Site) -> dict[str, str]:
    return {
        "PETFOLIO_S3_ENDPOINT": f"http://{site.address('s3')}",
        "PETFOLIO_STORAGE__ENCRYPTION": "AES256",  # SeaweedFS has no KMS
        **_credentials(site, ADMIN),
    }


def _credentials(site: Site, name: str) -> dict[str, str]:
    settings = ("PETFOLIO_S3_ACCESS_KEY_ID", "PETFOLIO_S3_SECRET_ACCESS_KEY")
    return {setting: site.secrets[secret] for setting, secret in zip(settings, credentials_of(name), strict=True)}


def credentials(site: Site, process: str) -> Mapping[str, str]:
    """What a process gets instead of the administrator's key: one for what it does, or none. Of an S3 that is not ours
    the person's own stays."""
    if "PETFOLIO_S3_ENDPOINT" not in site.settings:
        return {}
    return _credentials(site, process) if process in POLICIES else dict.fromkeys(_credentials(site, ADMIN), "")


SERVICE = Service(
    name="s3",
    title="SeaweedFS (S3)",
    ports=tuple(_PORTS.values()),
    secrets=(*SECRETS, *map(_secret, _SIGNING)),
    external=("PETFOLIO_S3_ENDPOINT",),
    prepare=_prepare,
    command=_command,
    ready=lambda site: http_status(site.ports["s3"], "/healthz") == 200,
    provision=_provision,
    clean_up=_clean_up,
    settings=_settings,
)
