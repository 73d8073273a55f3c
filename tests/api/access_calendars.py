"""Example requests of everything about calendars, as in `access_examples.py`. Connections are their person's alone."""

from collections.abc import Mapping
from typing import Final

from tests.api.access_ground import Example, listing, refused

SPAN: Final = "from=2036-06-01T00:00:00Z&to=2036-06-08T00:00:00Z"

CALENDARS: Final[Mapping[str, Example]] = {
    "list_calendar_events": listing(f"/integrations/calendar/events?{SPAN}"),
    "sync_calendar": Example("POST", "/integrations/calendar/sync", answers=frozenset({409}), names_nothing=True),
    "list_calendar_connections": Example("GET", "/integrations/calendar/connections"),
    "create_calendar_connection": refused(
        "POST", "/integrations/calendar/connections", 404, body={"provider": "google"}
    ),
    "finish_calendar_connection": refused("POST", "/integrations/calendar/finish", 400, body={"code": "none-of-ours"}),
    "start_calendar_consent": refused("GET", "/integrations/calendar/start?ticket=none-of-ours", 400),
    "finish_calendar_consent": refused("GET", "/integrations/calendar/callback/google", 400),
    "get_calendar_connection": refused("GET", "/integrations/calendar/connections/{nobody}", 404),
    "change_calendar_connection": refused("PATCH", "/integrations/calendar/connections/{nobody}", 404, body={}),
    "delete_calendar_connection": refused("DELETE", "/integrations/calendar/connections/{nobody}", 404),
    "reauthorise_calendar_connection": refused(
        "POST", "/integrations/calendar/connections/{nobody}/reauthorise", 404, body={}
    ),
    "pause_calendar_connection": refused("POST", "/integrations/calendar/connections/{nobody}/pause", 404),
    "resume_calendar_connection": refused("POST", "/integrations/calendar/connections/{nobody}/resume", 404),
    "confirm_calendar_deletions": refused("POST", "/integrations/calendar/connections/{nobody}/confirm-deletions", 404),
    "recreate_calendar": refused("POST", "/integrations/calendar/connections/{nobody}/recreate-calendar", 404),
    "list_calendar_conflicts": Example("GET", "/integrations/calendar/conflicts"),
    "restore_calendar_conflict": refused("POST", "/integrations/calendar/conflicts/{nobody}/restore", 404),
    "create_calendar_feed": Example("POST", "/integrations/calendar/feeds", {}),
    "list_calendar_feeds": Example("GET", "/integrations/calendar/feeds"),
    "delete_calendar_feed": refused("DELETE", "/integrations/calendar/feeds/{nobody}", 404),
    "read_calendar_feed": refused("GET", "/feeds/none-of-ours.ics", 404),
    "receive_google_calendar_push": refused("POST", "/webhooks/google-calendar", 401),
    "receive_graph_push": Example("POST", "/webhooks/microsoft-graph", {"value": []}),
    "receive_graph_lifecycle": Example("POST", "/webhooks/microsoft-graph/lifecycle", {"value": []}),
}
