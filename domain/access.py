"""Who may do what on whose things: roles, rights, and the right that each operation of the API needs.

This is the only place where that is decided (identity-and-security.md §4.6). How somebody comes to a role is a row
(membership, grant, break-glass), read by the query that loads the thing; a route says nothing but its operation id.
An operation without a row here keeps the api from starting.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from core.errors import Forbidden
from domain.billing import limits


class Role(StrEnum):
    """By which somebody reaches a household's things. Several owners of one household are co-owners of equal rank."""

    OWNER = "owner"
    CARETAKER = "caretaker"
    SITTER = "sitter"
    """For some pets, some rights and some days: a grant."""
    VET = "vet"
    """Whoever holds a read-only link; never signed in."""
    ADMIN = "admin"
    """An operator who broke the glass: reads, for minutes, with a reason that the owners are told."""


class Right(StrEnum):
    """What can be done with a household's things."""

    READ = "read"
    ACT = "act"
    """Complete, skip, snooze, undo, acknowledge what is due."""
    ADD_RECORD = "add_record"
    EDIT_RECORD = "edit_record"
    DELETE_RECORD = "delete_record"
    ADD_REMINDER = "add_reminder"
    MANAGE_REMINDER = "manage_reminder"
    """Also whoever made the reminder has it, as long as they may add any. With appointments it is the same."""
    DELETE_REMINDER = "delete_reminder"
    """For whoever manages it."""
    ADD_PET = "add_pet"
    EDIT_PET = "edit_pet"
    DELETE_PET = "delete_pet"
    SEE_MEMBERS = "see_members"
    MANAGE_MEMBERS = "manage_members"
    EDIT_HOUSEHOLD = "edit_household"
    LEAVE = "leave"
    """One's own membership is for oneself to end."""
    TRANSFER_PET = "transfer_pet"
    SEE_AUDIT = "see_audit"
    MANAGE_GRANTS = "manage_grants"
    """Let sitters and vets in, for a time, and see how they used it."""
    MANAGE_TAG = "manage_tag"
    """Decide what a stranger who finds the pet may read."""
    REPORT_LOST = "report_lost"
    """Begin, answer for and end the search for a pet, and read what finders wrote."""


ALL_RIGHTS: Final = frozenset(Right)
RIGHTS: Final[Mapping[Role, frozenset[Right]]] = {
    Role.OWNER: ALL_RIGHTS,
    Role.CARETAKER: frozenset(
        {
            Right.READ,
            Right.ACT,
            Right.ADD_RECORD,
            Right.ADD_REMINDER,
            Right.SEE_MEMBERS,
            Right.LEAVE,
            Right.REPORT_LOST,
        }
    ),
    Role.SITTER: frozenset({Right.READ, Right.ACT, Right.ADD_RECORD}),
    Role.VET: frozenset({Right.READ}),
    Role.ADMIN: frozenset({Right.READ, Right.SEE_MEMBERS}),
}
GRANTABLE: Final = frozenset({Right.ACT, Right.ADD_RECORD})
"""What a sitter has only where the grant says so; reading comes with every grant."""


OF_MAKER: Final = frozenset({Right.MANAGE_REMINDER, Right.DELETE_REMINDER})
"""What whoever made a reminder or an appointment has on it, as long as they may add any."""
ON_READ_ONLY: Final = frozenset(
    {
        Right.READ,
        Right.ACT,
        Right.DELETE_RECORD,
        Right.DELETE_REMINDER,
        Right.DELETE_PET,
        Right.TRANSFER_PET,
        Right.MANAGE_TAG,
        Right.REPORT_LOST,
    }
)
"""What still works on a pet beyond its household's plan: to see it, to look after it, to find it, and to let it go. A
right that does not stand here does not."""


@dataclass(frozen=True, slots=True)
class Access:
    """A role on a thing; `granted` are the rights a grant names, None where the role alone decides. `read_only`: it is
    a pet beyond its household's plan, or belongs to one."""

    role: Role
    granted: frozenset[Right] | None = None
    read_only: bool = False

    @classmethod
    def of(cls, role: str, actions: Iterable[str] | None, *, read_only: bool) -> "Access":
        """From the columns `role` and `actions` of the view `pet_access`, and what `models/queries/limits.py` says."""
        return cls(Role(role), None if actions is None else frozenset(map(Right, actions)), read_only)

    def may(self, right: Right) -> bool:
        """Whether the role has the right, and the grant (if it is one) names it."""
        if right not in RIGHTS[self.role]:
            return False
        return self.granted is None or right not in GRANTABLE or right in self.granted

    def require(self, right: Right, *, made: bool = False) -> None:
        """Raises `NotPermitted`, and `PetReadOnly` for what they may do, though not now. `made`: the reminder is
        theirs."""
        managing = made and right in OF_MAKER and self.may(Right.ADD_REMINDER)
        if not (managing or self.may(right)):
            raise NotPermitted(f"As {self.role} of this household you may not do this.", extra={"needs": right.value})
        limits.check_writable(read_only=self.read_only and right not in ON_READ_ONLY)


