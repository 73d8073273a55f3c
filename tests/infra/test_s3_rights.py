"""Each process of the local stack gets the S3 key of what it does, and the others get none."""

from pathlib import Path

import pytest

from infra.local import ports
from infra.local.environment import with_settings
from infra.local.launchers import app, seaweedfs
from infra.local.s3_identities import SECRETS
from infra.local.service import Service
from infra.local.site import Site, open_site

KEY, SECRET = "PETFOLIO_S3_ACCESS_KEY_ID", "PETFOLIO_S3_SECRET_ACCESS_KEY"


def a_site(tmp_path: Path, environ: dict[str, str]) -> Site:
    secrets = (*SECRETS, *seaweedfs.SERVICE.secrets)
    site = open_site(tmp_path / "data", ports.block(12_000, {}), secrets, environ, durable=False)
    return with_settings(site, [seaweedfs.SERVICE])


@pytest.mark.parametrize(
    ("service", "secret"), [(app.API, "s3_api_access_key_id"), (app.WORKER_CORE, None), (app.SETUP, None)]
)
def test_a_process_may_do_what_it_is_for(service: Service, secret: str | None, tmp_path: Path) -> None:
    site = a_site(tmp_path, {})
    env = service.command(site).env
    assert env[KEY] == (site.secrets[secret] if secret else "")
    assert env[KEY] != site.secrets["s3_access_key_id"], "the administrator's is for provisioning"
    assert bool(env[SECRET]) == bool(secret)


def test_the_media_worker_has_rights_of_its_own(tmp_path: Path) -> None:
    site = a_site(tmp_path, {})
    given = seaweedfs.credentials(site, "media")
    assert given == {
        KEY: site.secrets["s3_media_access_key_id"],
        SECRET: site.secrets["s3_media_secret_access_key"],
    }


def test_an_s3_that_is_not_ours_keeps_the_persons_own_key(tmp_path: Path) -> None:
    site = a_site(tmp_path, {"PETFOLIO_S3_ENDPOINT": "https://s3.example", KEY: "theirs", SECRET: "theirs"})
    assert KEY not in app.API.command(site).env
