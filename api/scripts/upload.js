// The page /upload. It says the page's own sentences, and what people typed only as text.
import {Refused, Session} from "./session.js";
import {Transfer} from "./transfer.js";

const page = document.querySelector("main"), words = page.dataset, session = new Session();
const [entry, sending] = page.querySelectorAll("form"), way = page.querySelector("section");
const said = page.querySelector("[role=status]"), shown = page.querySelector("figure");
const [sent, checked] = way.querySelectorAll("progress");

const shows = {
  sent(share) { sent.value = share; said.textContent = words.sending; },
  waiting() { said.textContent = words.waiting; },
  state(upload) {
    sent.value = 1;
    checked.value = upload.percent / 100;
    said.textContent = words[upload.stage] ?? words.checking;
  },
};

/** The sentence for what went wrong. */
function sentence(error) {
  return error instanceof Refused ? words[error.code] ?? words.refused : words.later;
}

/** Runs `work` while the form cannot be used; what it throws is said. */
async function busy(form, work, wrong) {
  const fields = form.querySelector("fieldset");
  fields.disabled = true;
  said.textContent = "";
  try { await work(); } catch (error) { said.textContent = wrong(error); }
  fields.disabled = false;
  if (!session.isOpen) ask(entry);
}

function ask(form) {
  entry.hidden = form !== entry;
  sending.hidden = form !== sending;
}

async function listPets() {
  const options = [];
  for (let cursor = ""; cursor !== null;) {
    const pets = await session.call("GET", `/pets?limit=100${cursor && "&cursor=" + encodeURIComponent(cursor)}`);
    options.push(...pets.items.map((pet) => new Option(pet.name, pet.id)));
    cursor = pets.next_cursor;
  }
  sending.pet.replaceChildren(...options);
}

/** What was published: the middle size of a photo or of a first page, and where everything else is read. */
async function show(mediaId) {
  const media = await session.call("GET", `/media/${mediaId}`);
  const pictures = media.variants.filter((each) => each.content_type === "image/webp");
  const picture = pictures.findLast((each) => each.width <= 480) ?? pictures[0];
  const image = shown.querySelector("img");
  image.hidden = !picture;
  if (picture) Object.assign(image, {src: picture.url, alt: media.name, width: picture.width, height: picture.height});
  shown.querySelector("ul").replaceChildren(...media.variants.map((each) => {
    const link = Object.assign(document.createElement("a"), {href: each.url, textContent: each.name});
    const item = document.createElement("li");
    item.append(link);
    return item;
  }));
  shown.hidden = false;
}

entry.addEventListener("submit", (event) => {
  event.preventDefault();
  busy(entry, async () => {
    await session.signIn(entry.email.value, entry.password.value);
    await listPets();
    ask(sending);
  }, (error) => error.status === 202 ? words.factor : error.status === 401 ? words.wrong : sentence(error));
  entry.password.value = "";
});

sending.addEventListener("submit", (event) => {
  event.preventDefault();
  const place = {purpose: sending.purpose.value, pet_id: sending.pet.value, keep_captured_at: sending.keep.checked};
  const file = sending.file.files[0];
  busy(sending, async () => {
    sent.value = checked.value = 0;
    way.hidden = false;
    shown.hidden = true;
    const upload = await new Transfer(session, shows).run(file, place);
    const refused = words[upload.reason?.code] ?? words.refused;
    said.textContent = upload.state === "ready" ? words.ready : refused;
    if (upload.state === "ready") await show(upload.media_id);
  }, sentence);
});

// The session ends with the page. One that comes back from the browser's memory begins anew.
addEventListener("pagehide", () => { session.signOut(); });
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
