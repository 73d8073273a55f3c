"""One example request for each operation of the api, for `test_access_matrix.py`.

A route added elsewhere needs a row here: its method, its path and its body with the things of the prepared household
in braces (`{pet}`), and what those who may call it are answered, where that is not 2xx. Things are made by `MAKERS`.
"""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from sqlalchemy import text

from core.ids import new_id
from domain.access import Role
from models.queries import households
from temporal import ids
from tests.api.access_billing import BILLING_OFF
from tests.api.access_calendars import CALENDARS
from tests.api.access_ground import CANARY, Example, Ground, Maker, listing, refused
from tests.api.access_media import MEDIA, media

DAILY: Final = {"mode": "fixed", "dtstart_local": "2036-06-01T08:00", "freq": "DAILY", "tzid": "Europe/Berlin"}
AWAY: Final = {"starts_at": "2036-06-01T00:00:00Z", "ends_at": "2036-06-08T00:00:00Z"}


async def pet(ground: Ground) -> object:
    body = {"name": f"{CANARY} the cat", "household_id": str(ground.household_id), "microchip_id": None}
    return (await ground.owner_sends("POST", "/pets", body))["id"]


async def record(ground: Ground) -> object:
    body = {"record_type": "visit", "title": f"{CANARY}'s teeth"}
    return (await ground.owner_sends("POST", f"/pets/{await ground.make('pet')}/records", body))["id"]


async def reminder(ground: Ground) -> object:
    body = {"title": f"{CANARY}'s tablet", "schedule": DAILY, "pet_id": await ground.make("pet")}
    return (await ground.owner_sends("POST", "/reminders", body))["id"]


async def appointment(ground: Ground) -> object:
    body = {"title": f"{CANARY}'s vet", "pet_id": await ground.make("pet"), "starts_at": "2036-06-01T09:00"}
    body |= {"rrule": "FREQ=DAILY", "notes": f"{CANARY}'s notes", "location": f"{CANARY} Lane"}
    return (await ground.owner_sends("POST", "/appointments", body))["id"]


async def deleted(ground: Ground) -> object:
    gone = await appointment(ground)
    await ground.owner_sends("DELETE", f"/appointments/{gone}")
    return gone


async def occurrence(ground: Ground) -> object:
    path = f"/reminders/{await ground.make('reminder')}/occurrences"
    return (await ground.owner_sends("GET", path))["items"][0]["id"]


async def due(ground: Ground) -> object:
    found = await ground.make("occurrence")
    async with ground.api.identity.db.sessions.begin() as session:
        await session.execute(text("UPDATE occurrences SET state = 'due' WHERE id = :id"), {"id": UUID(found)})
    return found


async def done(ground: Ground) -> object:
    found = await ground.make("occurrence")
    await ground.owner_sends("POST", f"/occurrences/{found}/complete", {})
    return found


async def member(ground: Ground) -> object:
    user_id = new_id()
    await ground.add_person(user_id)
    async with ground.api.identity.db.sessions.begin() as session:
        await households.join(session, ground.household_id, user_id, Role.OWNER)
    return user_id


async def invitation(ground: Ground) -> object:
    body = {"email": f"{new_id()}@{CANARY}.test", "role": "caretaker"}
    return (await ground.owner_sends("POST", f"/households/{ground.household_id}/invitations", body))["id"]


async def transfer(ground: Ground) -> object:
    body = {"pet_id": await ground.make("pet"), "email": f"{new_id()}@{CANARY}.test"}
    return (await ground.owner_sends("POST", f"/households/{ground.household_id}/transfers", body))["id"]


async def workflow(ground: Ground) -> object:
    return ids.reminder(ground.household_id, UUID(await ground.make("reminder")))


async def tagged(ground: Ground) -> object:
    animal = await ground.make("pet")
    await ground.owner_sends("PUT", f"/pets/{animal}/tag", {"shown": ["species"]})
    return animal


async def lost(ground: Ground) -> object:
    animal = await ground.make("pet")
    await ground.owner_sends("POST", f"/pets/{animal}/lost", {})
    return animal


async def grant(ground: Ground) -> object:
    body = {"kind": "vet", "label": f"{CANARY}'s vet", "pet_ids": [await ground.make("pet")]}
    return (await ground.owner_sends("POST", f"/households/{ground.household_id}/grants", body))["id"]


async def absence(ground: Ground) -> object:
    return (await ground.owner_sends("POST", f"/households/{ground.household_id}/absences", AWAY))["id"]


async def nobody(_: Ground) -> object:
    return new_id()


