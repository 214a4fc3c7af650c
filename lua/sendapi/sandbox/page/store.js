// What the page knows: the sandbox's state, kept up to date by its events. Whoever shows a part of
// it watches that part, and is told of changes at most every few milliseconds, however many come.
import { get } from "./api.js";
import { list } from "./dom.js";

const pauseMilliseconds = 60;
const mostThreads = 1000;
const mostExchanges = 500;

export const store = {
  sources: new Map(), // id -> source
  threads: new Map(), // key -> thread, without its messages
  wire: new Map(), // n -> exchange, without bodies
  faults: {}, // those that are on, as `POST /_sandbox/faults` takes them
  source: "", // the id of the one that is looked at; "": all of them
  open: null, // the open conversation: `key`, `messages` (n -> message), `loading`, `error`
};

const watchers = new Map();
const changes = new Set();
let timer = null;

/** Calls `watcher` after changes of any of these topics. */
export function watch(topics, watcher) {
  watchers.set(watcher, topics.split(" "));
}

function tell() {
  timer = null;
  const told = new Set(changes);
  changes.clear();
  for (const [watcher, topics] of watchers) {
    if (topics.some((topic) => told.has(topic))) {
      watcher();
    }
  }
}

/** Says that these topics have changed: sources threads conversation wire faults source. */
export function changed(...topics) {
  topics.forEach((topic) => changes.add(topic));
  timer ??= setTimeout(tell, pauseMilliseconds);
}

const byKey = (items, key) => new Map(list(items).map((item) => [item[key], item]));

/** When something was last said in a thread. */
export const lastAt = (thread) => thread.last?.at ?? 0;

export const numberOf = (exchange) => exchange.n;

const sorted = (items, number) => items.sort((one, other) => number(other) - number(one));

/** Drops what is least by `number` until so many are left. */
function trim(map, most, number, key) {
  if (map.size > most) {
    sorted([...map.values()], number)
      .slice(most)
      .forEach((one) => map.delete(one[key]));
  }
}

/** Fetches everything; resolves to the number of the last event that is in it. */
export async function refresh() {
  const [state, wire] = await Promise.all([get("/state"), get("/wire")]);
  store.sources = byKey(state.sources, "id");
  store.threads = byKey(state.threads, "key");
  store.faults = state.faults ?? {};
  store.wire = byKey(wire, "n");
  if (store.open) {
    openThread(store.open.key);
  }
  changed("sources", "threads", "conversation", "wire", "faults");
  return state.event;
}

/** Opens a conversation; null: none. */
export async function openThread(key) {
  const previous = store.open?.key === key ? store.open.messages : new Map();
  const open = key
    ? { key, messages: previous, events: new Set(), loading: true, error: null }
    : null;
  store.open = open;
  changed("conversation");
  if (open) {
    await load(open);
    changed("conversation");
  }
}

/** What events have brought meanwhile is newer than the answer. */
async function load(open) {
  try {
    const answer = await get(`/threads/${encodeURIComponent(open.key)}`);
    const messages = byKey(answer.messages, "n");
    for (const n of open.events) {
      messages.set(n, open.messages.get(n));
    }
    open.messages = messages;
  } catch (refusal) {
    open.error = refusal.message;
  }
  open.loading = false;
}

/** Notes a message, whether an event or an answer has brought it. */
export function noteMessage(key, message) {
  if (store.open?.key === key) {
    store.open.messages.set(message.n, message);
    store.open.events.add(message.n);
    changed("conversation");
  }
}

function noteTyping({ thread, user, preview, on }) {
  const known = store.threads.get(thread);
  if (!known) {
    return;
  }
  const others = list(known.typing).filter((typing) => typing.user?.id !== user?.id);
  const typing = on ? [...others, { user, preview }] : others;
  store.threads.set(thread, { ...known, typing });
  changed("threads", "conversation");
}

function noteRead({ thread, message: id, at }) {
  if (store.open?.key !== thread) {
    return;
  }
  for (const message of store.open.messages.values()) {
    if (message.id === id) {
      noteMessage(thread, { ...message, read_at: at });
    }
  }
}

function forget() {
  store.threads.clear();
  store.wire.clear();
  store.open?.messages.clear();
  changed("threads", "conversation", "wire");
}

const notes = {
  thread(thread) {
    store.threads.set(thread.key, thread);
    trim(store.threads, mostThreads, lastAt, "key");
    changed("threads", "conversation");
  },
  message: ({ thread, message }) => noteMessage(thread, message),
  typing: noteTyping,
  read: noteRead,
  wire(exchange) {
    store.wire.set(exchange.n, exchange);
    trim(store.wire, mostExchanges, numberOf, "n");
    changed("wire");
  },
  source(source) {
    store.sources.set(source.id, source);
    changed("sources", "conversation");
  },
  faults(faults) {
    store.faults = faults ?? {};
    changed("faults");
  },
  clear: forget,
};

/** Takes an event of the sandbox. */
export const note = (name, data) => notes[name](data);

/** What belongs to the source that is looked at, the greatest number first. */
export function newestFirst(map, number) {
  const shown = [...map.values()].filter((one) => !store.source || one.source === store.source);
  return sorted(shown, number);
}

/** The messages of the open conversation, the oldest first. */
export const shownMessages = () => sorted([...store.open.messages.values()], (one) => -one.n);
