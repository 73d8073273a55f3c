"""Every router of the api, in the order of the documentation."""

from api.routes import auth, health, health_records, jwks, pages, pets, users

ALL = (
    auth.router,
    users.router,
    jwks.router,
    pages.router,
    pets.router,
    health_records.router,
    health_records.alias,
    health.router,
)
