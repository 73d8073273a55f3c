"""SES and SNS of the local stack: moto in a process of ours, with the inbox that shows what was sent and the emulators
of whom the platform calls besides."""

import json
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from core.settings import WEB_PUSH_SERVICES
from infra.local.launchers import sign_in
from infra.local.probe import http_status
from infra.local.process import Command
from infra.local.service import Service
from infra.local.ses_events import topic_arn
from infra.local.site import CHECKOUT, Site, write_private

REGION = "us-east-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "petfolio-local", "AWS_SECRET_ACCESS_KEY": "petfolio-local"}


def _account(site: Site) -> Path:
    """A service account whose key is made on first use."""
    path = site.folder("push") / "service-account.json"
    if not path.exists():
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        document = {
            "project_id": "petfolio-local",
            "client_email": "push@petfolio-local.test",
            "private_key": pem,
            "token_uri": f"http://{site.address('push')}/token",
        }
        write_private(path, json.dumps(document))
    return path


def _command(site: Site) -> Command:
    ports = ("--port", str(site.ports["aws"]), "--inbox-port", str(site.ports["inbox"]))
    reports = ("--subscriber", f"http://{site.address('api')}/api/v1/webhooks/ses")
    push = ("--push-port", str(site.ports["push"]), "--push-account", str(_account(site)))
    ledger = ("--push-ledger", str(site.folder("push") / "calls.db"))
    store = ("--store", str(site.root / "inbox.db"))
    providers = ("--sign-in", str(sign_in.document(site)))
    argv = (sys.executable, "-m", "infra.local.aws", *ports, *store, *push, *ledger, *providers, *reports)
    return Command(argv, env={**CREDENTIALS, "AWS_DEFAULT_REGION": REGION}, cwd=CHECKOUT)


SERVICE = Service(
    name="aws",
    title="SES, SNS, push, sign-in and inbox",
    ports=("aws", "inbox", "push", *sign_in.PORTS),
    secrets=sign_in.SECRETS,
    external=("PETFOLIO_SES_ENDPOINT", "PETFOLIO_SNS_ENDPOINT"),
    command=_command,
    ready=lambda site: http_status(site.ports["inbox"], "/healthz") == 200,
    link=lambda site: site.link("inbox"),
    settings=lambda site: {
        "PETFOLIO_SES_ENDPOINT": f"http://{site.address('aws')}",
        "PETFOLIO_SNS_ENDPOINT": f"http://{site.address('aws')}",
        "PETFOLIO_AWS_REGION": REGION,
        "PETFOLIO_FEEDBACK__TOPIC_ARN": topic_arn(REGION),
        "PETFOLIO_FEEDBACK__LOCAL_CERTIFICATE": f"http://{site.address('inbox')}/certificate.pem",
        "PETFOLIO_FCM_ENDPOINT": f"http://{site.address('push')}",
        "PETFOLIO_FCM_CREDENTIALS": _account(site).read_text(),
        # Real browsers of whoever develops here, and the emulator's.
        "PETFOLIO_WEB_PUSH_SERVICES": json.dumps([*WEB_PUSH_SERVICES, f"http://{site.address('push')}"]),
        **sign_in.settings(site),
        "AWS_DEFAULT_REGION": REGION,
        **CREDENTIALS,
    },
)
