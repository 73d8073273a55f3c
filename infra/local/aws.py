"""SES and SNS for the local stack: moto behind a recorder, in one process with the inbox and our emulators.

moto keeps what was sent in memory and shows it nowhere; the recorder moves it into the inbox before the caller gets
its answer. `python -m infra.local.aws --port 8040 --inbox-port 8002 --store inbox.db`
"""

import argparse
import email
import email.policy
import json
import os
import signal
import threading
import urllib.request
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import parseaddr
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.ses.models import ses_backends
from moto.sesv2.models import sesv2_backends
from moto.sns.models import sns_backends
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from infra.local.emulators.providers import open_apps
from infra.local.emulators.push import PushApp
from infra.local.faults import Faults, WsgiApp
from infra.local.inbox import CERTIFICATE, Inbox, InboxApp, Kept, Message
from infra.local.ses_events import ACCOUNT, EVENTS_TOPIC, Feedback, event
from infra.local.sns_signing import Signer

_SENDER_DOMAIN = "petfolio.test"
DELIVERY_HEADER = "X-Petfolio-Delivery"
"""The sender's idempotency key; written here again because importing the adapter would cost this process botocore."""


class Aws:
    """moto's backends of one region, and what was sent through them."""

    def __init__(self, region: str, inbox: Inbox, faults: Faults, inbox_port: int, subscribers: list[str]) -> None:
        self._certificate_url = f"http://127.0.0.1:{inbox_port}{CERTIFICATE}"
        self._ses, self._sns = ses_backends[ACCOUNT][region], sns_backends[ACCOUNT][region]
        self._inbox, self._faults = inbox, faults
        self._keys: set[str] = set()
        self._lock = threading.Lock()
        sender = parseaddr(os.environ.get("PETFOLIO_MAIL__SENDER", ""))[1].rpartition("@")[2]
        for domain in {_SENDER_DOMAIN, sender} - {""}:  # SES refuses senders that nobody has verified
            sesv2_backends[ACCOUNT][region].create_email_identity(domain, None, None, None)
        self._topic = self._sns.create_topic(EVENTS_TOPIC)
        for url in subscribers:
            self._sns.subscribe(self._topic.arn, url, "http")

    def drain(self) -> None:
        """Move what was sent into the inbox. moto's SES v1 and v2 share one list; popping keeps memory flat."""
        with self._lock:
            while self._ses.sent_messages:
                for message in _mails(self._ses.sent_messages[0]):
                    if not self._is_repeated(message):
                        self._inbox.keep(message)
                self._ses.sent_messages.pop(0)
            while self._sns.sms_messages:
                message_id = next(iter(self._sns.sms_messages))
                number, text = self._sns.sms_messages.pop(message_id)
                self._inbox.keep(Message(message_id, "sms", number, text=text))

    def _is_repeated(self, message: Message) -> bool:
        key = (message.headers or {}).get(DELIVERY_HEADER)
        known = key in self._keys
        if key is not None:
            self._keys.add(key)
        return known and self._faults.honours_keys

    def report(self, kind: Feedback, mail: Kept, message_id: str) -> int:
        """Publish what SES says about a mail to the events topic; answers how many listeners took it.

        Not through moto: its SNS signs nothing.
        """
        headers = [{"name": name, "value": value} for name, value in mail.headers.items()]
        message = self._signer.post(self._topic.arn, event(kind, message_id, mail.to, headers=headers))
        found = self._sns.list_subscriptions_by_topic(topic_arn=self._topic.arn)[0]
        return sum(_took(each.endpoint, message) for each in found if each.protocol.startswith("http"))

    def certificate(self) -> bytes:
        """What the messages of the topic are verified with."""
        return self._signer.certificate

    @property
    def _signer(self) -> Signer:
        with self._lock:
            return self._made_signer

    @cached_property
    def _made_signer(self) -> Signer:
        """Made when somebody wants it first: a key takes a tenth of a second, and most stacks never report."""
        return Signer(self._certificate_url)


