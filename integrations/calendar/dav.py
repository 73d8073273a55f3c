"""WebDAV as the calendar adapter speaks it: one request, one answer, and what an answer says (RFC 4918, RFC 6578).

The elements are those of `caldav`; its client is not used. That one decodes the paths of an answer for good, so that a
name with an encoded slash would be asked for elsewhere, found missing and taken for deleted; it asks again by itself
after a 401 and after broken connections; and its connections go wherever a name resolves to at the moment.
"""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from caldav.elements import dav
from caldav.elements.base import BaseElement
from lxml import etree

from integrations.calendar.calls import called
from integrations.calendar.protocol import Misunderstood, ProviderName, UnknownOutcome
from integrations.outbound import (
    REDIRECTS,
    AddressRefused,
    AddressUnreachable,
    AnswerTooLarge,
    Outbound,
    OutboundSession,
    Reply,
)

_MOST_REDIRECTS: Final = 5
_MOST_SESSIONS: Final = 3
_STATUS_PARTS: Final = 2
_DAV: Final = "{DAV:}"
_COUNTRY: Final = 2
_SHARED: Final = frozenset(
    "ac asn asso co com edu firm gen go gob gouv gov govt gv id ind ltd me mil ne net nhs nom or org plc sch".split()
)
"""Under which countries sell names."""
NOT_FOUND: Final = 404
MULTISTATUS: Final = 207


class SentElsewhere(AddressRefused):
    """422: the server sends us to a host of somebody else, who gets no credentials. Whoever entered the address can
    enter that one."""

    code = "calendar_sent_elsewhere"


@dataclass(frozen=True, slots=True)
class Answer:
    """One `response` of a multistatus: of which path, with which status of its own, and the properties it has."""

    href: str
    status: int
    properties: Mapping[str, Any]

    def text(self, tag: str) -> str:
        """The text of a property; empty without it."""
        found = self.properties.get(tag)
        return (found.text or "").strip() if found is not None else ""

    def hrefs(self, tag: str) -> list[str]:
        """The paths inside a property."""
        found = self.properties.get(tag)
        return [each.text.strip() for each in found.iter(dav.Href.tag) if each.text] if found is not None else []

    def has(self, tag: str, child: str) -> bool:
        """Whether a property contains this element."""
        found = self.properties.get(tag)
        return found is not None and next(found.iter(child), None) is not None


@dataclass(frozen=True, slots=True)
class MultiStatus:
    """What a 207 says. `sync_token` is that of a sync-collection."""

    answers: tuple[Answer, ...]
    sync_token: str | None


