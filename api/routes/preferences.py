"""`/users/notification-preferences`, `/users/quiet-hours`, `/users/notification-settings`: what the next send asks."""

from fastapi import Request, Response

from api import preferences
from api.auth import CurrentUser
from api.deps import ServicesDep, UnitOfWork
from api.etag import IfMatch
from api.json_response import document
from api.routing import router as make_router
from api.schemas.preferences import (
    PreferencesIn,
    PreferencesOut,
    QuietHoursOut,
    QuietWindowsIn,
    SettingsIn,
    SettingsOut,
)

router = make_router("/users", "notifications")


@router.get("/notification-preferences", operation_id="get_notification_preferences", response_model=PreferencesOut)
async def get_notification_preferences(request: Request, caller: CurrentUser, services: ServicesDep) -> Response:
    """What I am told on which channel."""
    shown = await preferences.show(services.db.reads, caller, preferences.matrix)
    return document(request, shown, shown["version"])


@router.put("/notification-preferences", operation_id="replace_notification_preferences", response_model=PreferencesOut)
async def replace_notification_preferences(
    request: Request, body: PreferencesIn, caller: CurrentUser, if_match: IfMatch, session: UnitOfWork
) -> Response:
    """Set the named cells; all others go back to their default. 422 `locked` for what cannot be switched."""
    shown = await preferences.change_matrix(session, caller, body, if_match, others_default=True)
    return document(request, shown, shown["version"])


@router.patch(
    "/notification-preferences", operation_id="change_notification_preferences", response_model=PreferencesOut
)
async def change_notification_preferences(
    request: Request, body: PreferencesIn, caller: CurrentUser, if_match: IfMatch, session: UnitOfWork
) -> Response:
    """Set the named cells; all others stay. 422 `locked` for what cannot be switched."""
    shown = await preferences.change_matrix(session, caller, body, if_match, others_default=False)
    return document(request, shown, shown["version"])


@router.get("/quiet-hours", operation_id="get_quiet_hours", response_model=QuietHoursOut)
async def get_quiet_hours(request: Request, caller: CurrentUser, services: ServicesDep) -> Response:
    """When I want silence."""
    shown = await preferences.show(services.db.reads, caller, preferences.quiet_hours)
    return document(request, shown, shown["version"])


@router.put("/quiet-hours", operation_id="replace_quiet_hours", response_model=QuietHoursOut)
async def replace_quiet_hours(
    request: Request, body: QuietWindowsIn, caller: CurrentUser, if_match: IfMatch, session: UnitOfWork
) -> Response:
    """Set all windows. 422 `quiet_hours_empty` where start equals end, `quiet_hours_whole_day` when nothing is left."""
    shown = await preferences.change_quiet_hours(session, caller, body, if_match)
    return document(request, shown, shown["version"])


@router.get("/notification-settings", operation_id="get_notification_settings", response_model=SettingsOut)
async def get_notification_settings(request: Request, caller: CurrentUser, services: ServicesDep) -> Response:
    """When my digest comes, and what breaks through quiet hours."""
    shown = await preferences.show(services.db.reads, caller, preferences.settings)
    return document(request, shown, shown["version"])


@router.put("/notification-settings", operation_id="replace_notification_settings", response_model=SettingsOut)
async def replace_notification_settings(
    request: Request, body: SettingsIn, caller: CurrentUser, if_match: IfMatch, session: UnitOfWork
) -> Response:
    """Change what is sent."""
    shown = await preferences.change_settings(session, caller, body, if_match)
    return document(request, shown, shown["version"])