def _took(url: str, message: bytes) -> bool:
    """One attempt, on loopback without a proxy: people who test see at once whether it arrived."""
    request = urllib.request.Request(url, message, {"Content-Type": "text/plain; charset=UTF-8"})  # noqa: S310 - http only
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
            return bool(answer.status < HTTPStatus.MULTIPLE_CHOICES)
    except OSError:  # refused or not there; an HTTPError is one, too
        return False


def _mails(sent: Any) -> list[Message]:
    """One message per recipient of one call."""
    if hasattr(sent, "raw_data"):
        parsed = email.message_from_bytes(sent.raw_data.encode(), policy=email.policy.default)
        recipients, subject = sent.destinations, parsed["subject"]
        text, html = _part(parsed, "plain"), _part(parsed, "html")
        headers = {name: str(value) for name, value in parsed.items()}
    else:
        recipients = [address for group in sent.destinations.values() for address in group]
        subject, text, html = getattr(sent, "subject", None), getattr(sent, "body", None), None
        headers = {"From": sent.source}
    # The same person in To and Cc gets one mail.
    addresses = dict.fromkeys(parseaddr(recipient)[1].lower() for recipient in recipients)
    return [Message(sent.id, "email", to, subject and str(subject), text, html, headers) for to in addresses]


def _part(parsed: EmailMessage, kind: str) -> str | None:
    body = parsed.get_body((kind,))
    return body.get_content() if body else None


class _Quiet(WSGIRequestHandler):
    """One line per request would bury what matters."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


class _QuietMoto(MotoRequestHandler, _Quiet):
    """moto's handler keeps header names that S3 needs; ours the peace."""


@dataclass(frozen=True, slots=True)
class PushPlace:
    """Where the push services listen, whom they know, and where they keep their ledger."""

    port: int
    account: Path
    ledger: Path

    def app(self, inbox: Inbox) -> PushApp:
        """The application."""
        account = json.loads(self.account.read_text())
        return PushApp(f"http://127.0.0.1:{self.port}", account, inbox, self.ledger)


def serve(
    port: int, inbox_port: int, store: Path, region: str, subscribers: list[str], push: PushPlace, sign_in: Path
) -> None:
    """All servers until SIGTERM. Loopback only: moto's own default is every interface."""
    os.umask(0o077)  # mails are for their reader only
    inbox, faults = Inbox(store), Faults()
    aws = Aws(region, inbox, faults, inbox_port, subscribers)
    moto: WsgiApp = DomainDispatcherApplication(create_backend_app)
    applications: tuple[tuple[int, Any, type[WSGIRequestHandler]], ...] = (
        (port, faults.around(_recorded(moto, aws)), _QuietMoto),
        (inbox_port, InboxApp(inbox, aws.report, faults.control, aws.certificate), _Quiet),
        (push.port, push.app(inbox), _Quiet),
        *((number, application, _Quiet) for number, application in open_apps(sign_in)),
    )
    servers: list[BaseWSGIServer] = [
        make_server("127.0.0.1", number, application, threaded=True, request_handler=handler)
        for number, application, handler in applications
    ]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


def _recorded(application: WsgiApp, aws: Aws) -> WsgiApp:
    def call(environ: Any, start_response: Any) -> list[bytes]:
        body = list(application(environ, start_response))
        aws.drain()
        return body

    return call


def main() -> None:
    """Entry point of the process."""
    parser = argparse.ArgumentParser(
        description="SES, SNS, push services, sign-in providers and the inbox of the local stack"
    )
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--inbox-port", type=int, required=True)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--push-port", type=int, required=True)
    parser.add_argument("--push-account", type=Path, required=True, help="the service account, as JSON")
    parser.add_argument("--push-ledger", type=Path, required=True)
    parser.add_argument("--sign-in", type=Path, required=True, help="how we are registered at sign-in providers")
    parser.add_argument("--subscriber", action="append", default=[], help="an address that gets what SES reports")
    arguments = parser.parse_args()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})  # sigwait needs them blocked everywhere
    region = os.environ.get("AWS_DEFAULT_REGION", "us-east-1")
    push = PushPlace(arguments.push_port, arguments.push_account, arguments.push_ledger)
    subscribers, sign_in = arguments.subscriber, arguments.sign_in
    serve(arguments.port, arguments.inbox_port, arguments.store, region, subscribers, push, sign_in)


if __name__ == "__main__":
    main()
