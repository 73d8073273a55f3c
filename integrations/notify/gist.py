"""The gist of a mail, for channels that hold a line or two: its subject, what it says first, and where it leads."""

from collections.abc import Callable
from typing import Final

from integrations.notify.protocol import Message
from integrations.notify.render import one_line
from integrations.notify.words import PUSH_BODY, PUSH_TITLE, PushText

_SMS_SUBJECTS: Final = (120, 80, 60, 45, 30, 20)


def push(mail: Message) -> PushText:
    """The subject, and the first paragraph below it."""
    return PushText(one_line(mail.subject, PUSH_TITLE), one_line(mail.text.partition("\n\n")[0], PUSH_BODY))


def sms(mail: Message, link: str, fits: Callable[[str], bool]) -> str:
    """One line, the subject shortened until `fits` says yes; the shortest where it never does."""
    texts = [f"Petfolio: {one_line(mail.subject, length, '...')}. {link}" for length in _SMS_SUBJECTS]
    return next((text for text in texts if fits(text)), texts[-1])
