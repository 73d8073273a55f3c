"""Every router of the api, in the order of the documentation."""

from api.routes import auth, codec, health, health_records, jwks, pages, pets, users, workflows

ALL = (
    auth.router,
    users.router,
    jwks.router,
    pages.router,
    pets.router,
    health_records.router,
    health_records.alias,
    workflows.router,
    health.router,
    codec.router,
)
