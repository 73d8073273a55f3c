"""The store of docker-compose.yml, started as it says there but for addresses and folders: S3 alone is open, each
process has rights of its own, and what is inside asks for a signature."""

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import psutil
import pytest
import yaml
from botocore.config import Config
from botocore.exceptions import ClientError

from infra.local import ports
from infra.local.probe import http_status
from infra.local.s3_identities import QUARANTINE, SECRETS, printed
from tests.architecture.source import ROOT
from tests.stack import until

SETTINGS = ROOT / "infra/docker/s3"
OPEN = "127.0.0.2"
"""In the place of 0.0.0.0."""
INSIDE = {"master": "s3_master", "volume": "s3_volume", "filer": "s3_filer"}


def script(folder: Path, at: dict[str, int]) -> str:
    """What the container runs, in this folder and with these ports."""
    service = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["s3"]
    assert service["entrypoint"] == ["/bin/sh", "-c"]
    (text,) = service["command"]
    flags = {f"{part}.port{kind}": at[f"{name}{kind.replace('.', '_')}"]
             for part, name in {**INSIDE, "s3": "s3"}.items() for kind in ("", ".grpc")}  # fmt: skip
    for old, new in {
        "$$": "$",
        "/dev/shm": str(folder),
        "/settings": str(SETTINGS),
        "-dir=/data": f"-dir={folder}/data " + " ".join(f"-{flag}={port}" for flag, port in flags.items()),
        "-s3.port=8333": "",
        "0.0.0.0": OPEN,
    }.items():
        assert old in text
        text = text.replace(old, new)
    return str(text)


def _started(command: str, env: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as lines:
        return subprocess.Popen(["sh", "-c", command], env=env, stdout=lines, stderr=lines)


@pytest.fixture(scope="module")
async def store(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, int]]:
    """Its ports."""
    folder, at = tmp_path_factory.mktemp("store"), ports.block(ports.search({}), {})
    (folder / "data").mkdir()
    weed = shutil.which("weed") or shutil.which("weed", path=str(Path(sys.executable).parent))
    assert weed
    secrets = {name.upper(): f"{name}-$x`y" for name in SECRETS} | {"S3_SIGNING_KEY": "signing"}
    env = {"PATH": f"{Path(weed).parent}:{os.environ['PATH']}", **secrets}
    process = _started(script(folder, at), env, folder / "log")
    try:
        await until(lambda: http_status(at["s3"], "/healthz") == 200, within=60, what="the store is up")
        yield at | {"pid": process.pid}
    finally:
        process.terminate()
        process.wait(30)


def client(at: dict[str, int], who: str) -> Any:
    """S3 as one of the processes sees it."""
    return boto3.client(
        "s3",
        endpoint_url=f"http://{OPEN}:{at['s3']}",
        aws_access_key_id=f"s3_{who}access_key_id-$x`y",
        aws_secret_access_key=f"s3_{who}secret_access_key-$x`y",
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}),
    )


async def test_only_s3_listens_to_other_containers(store: dict[str, int]) -> None:
    seen = psutil.Process(store["pid"]).net_connections("tcp")
    opened = {each.laddr.port for each in seen if each.status == psutil.CONN_LISTEN and each.laddr.ip == OPEN}
    assert opened == {store["s3"], store["s3_grpc"]}


async def test_what_is_inside_shows_nothing_without_a_signature(store: dict[str, int]) -> None:
    filer = f"http://127.0.0.1:{store['s3_filer']}/buckets/"
    async with httpx.AsyncClient() as http:
        assert (await http.get(filer)).status_code == 401
        assert (await http.put(f"{filer}x", content=b"x")).status_code == 401
        assert (await http.delete(f"{filer}x")).status_code == 401


async def test_each_process_has_the_rights_of_what_it_does(store: dict[str, int]) -> None:
    upload = {"Bucket": QUARANTINE, "Key": "uploads/h/a"}
    client(store, "").create_bucket(Bucket=QUARANTINE)
    client(store, "api_").put_object(**upload, Body=b"lab report")
    with pytest.raises(ClientError, match="AccessDenied"):
        client(store, "api_").get_object(**upload)
    assert client(store, "media_").get_object(**upload)["Body"].read() == b"lab report"
    with pytest.raises(ClientError, match="AccessDenied"):
        client(store, "media_").put_object(**upload, Body=b"another one")


def test_the_identities_are_those_of_this_release() -> None:
    assert (SETTINGS / "s3.json").read_text() == printed("store"), "python -m infra.local.s3_identities store"