class Dav:
    """Requests in the name of one account, to the hosts of one owner. Connections stay open until `close`."""

    def __init__(self, outbound: Outbound, user: str, password: str) -> None:
        credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {credentials}", "User-Agent": "Petfolio"}
        self._outbound = outbound
        self._sessions: dict[tuple[str, str], OutboundSession] = {}

    async def close(self) -> None:
        """Close its connections."""
        while self._sessions:
            _, session = self._sessions.popitem()
            await session.close()

    async def request(
        self, method: str, url: str, body: BaseElement | str | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """One request, following redirects to hosts of the same owner. Raises `SentElsewhere`, and as `Outbound`."""
        sent, content = dict(headers or {}), b""
        if isinstance(body, BaseElement):
            sent["Content-Type"] = "application/xml; charset=utf-8"
            content = etree.tostring(body.xmlelement(), encoding="utf-8", xml_declaration=True)
        elif body is not None:
            content = body.encode()
        for _ in range(_MOST_REDIRECTS + 1):
            session = await self._session(url)
            called(ProviderName.CALDAV)
            reply = await session.request(method, url, headers=self._headers | sent, content=content)
            location = reply.headers.get("location")
            if reply.status not in REDIRECTS or location is None:
                return reply
            following = urljoin(url, location)
            if not same_owner(url, following):
                raise SentElsewhere("this server sends us to another one: enter its address")
            url = following
        raise AddressRefused("this server sends us in circles")

    async def _session(self, url: str) -> OutboundSession:
        parts = urlsplit(url)
        origin = parts.scheme, parts.netloc
        if origin not in self._sessions:
            if len(self._sessions) >= _MOST_SESSIONS:
                await self._sessions.pop(next(iter(self._sessions))).close()
            self._sessions[origin] = await self._outbound.session(url)
        return self._sessions[origin]


class AccountDav(Dav):
    """The same during the sync: nobody is there who could enter another address."""

    async def request(
        self, method: str, url: str, body: BaseElement | str | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """As `Dav`, with the failures of the calendar port: `UnknownOutcome`, `Misunderstood`."""
        try:
            return await super().request(method, url, body, headers)
        except (AddressRefused, AddressUnreachable) as error:
            raise UnknownOutcome("the server does not answer") from error
        except AnswerTooLarge as error:
            raise Misunderstood("the answer is too large") from error


def same_owner(one: str, other: str) -> bool:
    """Whether two URLs are those of one owner, as far as their names tell: one host, or two under one domain, and no
    step back from https. Others get no credentials of one another."""
    here, there = urlsplit(one), urlsplit(other)
    if here.scheme == "https" and there.scheme != "https":
        return False
    if here.hostname == there.hostname:
        return here.port == there.port or here.scheme != there.scheme
    if not here.hostname or not there.hostname or here.port or there.port:
        return False
    return domain(here.hostname) is not None and domain(here.hostname) == domain(there.hostname)


def domain(host: str) -> str | None:
    """What was registered: the last two labels, or three where many owners share two (`co.uk`). None for an IP address
    and for a name that is too short."""
    labels = host.lower().rstrip(".").split(".")
    shared = len(labels[-1]) == _COUNTRY and len(labels) > 1 and labels[-2] in _SHARED
    needed = 3 if shared else 2
    if ":" in host or labels[-1].isdecimal() or len(labels) < needed:
        return None
    return ".".join(labels[-needed:])


def multistatus(reply: Reply) -> MultiStatus:
    """What a multistatus says. Raises `Misunderstood`."""
    tree = xml(reply.body)
    if reply.status != MULTISTATUS or tree is None:
        raise Misunderstood("not a multistatus")
    root = next(tree.iter(dav.MultiStatus.tag), None)
    if root is None:
        raise Misunderstood("not a multistatus")
    token = root.find(dav.SyncToken.tag)
    return MultiStatus(tuple(_answers(root)), (token.text or "").strip() if token is not None else None)


def preconditions(reply: Reply) -> frozenset[str]:
    """The elements that say why a request was refused (RFC 4918 §16); empty where it says nothing in XML."""
    tree = xml(reply.body) if reply.body.lstrip()[:1] == b"<" else None
    if tree is None or tree.tag != f"{_DAV}error":
        return frozenset()
    return frozenset(each.tag for each in tree if isinstance(each.tag, str))


def conflicting_href(reply: Reply) -> str | None:
    """Where the server has what is in the way, if its refusal says so."""
    tree = xml(reply.body)
    found = next(tree.iter(dav.Href.tag), None) if tree is not None else None
    return found.text.strip() if found is not None and found.text else None


def xml(body: bytes) -> Any:
    """The root of a document, or None for what is none. A document with a DTD is none of ours: entities are bombs."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        tree = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError):
        return None
    info = tree.getroottree().docinfo
    return None if info.internalDTD is not None or info.externalDTD is not None else tree


def _answers(root: Any) -> Iterator[Answer]:
    for response in root.iterchildren(dav.Response.tag):
        hrefs = [each.text.strip() for each in response.iterchildren(dav.Href.tag) if each.text]
        own = response.find(dav.Status.tag)
        properties: dict[str, Any] = {}
        for stat in response.iterchildren(dav.PropStat.tag):
            # A second propstat with 404 must not overwrite what the first one has.
            if 200 <= _code(stat.find(dav.Status.tag)) < 300:
                properties |= {each.tag: each for prop in stat.iterchildren(dav.Prop.tag) for each in prop}
        for href in hrefs:
            yield Answer(href, _code(own), properties)


def _code(status: Any) -> int:
    """The number in a status line; 200 without one."""
    parts = ((status.text or "") if status is not None else "").split()
    if len(parts) < _STATUS_PARTS or not parts[1].isdecimal():
        return 200
    return int(parts[1])