MAKERS: Final[Mapping[str, Maker]] = {
    "pet": pet,
    "record": record,
    "reminder": reminder,
    "appointment": appointment,
    "deleted": deleted,
    "occurrence": occurrence,
    "due": due,
    "done": done,
    "member": member,
    "invitation": invitation,
    "transfer": transfer,
    "workflow": workflow,
    "grant": grant,
    "absence": absence,
    "tagged": tagged,
    "lost": lost,
    "media": media,
    "nobody": nobody,
}
"""How the things that examples name in braces are made; `{household}` is there already, `{nobody}` is nobody's."""

_TOKEN: Final = {"token": "none-of-ours"}
_CODE: Final = {"code": "none-of-ours", "code_verifier": "v" * 43}
_LOOK: Final = {"household_id": "{household}", "reason": "You asked why nothing came on Monday."}
_RECORD: Final = {"record_type": "visit", "title": "Teeth"}
_SPAN: Final = "from=2036-06-01T00:00:00Z&to=2036-06-08T00:00:00Z"

EXAMPLES: Final[Mapping[str, Example]] = {
    # the process and its documents
    "healthz": Example("GET", "//healthz"),
    "readyz": Example("GET", "//readyz"),
    "metrics": refused("GET", "//metrics", 200, 403, 404),
    "jwks": Example("GET", "//.well-known/jwks.json"),
    "docs_page": Example("GET", "//docs"),
    "docs_script": Example("GET", "//docs/start.js"),
    "docs_asset": Example("GET", "//docs/swagger-ui.css"),
    "decode_payloads": refused("POST", "//temporal/codec/decode", 200, 401, body={"payloads": []}),
    # pages that mails lead to, and what their buttons send
    "home_page": Example("GET", "//"),
    "verify_email_page": Example("GET", "//verify-email"),
    "cancel_erasure_page": Example("GET", "//cancel-erasure"),
    "unsubscribe_page": Example("GET", "//unsubscribe"),
    "invitation_page": Example("GET", "//invitation"),
    "reset_password_page": Example("GET", "//reset-password"),
    "upload_page": Example("GET", "//upload"),
    "upload_script": Example("GET", "//upload/upload.js"),
    "confirm_email_page": Example("GET", "//confirm-email"),
    "verify_email": refused("POST", "/auth/verify-email", 400, body=_TOKEN),
    "cancel_erasure": refused("POST", "/users/erasure/cancel", 400, body=_TOKEN),
    "reset_password": refused("POST", "/auth/password/reset", 400, body=_TOKEN | {"password": "a new long password"}),
    "confirm_email": refused("POST", "/auth/confirm-email", 400, body=_TOKEN),
    "unsubscribe": refused("POST", "/unsubscribe/none-of-ours", 404),
    "resubscribe": refused("POST", "/unsubscribe/none-of-ours/undo", 404),
    # getting in and out
    "register": refused("POST", "/auth/register", 422, body={"email": "a@example.test", "password": "short"}),
    "login": refused("POST", "/auth/login", 401, 429, body={"email": "nobody@example.test", "password": "wrong wrong"}),
    "refresh_token": refused("POST", "/auth/refresh-token", 401, body={"refresh_token": "none-of-ours"}),
    "forgot_password": Example("POST", "/auth/password/forgot", {"email": "nobody@example.test"}),
    "step_up": refused("POST", "/auth/step-up", 403, 429, body={"password": "wrong wrong"}),
    "logout": Example("POST", "/auth/logout"),
    "logout_all": Example("POST", "/auth/logout-all"),
    "list_sessions": Example("GET", "/auth/sessions"),
    "end_session": refused("DELETE", "/auth/sessions/{nobody}", 404),
    "end_other_sessions": Example("DELETE", "/auth/sessions"),
    # second factors and passkeys
    "answer_mfa_challenge": refused(
        "POST", "/auth/mfa/challenge", 401, body={"challenge": "none-of-ours", "code": "123456"}
    ),
    "passkey_options_for_challenge": refused(
        "POST", "/auth/mfa/challenge/passkey-options", 401, body={"challenge": "none-of-ours"}
    ),
    "passkey_sign_in_options": Example("POST", "/auth/passkeys/options"),
    "passkey_sign_in": refused("POST", "/auth/passkeys/sign-in", 422, body={}),
    "passkey_options_for_step_up": refused("POST", "/auth/passkeys/step-up-options", 409),
    "get_second_factors": Example("GET", "/auth/mfa"),
    "enrol_totp": Example("POST", "/auth/mfa/totp"),
    "confirm_totp": refused("POST", "/auth/mfa/totp/confirm", 409, body={"code": "123456"}),
    "remove_totp": refused("DELETE", "/auth/mfa/totp", 404),
    "make_recovery_codes": refused("POST", "/auth/mfa/recovery-codes", 409),
    "list_passkeys": Example("GET", "/auth/passkeys"),
    "begin_passkey": Example("POST", "/auth/passkeys/registration-options"),
    "register_passkey": refused("POST", "/auth/passkeys", 422, body={}),
    "rename_passkey": refused("PATCH", "/auth/passkeys/{nobody}", 404, body={"name": "Key"}),
    "remove_passkey": refused("DELETE", "/auth/passkeys/{nobody}", 404),
    # with an account elsewhere; none is set up here
    "list_sign_in_providers": Example("GET", "/auth/oauth"),
    "start_oauth": refused("GET", "/auth/oauth/google/start", 404),
    "finish_oauth": refused("GET", "/auth/oauth/google/callback", 404),
    "finish_oauth_form": refused("POST", "/auth/oauth/google/callback", 404),
    "exchange_oauth_code": refused("POST", "/auth/oauth/token", 400, body=_CODE),
    "data_deletion_page": refused("GET", "//data-deletion/none-of-ours", 404),
    "list_identities": Example("GET", "/users/identities"),
    "start_linking": refused("POST", "/users/identities/google/start", 404, body={"code_challenge": "c" * 43}),
    "finish_linking": refused("POST", "/users/identities", 400, body=_CODE),
    "unlink_identity": refused("DELETE", "/users/identities/{nobody}", 404),
    # oneself
    "get_profile": Example("GET", "/users/profile"),
    "change_profile": Example("PATCH", "/users/profile", {"locale": "de"}),
    "replace_profile": Example("PUT", "/users/profile", {"locale": "de"}),
    "list_consents": Example("GET", "/users/consents"),
    "record_consent": refused("POST", "/users/consents", 422, body={}),
    "list_audit_entries": Example("GET", "/users/audit"),
    "list_devices": Example("GET", "/devices"),
    "register_device": refused("POST", "/devices", 422, body={}),
    "delete_device": refused("DELETE", "/devices/{nobody}", 404),
    "get_vapid_key": Example("GET", "/devices/vapid-key"),
    "get_notification_preferences": Example("GET", "/users/notification-preferences"),
    "change_notification_preferences": refused("PATCH", "/users/notification-preferences", 422, body=[]),
    "replace_notification_preferences": refused("PUT", "/users/notification-preferences", 422, body=[]),
    "get_quiet_hours": Example("GET", "/users/quiet-hours"),
    "replace_quiet_hours": Example("PUT", "/users/quiet-hours", {"windows": []}),
    "get_notification_settings": Example("GET", "/users/notification-settings"),
    "replace_notification_settings": refused("PUT", "/users/notification-settings", 422, body=[]),
    "get_mail_suppression": refused("GET", "/notifications/suppression", 200, 404),
    "lift_mail_suppression": refused("DELETE", "/notifications/suppression", 204, 404),
    "list_notifications": Example("GET", "/notifications"),
    "count_unread_notifications": Example("GET", "/notifications/unread"),
    "read_notification": refused("POST", "/notifications/{nobody}/read", 404),
    "read_all_notifications": Example("POST", "/notifications/read-all"),
    "change_email": Example("POST", "/users/email", {"email": "moved@example.test"}),
    "change_password": refused("PUT", "/users/password", 422, body={"password": "short"}),
    "request_erasure": Example("DELETE", "/users/account"),
    "get_erasure": refused("GET", "/users/erasure", 404),
    # households: what they are, who belongs to them, and who is asked to
    "list_households": listing("/households"),
    "create_household": Example("POST", "/households", {"name": "Another"}),
    "get_household": Example("GET", "/households/{household}"),
    "change_household": Example("PATCH", "/households/{household}", {"country": "DE"}),
    "replace_household": Example("PUT", "/households/{household}", {"country": "DE"}),
    # It has a pet; that the owner might is what counts.
    "delete_household": refused("DELETE", "/households/{household}", 409),
    "list_members": Example("GET", "/households/{household}/members"),
    "change_member": Example("PATCH", "/households/{household}/members/{member}", {"role": "caretaker"}),
    "remove_member": Example("DELETE", "/households/{household}/members/{member}"),
    # Without another owner the owner may not; that they might is what counts.
    "leave_household": refused("POST", "/households/{household}/leave", 204, 409),
    "list_household_audit": Example("GET", "/households/{household}/audit"),
    "list_invitations": Example("GET", "/households/{household}/invitations"),
    "create_invitation": Example(
        "POST", "/households/{household}/invitations", {"email": "guest@example.test", "role": "caretaker"}
    ),
    "resend_invitation": Example("POST", "/households/{household}/invitations/{invitation}/resend"),
    "revoke_invitation": Example("DELETE", "/households/{household}/invitations/{invitation}"),
    "accept_invitation": refused("POST", "/invitations/accept", 400, body=_TOKEN),
    "decline_invitation": refused("POST", "/invitations/decline", 400, body=_TOKEN),
    # sitters and vets
    "list_grants": Example("GET", "/households/{household}/grants"),
    "create_grant": Example(
        "POST", "/households/{household}/grants", {"kind": "vet", "label": "Dr Herriot", "pet_ids": ["{pet}"]}
    ),
    "get_grant": Example("GET", "/households/{household}/grants/{grant}"),
    "change_grant": Example("PATCH", "/households/{household}/grants/{grant}", {}),
    "revoke_grant": Example("DELETE", "/households/{household}/grants/{grant}"),
    "list_grant_accesses": Example("GET", "/households/{household}/grants/{grant}/accesses"),
    "get_grant_qr": Example("GET", "/households/{household}/grants/{grant}/qr"),
    "list_my_grants": Example("GET", "/grants"),
    "accept_grant": refused("POST", "/grants/{nobody}/accept", 404),
    "leave_grant": refused("DELETE", "/grants/{nobody}", 404),
    "read_vet_link": refused("GET", "/v/none-of-ours", 404),
    "vet_page": Example("GET", "//v/none-of-ours"),
    # when nobody is there
    "list_absences": Example("GET", "/households/{household}/absences"),
    "declare_absence": Example("POST", "/households/{household}/absences", AWAY | {"pet_ids": ["{pet}"]}),
    "get_absence": Example("GET", "/households/{household}/absences/{absence}"),
    "change_absence": Example(
        "PATCH", "/households/{household}/absences/{absence}", {"ends_at": "2036-06-09T00:00:00Z"}
    ),
    "end_absence": Example("DELETE", "/households/{household}/absences/{absence}"),
    # pets that move
    "list_transfers": Example("GET", "/households/{household}/transfers"),
    "offer_transfer": Example(
        "POST", "/households/{household}/transfers", {"pet_id": "{pet}", "email": "guest@example.test"}
    ),
    "cancel_transfer": Example("DELETE", "/households/{household}/transfers/{transfer}"),
    "list_offers": Example("GET", "/transfers"),
    "accept_transfer": refused("POST", "/transfers/{transfer}/accept", 404, body={}),
    "decline_transfer": refused("POST", "/transfers/{transfer}/decline", 404),
    # tags and searches; after offers, because a lost pet is not given away
    "get_tag": Example("GET", "/pets/{tagged}/tag"),
    "save_tag": Example("PUT", "/pets/{pet}/tag", {"shown": ["species"]}),
    "revoke_tag": Example("DELETE", "/pets/{tagged}/tag"),
    "get_tag_qr_svg": Example("GET", "/pets/{tagged}/tag/qr.svg"),
    "get_tag_qr_png": Example("GET", "/pets/{tagged}/tag/qr.png"),
    "read_tag": refused("GET", "/p/none-of-ours", 404),
    "tag_page": refused("GET", "//p/none-of-ours", 404),
    "report_sighting": refused("POST", "/p/none-of-ours/sightings", 404, body={"message": "She is here."}),
    "open_search": Example("POST", "/pets/{pet}/lost", {}),
    "get_search": Example("GET", "/pets/{lost}/lost"),
    "change_search": Example("PATCH", "/pets/{lost}/lost", {"note": "Very shy."}),
    "confirm_search": Example("POST", "/pets/{lost}/lost/confirm"),
    "close_search": Example("POST", "/pets/{lost}/lost/close", {"reason": "found"}),
    "list_sightings": Example("GET", "/pets/{pet}/sightings"),
    # pets and their diary
    "list_pets": listing("/pets"),
    "create_pet": Example("POST", "/pets", {"name": "Milo", "household_id": "{household}"}),
    "get_pet": Example("GET", "/pets/{pet}"),
    "change_pet": Example("PATCH", "/pets/{pet}", {"breed": "Tabby"}),
    "replace_pet": Example("PUT", "/pets/{pet}", {"breed": "Tabby"}),
    "delete_pet": Example("DELETE", "/pets/{pet}"),
    "list_records": Example("GET", "/health-records/pets/{pet}/records"),
    "create_record": Example("POST", "/health-records/pets/{pet}/records", _RECORD),
    "list_pet_records": Example("GET", "/pets/{pet}/records"),
    "create_pet_record": Example("POST", "/pets/{pet}/records", _RECORD),
    "get_record": Example("GET", "/health-records/records/{record}"),
    "change_record": Example("PATCH", "/health-records/records/{record}", {"title": "Paws"}),
    "replace_record": Example("PUT", "/health-records/records/{record}", {"title": "Paws"}),
    "delete_record": Example("DELETE", "/health-records/records/{record}"),
    **MEDIA,
    # reminders and what is due
    "list_reminders": listing("/reminders"),
    "create_reminder": Example("POST", "/reminders", {"title": "Tablet", "schedule": DAILY, "pet_id": "{pet}"}),
    "get_reminder": Example("GET", "/reminders/{reminder}"),
    "change_reminder": Example("PATCH", "/reminders/{reminder}", {"title": "Pill"}),
    "replace_reminder": Example("PUT", "/reminders/{reminder}", {"title": "Pill"}),
    "delete_reminder": Example("DELETE", "/reminders/{reminder}"),
    "pause_reminder": Example("POST", "/reminders/{reminder}/pause"),
    "resume_reminder": Example("POST", "/reminders/{reminder}/resume"),
    "preview_reminder": Example("GET", "/reminders/{reminder}/preview"),
    "preview_schedule": Example("POST", "/reminders/preview", {"schedule": DAILY, "pet_id": "{pet}"}),
    "list_occurrences": Example("GET", "/reminders/{reminder}/occurrences"),
    "find_occurrences": listing(f"/occurrences?{_SPAN}"),
    "get_occurrence": Example("GET", "/occurrences/{occurrence}"),
    "explain_occurrence": Example("GET", "/occurrences/{occurrence}/explain"),
    "complete_occurrence": Example("POST", "/occurrences/{occurrence}/complete", {}),
    "skip_occurrence": Example("POST", "/occurrences/{occurrence}/skip"),
    "snooze_occurrence": Example("POST", "/occurrences/{occurrence}/snooze", {"minutes": 30}),
    "undo_occurrence": Example("POST", "/occurrences/{done}/undo"),
    "acknowledge_occurrence": Example("POST", "/occurrences/{due}/acknowledge"),
    "get_agenda": listing(f"/agenda?{_SPAN}"),
    "list_workflows": listing("/workflows"),
    "get_workflow": Example("GET", "/workflows/{workflow}"),
    # appointments
    "list_appointments": listing(f"/appointments?{_SPAN}"),
    "create_appointment": Example(
        "POST", "/appointments", {"title": "Vet", "starts_at": "2036-06-01T09:00", "pet_id": "{pet}"}
    ),
    "get_appointment": Example("GET", "/appointments/{appointment}"),
    "change_appointment": Example("PATCH", "/appointments/{appointment}", {"title": "Dentist"}),
    "replace_appointment": Example("PUT", "/appointments/{appointment}", {"title": "Dentist"}),
    "delete_appointment": Example("DELETE", "/appointments/{appointment}"),
    "restore_appointment": Example("POST", "/appointments/{deleted}/restore"),
    "change_appointment_once": Example(
        "PUT", "/appointments/{appointment}/occurrences/2036-06-02T09:00", {"starts_at": "2036-06-02T10:00"}
    ),
    "skip_appointment_once": Example("DELETE", "/appointments/{appointment}/occurrences/2036-06-03T09:00"),
    **CALENDARS,
    # operators; where the glass is broken already, there is nothing to break
    "find_households": Example("POST", "/staff/find", {"email": "nobody@example.test"}),
    "break_glass": Example("POST", "/staff/break-glass", _LOOK, frozenset({201, 409})),
    "list_looks": Example("GET", "/staff/break-glass"),
    "end_look": refused("DELETE", "/staff/break-glass/{nobody}", 404),
    # without a key of Stripe's: `test_billing_access.py` has them with one
    **BILLING_OFF,
    "get_household_content": Example("GET", "/staff/households/{household}", answers=frozenset({200, 404})),
    # what providers call: a signature decides
    "receive_ses_feedback": refused("POST", "/webhooks/ses", 400, 403, 404, 415, body={}),
    "receive_apple_event": refused("POST", "/webhooks/apple", 404, body={}),
    "receive_facebook_deletion": refused("POST", "/webhooks/facebook/data-deletion", 404, body={}),
}
