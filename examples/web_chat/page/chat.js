// The visitor's side. What comes from the server becomes text, never HTML.
"use strict";

const LARGEST_FILE = 5 * 1024 * 1024;
const TYPING_EVERY = 3000; // milliseconds between two notes that the visitor types
const TYPING_ENDS = 5000; // milliseconds without a key, after which the typing has stopped

const byId = (id) => document.getElementById(id);
const messages = byId("messages");
const text = byId("text");
const shown = new Map(); // id of a message -> its element
const pending = new Map(); // key of a message under way -> its element

// An element with attributes; children are elements or texts, nothing is parsed.
function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== undefined && child !== null));
  return made;
}

const isWeb = (url) => typeof url === "string" && /^https?:\/\//i.test(url);

function link(url, title) {
  return element("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, title);
}

// What a message holds.

function attachment(item) {
  if (!isWeb(item.url)) {
    return element("p", {}, String(item.name || "An attachment"));
  }
  const name = String(item.name || item.url);
  switch (item.kind) {
    case "image":
      return element("img", { src: item.url, alt: name, loading: "lazy" });
    case "audio":
    case "video":
      return element(item.kind, { src: item.url, controls: "", preload: "none", "aria-label": name });
    default:
      return element("p", {}, link(item.url, name));
  }
}

function choice(item, messageId) {
  const button = element("button", { type: "button" }, item.title);
  button.addEventListener("click", () => {
    say({ text: item.title, payload: item.payload, in_reply_to: messageId });
  });
  return button;
}

function choices(items, messageId) {
  const row = element("div", { class: "choices", role: "group", "aria-label": "Answers" });
  for (const item of items) {
    row.append(isWeb(item.url) ? link(item.url, item.title) : choice(item, messageId));
  }
  return row;
}

function card(item, messageId) {
  const made = element("section", { class: "card" });
  if (isWeb(item.image)) {
    made.append(element("img", { src: item.image, alt: "", loading: "lazy" }));
  }
  made.append(element("h2", {}, item.title));
  if (item.subtitle) {
    made.append(element("p", {}, item.subtitle));
  }
  if (isWeb(item.url)) {
    made.append(link(item.url, item.url_text || item.url));
  }
  if (item.buttons) {
    made.append(choices(item.buttons, messageId));
  }
  return made;
}

function contents(message) {
  const parts = [];
  if (message.name && message.from === "agent") {
    parts.push(element("span", { class: "name" }, message.name));
  }
  if (message.text) {
    parts.push(element("p", {}, message.text));
  }
  if (message.file) {
    parts.push(element("p", {}, "Attached: " + message.file));
  }
  parts.push(...(message.attachments || []).map(attachment));
  if (message.cards) {
    const row = element("div", { class: "cards" });
    row.append(...message.cards.map((item) => card(item, message.id)));
    parts.push(row);
  }
  if (message.choices) {
    parts.push(choices(message.choices, message.id));
  }
  if (message.at) {
    const at = new Date(message.at * 1000);
    const clock = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    parts.push(element("time", { datetime: at.toISOString() }, clock));
  }
  return parts;
}

// The log.

function isAtEnd() {
  return messages.scrollHeight - messages.scrollTop - messages.clientHeight < 80;
}

function add(made) {
  const follows = isAtEnd();
  byId("empty").hidden = true;
  messages.append(made);
  if (follows) {
    made.scrollIntoView({ block: "end" });
  }
}

// What stood for a message while it was under way, and its note when it seemed to have failed.
function replacePending(key, made) {
  const waiting = pending.get(key);
  const next = waiting.nextElementSibling;
  if (next && next.classList.contains("failed")) {
    next.remove();
  }
  waiting.replaceWith(made);
  pending.delete(key);
}

function showMessage(message) {
  if (shown.has(message.id)) {
    return;
  }
  const key = message.id.slice(message.id.lastIndexOf(".") + 1);
  const made = element("article", { class: "message " + message.from }, ...contents(message));
  if (pending.has(key)) {
    replacePending(key, made);
  } else {
    add(made);
  }
  shown.set(message.id, made);
  if (message.from === "agent") {
    made.dataset.id = message.id;
    watcher.observe(made);
    byId("queue").hidden = true;
  }
}

function ordinal(number) {
  const ends = { one: "st", two: "nd", few: "rd", other: "th" };
  return number + ends[new Intl.PluralRules("en", { type: "ordinal" }).select(number)];
}

function showQueue(update) {
  const parts = [];
  if (update.position > 0) {
    parts.push("You are " + ordinal(update.position) + " in the queue");
  }
  if (update.wait > 0) {
    parts.push("about " + Math.max(1, Math.round(update.wait / 60)) + " min to wait");
  }
  byId("queue").textContent = parts.join(", ");
  byId("queue").hidden = parts.length === 0;
}

function listen() {
  const events = new EventSource("events");
  events.onopen = () => {
    byId("state").textContent = "Connected";
  };
  events.onerror = () => {
    byId("state").textContent = "Connecting…";
    if (events.readyState === EventSource.CLOSED) {
      setTimeout(listen, 5000);
    }
  };
  events.onmessage = (event) => {
    const content = JSON.parse(event.data);
    (content.type === "queue" ? showQueue : showMessage)(content);
  };
}

// What the visitor does.

async function post(path, body, type) {
  const headers = { "Content-Type": type || "application/json" };
  const sent = type ? body : JSON.stringify(body);
  try {
    const answer = await fetch(path, { method: "POST", headers, body: sent });
    return await answer.json();
  } catch {
    return { ok: false, message: "There is no connection." };
  }
}

// Shows a message while it is under way; when it fails, a button sends it again, as the same one.
async function deliver(message, send) {
  const key = crypto.getRandomValues(new Uint32Array(4)).join("-");
  const made = element("article", { class: "message visitor pending" }, ...contents(message));
  pending.set(key, made);
  add(made);
  made.scrollIntoView({ block: "end" });
  const attempt = async () => {
    const answer = await send(key);
    if (answer.ok || !pending.has(key)) {
      return;
    }
    const again = element("button", { type: "button" }, "Send again");
    const note = element("p", { class: "failed", role: "alert" }, answer.message + " ", again);
    made.after(note);
    again.addEventListener("click", () => {
      note.remove();
      attempt();
    });
  };
  await attempt();
}

function say(message) {
  stopTyping(false);
  return deliver(message, (key) => post("say", { key, ...message }));
}

function sendFile(file) {
  if (file.size > LARGEST_FILE || file.size === 0) {
    const wrong = file.size === 0 ? " is empty." : " is larger than 5 MB.";
    add(element("p", { class: "failed", role: "alert" }, file.name + wrong));
    return;
  }
  deliver({ file: file.name }, (key) => {
    const path = "file?" + new URLSearchParams({ key, name: file.name.slice(-60) });
    return post(path, file, "application/octet-stream");
  });
}

let typedAt = 0; // when the server was told last; 0: it knows of no typing
let typingEnds;

function stopTyping(tells) {
  clearTimeout(typingEnds);
  if (typedAt && tells) {
    post("typing", {});
  }
  typedAt = 0;
}

function noteTyping() {
  const preview = text.value.trim();
  if (!preview) {
    return stopTyping(true);
  }
  clearTimeout(typingEnds);
  typingEnds = setTimeout(stopTyping, TYPING_ENDS, true);
  if (Date.now() - typedAt > TYPING_EVERY) {
    typedAt = Date.now();
    post("typing", { text: preview });
  }
}

// An agent's message is read when it is seen: on the screen, in a page that is looked at.
const seen = new Set();

function noteSeen() {
  if (document.visibilityState === "visible") {
    for (const made of seen) {
      post("read", { id: made.dataset.id });
    }
    seen.clear();
  }
}

const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (entry.isIntersecting) {
      watcher.unobserve(entry.target);
      seen.add(entry.target);
    }
  }
  noteSeen();
}, { root: messages });

function submit(event) {
  event.preventDefault();
  const message = text.value.trim();
  if (message) {
    say({ text: message });
    text.value = "";
    fit();
  }
  text.focus();
}

function fit() {
  text.rows = Math.min(5, text.value.split("\n").length);
}

document.addEventListener("visibilitychange", noteSeen);
byId("form").addEventListener("submit", submit);
byId("attach").addEventListener("click", () => byId("file").click());
byId("file").addEventListener("change", (event) => {
  [...event.target.files].forEach(sendFile);
  event.target.value = "";
});
text.addEventListener("input", () => {
  fit();
  noteTyping();
});
text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    submit(event);
  }
});
listen();
text.focus();
