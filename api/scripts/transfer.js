// The way of a file: announced to the api, sent straight to storage, and watched until it is published.
import {Broken, Refused, insisting} from "./session.js";

const STALLED = 60_000, SETTLED = ["ready", "rejected", "quarantined"];
// Some systems know no type for these.
const TYPES = {heic: "image/heic", heif: "image/heic", avif: "image/avif", webp: "image/webp", mov: "video/quicktime",
  webm: "video/webm"};

/** SHA-256 in hex. The browser's own takes the content at once: 200 MB at most, which is what we take of a video. */
async function hashOf(file) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function typeOf(file) {
  return file.type || TYPES[file.name.split(".").pop().toLowerCase()] || "application/octet-stream";
}

/** Sends a body to a signed address; `sent` hears of its bytes. A line on which nothing moves counts as broken. */
function put(method, url, body, sent) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let timer;
    const alive = () => { clearTimeout(timer); timer = setTimeout(() => request.abort(), STALLED); };
    const broken = () => reject(new Broken("no line"));
    request.open(method, url);
    request.upload.addEventListener("progress", (event) => { alive(); sent(event.loaded); });
    request.addEventListener("load", () => {
      if (request.status < 300) resolve();
      else reject(request.status >= 500 ? new Broken("busy") : new Refused(request.status, "storage"));
    });
    for (const end of ["error", "abort"]) request.addEventListener(end, broken);
    request.addEventListener("loadend", () => clearTimeout(timer));
    alive();
    request.send(body);
  });
}

/** `shows` hears how far it is: `sent(share)`, `waiting()`, `state(upload)`. */
export class Transfer {
  #session;
  #shows;

  constructor(session, shows) {
    this.#session = session;
    this.#shows = shows;
  }

  /** Answers the upload once nothing more happens to it. What another visit has begun goes on; what was refused does
   * not, unless it was for want of a session. */
  async run(file, place) {
    const about = {filename: file.name, content_type: typeOf(file), size: file.size, sha256: await hashOf(file), ...place};
    const mark = ["upload", about.pet_id, about.purpose, about.sha256].join(":");
    const upload = await this.#remembered(mark) ?? await this.#call("POST", "/media/uploads", about,
      {"Idempotency-Key": `"${crypto.randomUUID()}"`});
    localStorage.setItem(mark, upload.id);
    try {
      if (upload.status === "open") await this.#deliver(file, upload);
    } catch (error) {
      if (error instanceof Refused && error.status !== 401) localStorage.removeItem(mark);
      throw error;
    }
    const settled = await this.#settled(upload.id);
    localStorage.removeItem(mark);
    return settled;
  }

  async #remembered(mark) {
    const id = localStorage.getItem(mark);
    if (id === null) return null;
    try {
      const upload = await this.#call("GET", `/media/uploads/${id}`);
      const isOpen = upload.status === "open" && Date.parse(upload.expires_at) > Date.now();
      return isOpen || upload.status === "completed" ? upload : null;
    } catch (error) {
      if (error instanceof Refused && error.status === 404) return null;
      throw error;
    }
  }

  async #deliver(file, upload) {
    if (upload.form) await this.#sendForm(file, upload.form);
    else await this.#sendParts(file, upload);
    await this.#call("POST", `/media/uploads/${upload.id}/complete`);
  }

  async #sendForm(file, {url, fields}) {
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) form.append(name, value);
    form.append("file", file, "file");
    await this.#insist(() => put("POST", url, form, (bytes) => this.#sent(bytes, file)));
  }

  /** Those that are missing, one after the other: a broken line costs one. Each is signed when its turn comes. */
  async #sendParts(file, upload) {
    const path = `/media/uploads/${upload.id}/parts`;
    const {items, missing} = await this.#call("GET", path);
    let before = items.reduce((bytes, part) => bytes + part.size, 0);
    this.#sent(before, file);
    for (const number of missing) {
      const start = (number - 1) * upload.part_size, part = file.slice(start, start + upload.part_size);
      await this.#insist(async () => {
        const signed = await this.#session.call("POST", path, {numbers: [number]});
        await put("PUT", signed.items[0].url, part, (bytes) => this.#sent(before + bytes, file));
      });
      before += part.size;
    }
  }

  async #settled(id) {
    for (let pause = 250; ; pause = Math.min(pause * 1.2, 5_000)) {
      const upload = await this.#call("GET", `/media/uploads/${id}`);
      this.#shows.state(upload);
      if (SETTLED.includes(upload.state)) return upload;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  #sent(bytes, file) { this.#shows.sent(Math.min(bytes / file.size, 1)); }

  #insist(work) { return insisting(work, () => this.#shows.waiting()); }

  #call(...request) { return this.#insist(() => this.#session.call(...request)); }
}
