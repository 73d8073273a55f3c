"""Google Calendar and the calendars of Microsoft Graph for the local stack and the tests (calendar-sync.md §7).

One server, one store: Google under `/calendar/v3/`, Graph under `/v1.0/`, the OAuth of both, the push emitter, a page
for people, and `/_control/` for tests. A person is an e-mail address; whoever is named first exists from then on, with
an own calendar. What the vendors refuse is refused in their words, and what is not emulated is a 404 that the log
calls `unhandled`.
"""
