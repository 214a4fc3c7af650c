// The sandbox's HTTP interface, and its server-sent events.

const token = document.querySelector('meta[name="sandbox-token"]').content;
const againMilliseconds = 2000;
const soonMilliseconds = 100;

async function read(response) {
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    return { error: text.slice(0, 300) };
  }
}

/** Resolves to the decoded answer, or throws a sentence. `path` begins behind `/_sandbox`. */
export async function ask(method, path, body) {
  const headers = { "X-Sandbox-Token": token };
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
  }
  const options = { method, headers, body: body === undefined ? undefined : JSON.stringify(body) };
  const response = await fetch(`/_sandbox${path}`, options).catch(() => {
    throw new Error("The sandbox does not answer.");
  });
  const answer = await read(response);
  if (!response.ok) {
    throw new Error(answer?.error || `The sandbox answered ${response.status}.`);
  }
  return answer;
}

export const get = (path) => ask("GET", path);
export const post = (path, body) => ask("POST", path, body);
export const put = (path, body) => ask("PUT", path, body);

const names = ["thread", "message", "typing", "read", "wire", "source", "faults", "clear"];

/**
 * Follows the events, connecting again when the connection is lost.
 *
 * `handlers.start()` is called before each connection and resolves to the number of the last event
 * it knows of (it fetches the state); `handlers.event(name, data)` for each event in order;
 * `handlers.online(isOnline)` when the connection comes or goes.
 */
export class Events {
  #handlers;
  #source = null;
  #last = 0;
  #timer = null;

  constructor(handlers) {
    this.#handlers = handlers;
  }

  /** Connects, or connects anew. */
  async connect() {
    try {
      this.#last = await this.#handlers.start();
      this.#open();
    } catch {
      this.#lost();
    }
  }

  #connectIn(milliseconds) {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#timer = setTimeout(() => this.connect(), milliseconds);
  }

  #open() {
    this.#source = new EventSource(`/_sandbox/events?after=${this.#last}`);
    this.#source.onopen = () => this.#handlers.online(true);
    this.#source.onerror = () => this.#lost();
    for (const name of names) {
      this.#source.addEventListener(name, (event) => this.#take(name, event));
    }
  }

  /** What happened meanwhile may be more than the server remembers: the state is fetched anew. */
  #lost() {
    this.#handlers.online(false);
    this.#connectIn(againMilliseconds);
  }

  #take(name, event) {
    const number = Number(event.lastEventId);
    if (number > this.#last + 1) {
      this.#connectIn(soonMilliseconds); // some were missed
    } else if (number > this.#last) {
      this.#last = number;
      this.#handlers.event(name, JSON.parse(event.data));
    }
  }
}
