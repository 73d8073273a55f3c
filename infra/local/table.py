"""The services of the local stack: one line each. Order is how people see them; `after` is how they start."""

from infra.local.launchers import app, aws, caldav, calendars, postgres, seaweedfs, stripe, temporal, valkey
from infra.local.service import Service

SERVICES: tuple[Service, ...] = (
    postgres.SERVICE,
    valkey.SERVICE,
    temporal.SERVICE,
    seaweedfs.SERVICE,
    aws.SERVICE,
    caldav.SERVICE,
    calendars.SERVICE,
    stripe.SERVICE,
    app.SETUP,
    app.API,
    app.WORKER_CORE,
    app.WORKER_BILLING,
    app.WORKER_CALENDAR,
    app.WORKER_MEDIA,
)
