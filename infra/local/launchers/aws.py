"""SES and SNS of the local stack: moto in a process of ours, with the inbox that shows what was sent."""

import sys

from infra.local.probe import http_status
from infra.local.process import Command
from infra.local.service import Service
from infra.local.ses_events import topic_arn
from infra.local.site import CHECKOUT, Site

REGION = "us-east-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "petfolio-local", "AWS_SECRET_ACCESS_KEY": "petfolio-local"}


def _command(site: Site) -> Command:
    ports = ("--port", str(site.ports["aws"]), "--inbox-port", str(site.ports["inbox"]))
    reports = ("--subscriber", f"http://{site.address('api')}/api/v1/webhooks/ses")
    argv = (sys.executable, "-m", "infra.local.aws", *ports, "--store", str(site.root / "inbox.db"), *reports)
    return Command(argv, env={**CREDENTIALS, "AWS_DEFAULT_REGION": REGION}, cwd=CHECKOUT)


SERVICE = Service(
    name="aws",
    title="SES, SNS and inbox",
    ports=("aws", "inbox"),
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
        "AWS_DEFAULT_REGION": REGION,
        **CREDENTIALS,
    },
)
