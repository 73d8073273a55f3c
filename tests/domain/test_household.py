"""Rules of sharing a household, and of who hears what when its people change."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid
from domain import escalation
from domain.access import RIGHTS, Access, Right, Role
from domain.escalation import Step, Who
from domain.household import LastOwner, check_owner_remains, raises_role, speakable
from domain.reminder_actions import Acknowledge, HandOver, Snooze
from domain.reminder_series import Series
from tests.domain.reminders import ANNA, BEN, Diary, blank, daily, once, utc

MINUTE = timedelta(minutes=1)
LADDER = (Step(timedelta(0), ("email",)), Step(10 * MINUTE, ("push",)), Step(30 * MINUTE, ("push",), Who.OTHERS))


def laddered(**schedule: object) -> Series:
    return replace(blank(**schedule), policy=LADDER)


def test_the_only_owner_stays_and_one_of_two_may_go() -> None:
    check_owner_remains([ANNA, BEN], ANNA)
    check_owner_remains([ANNA], BEN)
    with pytest.raises(LastOwner):
        check_owner_remains([ANNA], ANNA)


@given(role=st.sampled_from(Role), right=st.sampled_from(Right))
def test_nobody_may_more_than_an_owner(role: Role, right: Right) -> None:
    assert not Access(role).may(right) or Access(Role.OWNER).may(right)


@pytest.mark.parametrize("right", [Right.LEAVE, Right.MANAGE_MEMBERS, Right.TRANSFER_PET, Right.SEE_AUDIT])
def test_who_visits_by_a_grant_or_with_broken_glass_has_no_say_about_members(right: Right) -> None:
    assert not any(right in RIGHTS[role] for role in (Role.SITTER, Role.VET, Role.ADMIN))


def test_an_invitation_never_takes_a_role_away() -> None:
    assert [
        raises_role(present, offered)
        for present in (None, Role.CARETAKER, Role.OWNER)
        for offered in (Role.CARETAKER, Role.OWNER)
    ] == [True, True, False, True, False, False]


@pytest.mark.parametrize(
    ("name", "said"),
    [("Ada", "Ada"), ("Dr. Ada", "Dr. Ada"), ("evil.test", None), ("see http://x", None), ("a@b", None), (None, None)],
)
def test_a_name_that_could_pass_for_a_link_is_not_said_to_strangers(name: str | None, said: str | None) -> None:
    assert speakable(name) == said


def test_a_step_may_name_roles_or_a_member() -> None:
    raw = [{"after_minutes": n + 1, "channels": ["push"], "who": who} for n, who in enumerate([*Who, str(BEN)])]
    steps = escalation.parse_steps(raw)
    assert escalation.to_json(steps) == raw
    assert escalation.members_named(steps) == {BEN}
    escalation.check_members(steps, [ANNA, BEN])
    with pytest.raises(Invalid):
        escalation.check_members(steps, [ANNA])


def test_whoever_is_reminded_from_now_on_hears_what_was_said_of_what_is_due() -> None:
    tablet = Diary(laddered(**daily()), utc("2026-03-01T00:00"))
    tablet.until(utc("2026-03-01T07:15"))
    tablet.act(HandOver())
    tablet.until(utc("2026-03-01T07:40"))
    assert [notice.step for _, notice in tablet.sent] == ["due", "due+10", "due+10", "due+30"]
    assert tablet.sent[2][1].targets == ((Who.ASSIGNEE, "email"), (Who.ASSIGNEE, "push"))


def test_handing_over_before_anything_was_said_says_nothing_early() -> None:
    tablet = Diary(laddered(**daily()), utc("2026-03-01T00:00"))
    tablet.act(HandOver())
    tablet.until(utc("2026-03-01T07:05"))
    assert [notice.step for _, notice in tablet.sent] == ["due"]


def test_what_was_snoozed_comes_when_it_was_asked_for_and_is_not_said_before() -> None:
    tablet = Diary(laddered(**once("2026-03-01T08:00")), utc("2026-03-01T00:00"))
    tablet.until(utc("2026-03-01T07:15"))
    tablet.act(Snooze(tablet.due.key, timedelta(hours=1)))
    tablet.act(HandOver())
    tablet.until(utc("2026-03-01T08:16"))
    assert [notice.step for _, notice in tablet.sent] == ["due", "due+10", "snooze-1"]


def test_what_others_had_seen_is_announced_once_to_the_new_people() -> None:
    tablet = Diary(laddered(**once("2026-03-01T08:00")), utc("2026-03-01T00:00"))
    tablet.until(utc("2026-03-01T07:05"))
    tablet.act(Acknowledge(tablet.due.key, ANNA))
    tablet.act(HandOver())
    tablet.until(utc("2026-03-01T12:00"))
    assert [notice.step for _, notice in tablet.sent] == ["due", "due"]


def test_it_is_too_late_to_say_that_a_dose_was_due_yesterday() -> None:
    tablet = Diary(laddered(**daily()), utc("2026-03-01T00:00"))
    tablet.until(utc("2026-03-01T07:40"))
    tablet.now = utc("2026-03-01T22:00")
    before = len(tablet.sent)
    tablet.act(HandOver())
    tablet.until(utc("2026-03-01T22:30"))
    assert len(tablet.sent) == before
