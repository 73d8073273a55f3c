// Talking to the api as the person who signed in on this page. Their tokens are in this page's memory and nowhere else.

/** What may work a moment later: no line, a server that is busy. */
export class Broken extends Error {}

/** What will not work however often it is asked. `code` is the word of the answer's problem document. */
export class Refused extends Error {
  constructor(status, code) {
    super(code);
    this.status = status;
    this.code = code;
  }
}

const TRIES = 40, FIRST_PAUSE = 500, LONGEST_PAUSE = 15_000;

/** Waits so long, or until the browser has a line again. */
function paused(milliseconds) {
  return new Promise((resolve) => {
    const go = () => { clearTimeout(timer); removeEventListener("online", go); resolve(); };
    const timer = setTimeout(go, milliseconds);
    addEventListener("online", go);
  });
}

/** Does `work` until it is not `Broken`: for ten minutes at most, then throws that. `waiting` is told of each pause. */
export async function insisting(work, waiting = () => {}) {
  for (let tried = 1, pause = FIRST_PAUSE; ; tried += 1, pause = Math.min(pause * 2, LONGEST_PAUSE)) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Broken) || tried === TRIES) throw error;
      waiting();
      await paused(pause);
    }
  }
}

async function codeOf(answer) {
  const problem = await answer.json().catch(() => ({}));
  return problem.errors?.[0]?.code ?? problem.code ?? "";
}

export class Session {
  #access = null;
  #refresh = null;

  get isOpen() { return this.#access !== null; }

  /** Throws `Refused`: 401 for a wrong password, 202 where a second factor is asked for. */
  async signIn(email, password) {
    const answer = await this.#send("POST", "/auth/login", {email, password});
    if (answer.status !== 200) throw new Refused(answer.status, await codeOf(answer));
    this.#take(await answer.json());
  }

  /** Also while the page is being closed. */
  async signOut() {
    if (!this.isOpen) return;
    const leaving = this.#send("POST", "/auth/logout", {}, {}, true).catch(() => {});
    this.#access = this.#refresh = null;
    await leaving;
  }

  /** One request; answers its document, null where there is none. Throws `Broken` and `Refused`. */
  async call(method, path, body, headers = {}) {
    let answer = await this.#send(method, path, body, headers);
    if (answer.status === 401 && await this.#renewed()) answer = await this.#send(method, path, body, headers);
    if (!answer.ok) throw new Refused(answer.status, await codeOf(answer));
    return answer.status === 204 ? null : answer.json();
  }

  async #renewed() {
    const answer = await this.#send("POST", "/auth/refresh-token", {refresh_token: this.#refresh});
    this.#take(answer.ok ? await answer.json() : {access_token: null, refresh_token: null});
    return answer.ok;
  }

  #take(tokens) {
    this.#access = tokens.access_token;
    this.#refresh = tokens.refresh_token;
  }

  async #send(method, path, body, headers = {}, keepalive = false) {
    const own = {...headers};
    if (this.#access) own.Authorization = "Bearer " + this.#access;
    if (body !== undefined) own["Content-Type"] = "application/json";
    let answer;
    try {
      answer = await fetch("/api/v1" + path, {method, headers: own, body: body && JSON.stringify(body), keepalive});
    } catch { throw new Broken("no line"); }
    if (answer.status === 429 || answer.status >= 500) throw new Broken("busy");
    return answer;
  }
}
