// The open conversation: its head, its messages, and who is typing.
import { post } from "./api.js";
import { bdi, button, fill, find, h, list, objects, on, setEmpty, text } from "./dom.js";
import { count, dayOf } from "./format.js";
import { avatar, drawMessage, nameOf, titleOf } from "./message.js";
import { shownMessages, store, watch } from "./store.js";
import { askQueuing } from "./dialogs.js";
import { attempt } from "./notice.js";

const atOnce = 100; // messages drawn; more when asked for
const nearPixels = 80;
const kinds = { thread: "Thread", private: "Private messages", author: "Unthreaded messages" };

const log = find("log");
const drawn = new Map(); // n -> { message, element }
const unfolded = new Set();
const days = new Map(); // text -> element
let most = atOnce;
let shownKey = null;
let shownSize = "";
let isAtEnd = true;

const thread = () => store.threads.get(store.open?.key);

/** The label in the page's language, where the connector has one. */
function label({ name, label: given }) {
  const locales = store.sources.get(thread()?.source)?.info?.locales;
  const language = navigator.language.split("-")[0];
  return text(locales?.[language]?.[name]) || text(given) || text(name);
}

function act(message, action) {
  const what = { thread: store.open.key, message: message?.id, operation: action.name };
  attempt(() => post("/action", what), `${label(action)}: done`);
}

const context = {
  label,
  act,
  unfolded,
  find: (id) => [...store.open.messages.values()].find((message) => message.id === id),
};

function describe(one) {
  const source = store.sources.get(one.source);
  const names = objects(one.users).map(nameOf);
  return [
    h("span", kinds[one.kind] ?? one.kind),
    h("span", bdi(text(source?.name) || text(one.source))),
    h("span", count(one.count ?? 0, "message")),
    h("span", bdi(names.join(", "))),
  ];
}

/** The buttons of the thread itself. */
function drawTools(one) {
  const source = store.sources.get(one.source);
  const options = list(source?.info?.options ?? source?.options);
  const disabled = !options.includes("messaging.queuing_update");
  const title = disabled && "There is no option messaging.queuing_update";
  const queuing = { id: "queuing", "data-focus": "queuing", disabled, title };
  const actions = objects(one.actions).map((action) =>
    button(bdi(label(action)), () => act(null, action), { "data-focus": `thread ${action.name}` }),
  );
  return [actions, button("Queueing update…", () => askQueuing(one), queuing)];
}

function drawHead(one) {
  fill(find("conversation-title"), bdi(titleOf(one)));
  fill(find("conversation-about"), describe(one));
  keepFocus(() => fill(find("conversation-tools"), drawTools(one)));
}

function drawTyping({ user, preview }) {
  const dots = h("span.dots", { "aria-hidden": "true" }, "●●●");
  const words = h("span", bdi(nameOf(user)), " is typing");
  return h("div.typing.hint", avatar(user), dots, words, bdi(text(preview), "preview"));
}

/** Runs a change; what had the focus keeps it, also when drawn anew. */
function keepFocus(change) {
  const key = document.activeElement?.dataset.focus;
  change();
  if (key) {
    [...document.querySelectorAll("[data-focus]")]
      .find((one) => one.dataset.focus === key)
      ?.focus();
  }
}

function elementOf(message) {
  const known = drawn.get(message.n);
  if (known?.message === message) {
    return known.element;
  }
  const element = drawMessage(message, context);
  drawn.set(message.n, { message, element });
  return element;
}

function dayLine(day) {
  const line = days.get(day) ?? h("div.day.hint", day);
  days.set(day, line);
  return line;
}

function earlier(hidden) {
  const more = () => {
    most += atOnce;
    drawMessages();
  };
  return button(`Show earlier messages (${hidden})`, more, { className: "link" });
}

/** The messages, a line before each new day, a button before those not drawn. */
function pieces(messages) {
  const hidden = Math.max(0, messages.length - most);
  const all = hidden > 0 ? [earlier(hidden)] : [];
  let last = null;
  for (const message of messages.slice(hidden)) {
    const day = dayOf(message.received_at);
    all.push(...(day === last ? [] : [dayLine(day)]), elementOf(message));
    last = day;
  }
  return all;
}

/** Brings the children of the log to these, moving as few as possible. */
function arrange(elements) {
  const wanted = new Set(elements);
  [...log.children].forEach((child) => wanted.has(child) || child.remove());
  elements.forEach((element, index) => {
    if (log.children[index] !== element) {
      log.insertBefore(element, log.children[index] ?? null);
    }
  });
}

function toEnd() {
  log.scrollTop = log.scrollHeight;
  find("to-end").hidden = true;
}

const sizeOf = () => `${log.clientWidth} ${log.clientHeight}`;

/** What a change of the size has scrolled is for `noteSize`. */
function noteScroll() {
  if (sizeOf() === shownSize) {
    isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < nearPixels;
    find("to-end").hidden ||= isAtEnd;
  }
}

function noteSize() {
  shownSize = sizeOf();
  if (isAtEnd) {
    toEnd();
  }
}

function drawMessages() {
  const messages = shownMessages();
  const before = drawn.size;
  const { loading, error } = store.open;
  keepFocus(() => arrange(pieces(messages)));
  setEmpty(log, messages.length === 0 && (error ?? (loading ? "Loading…" : "No messages.")));
  if (isAtEnd) {
    toEnd();
  } else if (drawn.size > before) {
    find("to-end").hidden = false;
  }
}

/** Another conversation begins without anything of the last one. */
function begin() {
  [drawn, unfolded, days].forEach((one) => one.clear());
  most = atOnce;
  isAtEnd = true;
  shownKey = store.open?.key;
  log.replaceChildren();
}

function see(one) {
  const isSeen = document.visibilityState === "visible" && !find("inbox").hidden;
  if (one.unread > 0 && isSeen && !store.open.loading) {
    store.threads.set(one.key, { ...one, unread: 0 });
    attempt(() => post("/seen", { thread: one.key }));
  }
}

function draw() {
  const one = thread();
  find("inbox").classList.toggle("opened", Boolean(one));
  find("conversation-body").hidden = !one;
  find("conversation-none").hidden = Boolean(one);
  if (store.open?.key !== shownKey) {
    begin();
  }
  if (one) {
    drawHead(one);
    fill(find("typing"), objects(one.typing).map(drawTyping));
    drawMessages();
    see(one);
  }
}

export function startConversation() {
  on("to-end", "click", toEnd);
  on("back", "click", () => (location.hash = "#inbox"));
  log.addEventListener("scroll", noteScroll, { passive: true });
  new ResizeObserver(noteSize).observe(log);
  document.addEventListener("visibilitychange", draw);
  watch("conversation", draw);
}
