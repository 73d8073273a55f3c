"""The bodies of CalDAV requests (RFC 4791, RFC 6578), and the paths in their answers."""

from collections.abc import Iterable
from typing import ClassVar, Final
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from caldav.elements import cdav, dav
from caldav.elements.base import BaseElement

from integrations.calendar.dav import Answer, same_owner


class Ctag(BaseElement):
    """What changes with every change of a collection; of the time before sync tokens."""

    tag: ClassVar[str] = "{http://calendarserver.org/ns/}getctag"


WELL_KNOWN: Final = "/.well-known/caldav"
_WRITE_PRIVILEGES: Final = frozenset({"{DAV:}write", "{DAV:}write-content", "{DAV:}bind", "{DAV:}all"})


def properties(*wanted: BaseElement) -> BaseElement:
    """A PROPFIND for these."""
    return _of(dav.Propfind(), _of(dav.Prop(), *wanted))


def changes_since(token: str) -> BaseElement:
    """A sync-collection; everything, for the empty token. Without a limit: a server was seen to cut its answer there
    and give the token of the whole."""
    level = dav.SyncLevel()
    level.value = "1"
    since = dav.SyncToken()
    since.value = token
    return _of(dav.SyncCollection(), since, level, _of(dav.Prop(), dav.GetEtag()))


def multiget(paths: Iterable[str]) -> BaseElement:
    """Whole resources, by path."""
    hrefs = [dav.Href(value=path) for path in paths]
    return _of(cdav.CalendarMultiGet(), _of(dav.Prop(), dav.GetEtag(), cdav.CalendarData()), *hrefs)


def with_uid(uid: str) -> BaseElement:
    """A query for the resource of this UID."""
    match = _of(cdav.PropFilter("UID"), cdav.TextMatch(uid))
    events = _of(cdav.CompFilter("VCALENDAR"), _of(cdav.CompFilter("VEVENT"), match))
    return _of(cdav.CalendarQuery(), _of(dav.Prop(), dav.GetEtag()), _of(cdav.Filter(), events))


def calendar_named(title: str) -> BaseElement:
    """A MKCALENDAR for events under this name."""
    kinds = _of(cdav.SupportedCalendarComponentSet(), cdav.Comp("VEVENT"))
    return _of(cdav.Mkcalendar(), _of(dav.Set(), _of(dav.Prop(), dav.DisplayName(title), kinds)))


def _of(parent: BaseElement, *children: BaseElement) -> BaseElement:
    return parent.append(children)


def is_calendar(answer: Answer) -> bool:
    """Whether a collection is a calendar that events can be written to, as far as it says."""
    if not answer.has(dav.ResourceType.tag, cdav.Calendar.tag):
        return False
    kinds = answer.properties.get(cdav.SupportedCalendarComponentSet.tag)
    if kinds is not None and "VEVENT" not in {str(each.get("name", "")).upper() for each in kinds}:
        return False
    rights = answer.properties.get(dav.CurrentUserPrivilegeSet.tag)
    return rights is None or any(each.tag in _WRITE_PRIVILEGES for each in rights.iter())


def url_in(base: str, href: str) -> str | None:
    """Where an href of an answer from `base` leads; None for a host of somebody else."""
    url = urljoin(base, href)
    return url if same_owner(base, url) else None


def collection(url: str) -> str:
    """The URL of a collection, which ends with a slash and holds nothing after its path."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") + "/", "", ""))


def url_of(calendar_id: str, remote_id: str) -> str:
    """Where the resource is that `id_in` named."""
    return urljoin(calendar_id, remote_id) if remote_id.startswith("/") else calendar_id + remote_id


def id_in(calendar_id: str, href: str) -> str:
    """The id of a resource by its href: what follows the calendar, just as the server writes it; the whole path of what
    lies elsewhere; empty for the calendar itself.

    Servers write `@` and `%40` in the path of the calendar as they like, and may name another host. Below it a name is
    theirs, and the same name is only what is spelled the same.
    """
    path = urlsplit(href).path
    above, parts = urlsplit(calendar_id).path.split("/")[:-1], path.split("/")
    if [unquote(each) for each in parts[: len(above)]] == [unquote(each) for each in above]:
        return "/".join(parts[len(above) :])
    return path
