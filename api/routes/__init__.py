"""Every router of the api, in the order of the documentation."""

from api.routes import (
    auth,
    calendar,
    codec,
    health,
    health_records,
    jwks,
    notifications,
    occurrences,
    pages,
    pets,
    reminders,
    users,
    workflows,
)

ALL = (
    auth.router,
    users.router,
    jwks.router,
    pages.router,
    pets.router,
    health_records.router,
    health_records.alias,
    reminders.router,
    occurrences.router,
    notifications.router,
    calendar.router,
    workflows.router,
    health.router,
    codec.router,
)