class NotPermitted(Forbidden):
    """403: the caller may see it, and their role does not allow this. `needs` names the right."""

    code = "not_permitted"


class Reach(StrEnum):
    """Who may call an operation at all."""

    ANYONE = "anyone"
    """Without being known; what they hold (a password, a mailed token, a secret link) decides."""
    SIGNED_IN = "signed_in"
    """For what is the caller's own."""
    HOUSEHOLD = "household"
    """For whoever has the rule's right on the thing it names; 404 for those who may not know of it."""
    STAFF = "staff"
    """Operators of the platform."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`fresh`: only within five minutes of proving who one is (`auth_time`, ASVS 7.5.1)."""

    reach: Reach
    right: Right | None = None
    fresh: bool = False


def household(right: Right) -> Rule:
    """For whoever has the right on the thing."""
    return Rule(Reach.HOUSEHOLD, right)


ANYONE: Final = Rule(Reach.ANYONE)
SIGNED_IN: Final = Rule(Reach.SIGNED_IN)
FRESH: Final = Rule(Reach.SIGNED_IN, fresh=True)
STAFF: Final = Rule(Reach.STAFF)

OPERATIONS: Final[Mapping[str, Rule]] = {
    # the process and its documents
    **dict.fromkeys(("healthz", "readyz", "metrics", "jwks"), ANYONE),
    **dict.fromkeys(("docs_page", "docs_script", "docs_asset"), ANYONE),
    "decode_payloads": ANYONE,
    # pages that mails lead to, and what their buttons send
    **dict.fromkeys(("home_page", "verify_email_page", "cancel_erasure_page", "unsubscribe_page"), ANYONE),
    **dict.fromkeys(("verify_email", "cancel_erasure", "unsubscribe", "resubscribe"), ANYONE),
    "checkout_page": ANYONE,
    **dict.fromkeys(("reset_password_page", "reset_password", "confirm_email_page", "confirm_email"), ANYONE),
    # getting in and out
    **dict.fromkeys(("register", "login", "refresh_token", "forgot_password"), ANYONE),
    **dict.fromkeys(("list_sessions", "end_session", "end_other_sessions", "logout_all", "step_up"), SIGNED_IN),
    "logout": SIGNED_IN,  # also by a browser's cookie alone
    # second factors and passkeys
    **dict.fromkeys(("answer_mfa_challenge", "passkey_options_for_challenge"), ANYONE),
    **dict.fromkeys(("passkey_sign_in_options", "passkey_sign_in"), ANYONE),
    **dict.fromkeys(("get_second_factors", "list_passkeys", "passkey_options_for_step_up"), SIGNED_IN),
    **dict.fromkeys(("enrol_totp", "confirm_totp", "remove_totp", "make_recovery_codes"), FRESH),
    **dict.fromkeys(("begin_passkey", "register_passkey", "rename_passkey", "remove_passkey"), FRESH),
    # with an account elsewhere
    **dict.fromkeys(("list_sign_in_providers", "start_oauth", "finish_oauth", "finish_oauth_form"), ANYONE),
    **dict.fromkeys(("exchange_oauth_code", "data_deletion_page"), ANYONE),
    **dict.fromkeys(("list_identities", "finish_linking"), SIGNED_IN),
    **dict.fromkeys(("start_linking", "unlink_identity"), FRESH),
    # oneself
    **dict.fromkeys(("get_profile", "change_profile", "replace_profile"), SIGNED_IN),
    **dict.fromkeys(("list_consents", "record_consent", "list_audit_entries"), SIGNED_IN),
    **dict.fromkeys(("list_devices", "register_device", "delete_device", "get_vapid_key"), SIGNED_IN),
    **dict.fromkeys(("get_notification_preferences", "change_notification_preferences"), SIGNED_IN),
    **dict.fromkeys(("replace_notification_preferences", "get_quiet_hours", "replace_quiet_hours"), SIGNED_IN),
    **dict.fromkeys(("get_notification_settings", "replace_notification_settings"), SIGNED_IN),
    **dict.fromkeys(("get_mail_suppression", "lift_mail_suppression"), SIGNED_IN),
    **dict.fromkeys(("list_notifications", "count_unread_notifications", "read_notification"), SIGNED_IN),
    "read_all_notifications": SIGNED_IN,
    "change_email": FRESH,
    # The password may be sent along instead of a login of the last minutes; the handler asks for one of them.
    **dict.fromkeys(("change_password", "request_erasure"), SIGNED_IN),
    "get_erasure": SIGNED_IN,
    # households: what they are, who belongs to them, and who is asked to
    **dict.fromkeys(("list_households", "get_household"), household(Right.READ)),
    "create_household": SIGNED_IN,
    **dict.fromkeys(("change_household", "replace_household", "delete_household"), household(Right.EDIT_HOUSEHOLD)),
    "list_members": household(Right.SEE_MEMBERS),
    **dict.fromkeys(("change_member", "remove_member"), household(Right.MANAGE_MEMBERS)),
    "leave_household": household(Right.LEAVE),
    "list_household_audit": household(Right.SEE_AUDIT),
    **dict.fromkeys(("list_invitations", "create_invitation"), household(Right.MANAGE_MEMBERS)),
    **dict.fromkeys(("resend_invitation", "revoke_invitation"), household(Right.MANAGE_MEMBERS)),
    "invitation_page": ANYONE,
    **dict.fromkeys(("upload_page", "upload_script"), ANYONE),
    # The mailed token, and that its address is the caller's, decide.
    **dict.fromkeys(("accept_invitation", "decline_invitation"), SIGNED_IN),
    # pets that move: the other side is known by its address, and by owning the household they come to
    **dict.fromkeys(("list_transfers", "offer_transfer", "cancel_transfer"), household(Right.TRANSFER_PET)),
    **dict.fromkeys(("list_offers", "accept_transfer", "decline_transfer"), SIGNED_IN),
    # pets and their diary
    "list_pets": household(Right.READ),
    "create_pet": household(Right.ADD_PET),
    "get_pet": household(Right.READ),
    "change_pet": household(Right.EDIT_PET),
    "replace_pet": household(Right.EDIT_PET),
    "delete_pet": household(Right.DELETE_PET),
    **dict.fromkeys(("list_records", "list_pet_records", "get_record"), household(Right.READ)),
    **dict.fromkeys(("create_record", "create_pet_record"), household(Right.ADD_RECORD)),
    **dict.fromkeys(("change_record", "replace_record"), household(Right.EDIT_RECORD)),
    "delete_record": household(Right.DELETE_RECORD),
    # photos, papers and videos. An upload is its person's own; what it may be for is asked when it begins
    "begin_upload": household(Right.ADD_RECORD),
    **dict.fromkeys(("get_upload", "sign_upload_parts", "list_upload_parts"), SIGNED_IN),
    **dict.fromkeys(("complete_upload", "abort_upload"), SIGNED_IN),
    **dict.fromkeys(("get_media", "list_media_versions", "list_pet_media", "list_record_media"), household(Right.READ)),
    "delete_media": household(Right.DELETE_RECORD),
    "restore_media": household(Right.EDIT_RECORD),
    "get_storage": household(Right.SEE_MEMBERS),
    # access that ends by itself: what owners give, what sitters were given, what a vet's link shows
    **dict.fromkeys(("list_grants", "create_grant", "get_grant", "change_grant"), household(Right.MANAGE_GRANTS)),
    **dict.fromkeys(("revoke_grant", "list_grant_accesses", "get_grant_qr"), household(Right.MANAGE_GRANTS)),
    **dict.fromkeys(("list_my_grants", "accept_grant", "leave_grant"), SIGNED_IN),
    **dict.fromkeys(("read_vet_link", "vet_page"), ANYONE),
    # when nobody is there: about the people of a household, and what it keeps quiet is for who manages reminders
    **dict.fromkeys(("list_absences", "get_absence"), household(Right.SEE_MEMBERS)),
    **dict.fromkeys(("declare_absence", "change_absence", "end_absence"), household(Right.MANAGE_REMINDER)),
    # tags, the pages behind them, and the search for a pet
    **dict.fromkeys(("get_tag", "get_tag_qr_svg", "get_tag_qr_png", "get_search"), household(Right.READ)),
    **dict.fromkeys(("save_tag", "revoke_tag"), household(Right.MANAGE_TAG)),
    **dict.fromkeys(("open_search", "change_search", "confirm_search", "close_search"), household(Right.REPORT_LOST)),
    "list_sightings": household(Right.REPORT_LOST),
    **dict.fromkeys(("tag_page", "read_tag", "report_sighting"), ANYONE),
    # reminders and what is due
    **dict.fromkeys(("list_reminders", "get_reminder", "preview_reminder", "list_occurrences"), household(Right.READ)),
    "preview_schedule": household(Right.READ),
    "create_reminder": household(Right.ADD_REMINDER),
    **dict.fromkeys(("change_reminder", "replace_reminder"), household(Right.MANAGE_REMINDER)),
    "delete_reminder": household(Right.DELETE_REMINDER),
    **dict.fromkeys(("pause_reminder", "resume_reminder"), household(Right.MANAGE_REMINDER)),
    **dict.fromkeys(("find_occurrences", "get_occurrence", "explain_occurrence"), household(Right.READ)),
    **dict.fromkeys(("complete_occurrence", "skip_occurrence", "snooze_occurrence"), household(Right.ACT)),
    **dict.fromkeys(("undo_occurrence", "acknowledge_occurrence"), household(Right.ACT)),
    "get_agenda": household(Right.READ),
    **dict.fromkeys(("list_workflows", "get_workflow"), household(Right.READ)),
    # appointments: the rights are those of reminders
    **dict.fromkeys(("list_appointments", "get_appointment"), household(Right.READ)),
    "create_appointment": household(Right.ADD_REMINDER),
    **dict.fromkeys(("change_appointment", "replace_appointment"), household(Right.MANAGE_REMINDER)),
    "delete_appointment": household(Right.DELETE_REMINDER),
    "restore_appointment": household(Right.MANAGE_REMINDER),
    **dict.fromkeys(("change_appointment_once", "skip_appointment_once"), household(Right.MANAGE_REMINDER)),
    # calendars
    **dict.fromkeys(("list_calendar_events", "sync_calendar"), household(Right.READ)),
    **dict.fromkeys(("list_calendar_connections", "get_calendar_connection", "change_calendar_connection"), SIGNED_IN),
    # What is connected gets a copy of all that its person sees, for as long as it is: as sensitive as an export, and it
    # outlasts the session that began it (identity-and-security.md §2.2, step-up).
    **dict.fromkeys(("create_calendar_connection", "reauthorise_calendar_connection"), FRESH),
    # A ticket, a state bound to the browser, and a code that only the session that began can use decide.
    **dict.fromkeys(("start_calendar_consent", "finish_calendar_consent"), ANYONE),
    **dict.fromkeys(("finish_calendar_connection", "delete_calendar_connection"), SIGNED_IN),
    **dict.fromkeys(("pause_calendar_connection", "resume_calendar_connection"), SIGNED_IN),
    **dict.fromkeys(("confirm_calendar_deletions", "recreate_calendar"), SIGNED_IN),
    **dict.fromkeys(("list_calendar_conflicts", "restore_calendar_conflict"), SIGNED_IN),
    **dict.fromkeys(("create_calendar_feed", "list_calendar_feeds", "delete_calendar_feed"), SIGNED_IN),
    "read_calendar_feed": ANYONE,
    # plans, one's subscription, and money back
    "list_plans": ANYONE,
    **dict.fromkeys(("get_subscription", "list_invoices", "list_refunds", "return_from_checkout"), SIGNED_IN),
    **dict.fromkeys(("start_checkout", "preview_plan_change", "change_plan"), SIGNED_IN),
    **dict.fromkeys(("cancel_subscription", "resume_subscription", "request_refund"), SIGNED_IN),
    "open_billing_portal": SIGNED_IN,
    # operators
    **dict.fromkeys(("find_households", "list_looks", "end_look", "get_household_content"), STAFF),
    **dict.fromkeys(("get_account_billing", "replay_account_billing"), STAFF),
    "break_glass": Rule(Reach.STAFF, fresh=True),
    # what providers call: a signature decides
    **dict.fromkeys(("receive_ses_feedback", "receive_apple_event", "receive_facebook_deletion"), ANYONE),
    **dict.fromkeys(("receive_google_calendar_push", "receive_graph_push", "receive_graph_lifecycle"), ANYONE),
    "receive_stripe_event": ANYONE,
}
