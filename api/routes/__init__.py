"""Every router of the api, in the order of the documentation."""

from api.routes import health

ALL = (health.router,)
