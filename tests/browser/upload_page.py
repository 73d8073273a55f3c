"""What a person does on /upload, and what they see."""

from dataclasses import dataclass, field
from pathlib import Path

from playwright.async_api import CDPSession, Page, Request, expect

from tests.person import PASSWORD, Person

_WATCH = """() => {
  window.seen = [];
  const bar = document.querySelectorAll("progress")[0];
  new MutationObserver(() => window.seen.push(bar.value)).observe(bar, {attributes: true});
}"""


@dataclass(slots=True)
class UploadPage:
    """An open page. `sent` holds what storage was sent, as `POST` or the number of the part."""

    page: Page
    origin: str
    devtools: CDPSession
    sent: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)

    async def enter(self, person: Person) -> None:
        """Open it and sign in."""
        await self.page.goto(f"{self.origin}/upload")
        await self.page.get_by_label("E-mail address").fill(person.email)
        await self.page.get_by_label("Password").fill(PASSWORD)
        await self.page.get_by_role("button", name="Sign in").click()
        await expect(self.page.get_by_label("File", exact=True)).to_be_visible()

    async def send(self, file: Path, purpose: str = "Profile photo") -> None:
        """Choose it and press the button."""
        await self.page.evaluate(_WATCH)
        await self.page.locator("[name=purpose]").select_option(purpose)
        await self.page.get_by_label("File", exact=True).set_input_files(file)
        await self.page.get_by_role("button", name="Upload").click()

    async def says(self, words: str, *, within: float = 60) -> None:
        """Wait for a sentence."""
        await expect(self.page.get_by_role("status")).to_contain_text(words, timeout=within * 1000)

    async def has_sent(self, share: float) -> None:
        """Wait until the bar is beyond this."""
        await self.page.wait_for_function("share => document.querySelector('progress').value > share", arg=share)

    async def steps(self) -> list[float]:
        """Where the bar of what is sent has been."""
        return list(await self.page.evaluate("window.seen"))

    async def slow_down(self, megabytes: float) -> None:
        """From now on a second takes so many upwards."""
        about = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": megabytes * 1e6}
        await self.devtools.send("Network.emulateNetworkConditions", about)

    def note(self, request: Request) -> None:
        """Remember what storage is sent."""
        if "/petfolio-quarantine" in request.url and request.method in ("POST", "PUT"):
            part = request.url.partition("partNumber=")[2].partition("&")[0]
            self.sent.append(part or "POST")


async def open_page(page: Page, origin: str) -> UploadPage:
    """A page that nobody has signed in on."""
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("Network.enable")
    opened = UploadPage(page, origin, devtools)
    page.on("request", lambda request: opened.note(request))  # playwright writes on the owner of a method
    page.on("console", lambda message: opened.console.append(message.text))
    return opened
