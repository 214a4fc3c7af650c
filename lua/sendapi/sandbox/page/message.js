// One message of a conversation.
import { bdi, button, excerpt, h, icon, image, objects, safeUrl, text } from "./dom.js";
import { drawAttachment, drawStructured } from "./contents.js";
import { fullTime, timeOfDay } from "./format.js";

const longCharacters = 1500;
const longLines = 24;

/** The names of a user, the first that there is. */
export function nameOf(user) {
  const full = [text(user?.firstname), text(user?.lastname)].filter(Boolean).join(" ");
  return text(user?.screenname) || full || text(user?.id) || "Unknown";
}

const isCustomer = (user) => !user.puppetizable;

/** The title of a thread; without one, which customers write in it. */
export const titleOf = ({ title, users, key }) =>
  text(title) || objects(users).filter(isCustomer).map(nameOf).join(", ") || text(key);

function initialsOf(name) {
  const words = name.match(/[\p{L}\p{N}]+/gu) ?? ["?"];
  const letters = words.length > 1 ? [words[0], words.at(-1)] : words;
  return letters
    .map((word) => Array.from(word)[0])
    .join("")
    .toUpperCase();
}

/** Always the same for the same name, degrees. */
const hueOf = (name) =>
  Array.from(name).reduce((hash, letter) => (hash * 31 + letter.codePointAt(0)) % 9973, 7) % 360;

/** A user's picture, or the initials. */
export function avatar(user) {
  const name = nameOf(user);
  const source = safeUrl(user?.avatar_url);
  const picture = source && image(source, "", () => "");
  const shown = h("span.avatar", { "aria-hidden": "true" }, initialsOf(name), picture);
  shown.style.setProperty("--hue", hueOf(name));
  return shown;
}

const mark = (label, title, kind = "plain") => h(`span.mark.${kind}`, { title }, label);

function drawMarks({ object, format, times, removed }) {
  const often = times === 2 ? "twice" : `${times} times`;
  return [
    object === "private_messages" && mark("private"),
    object === "threads" && mark("thread", "The text that opened the thread"),
    format === "html" && mark("html", "Sent as HTML; shown as text here"),
    times > 1 && mark(`received ${often}`, "The same id came again", "warn"),
    removed && mark(text(removed), "By an action", "warn"),
  ];
}

function drawHead(message) {
  const at = message.received_at;
  const title = `${fullTime(at)}\ncreated_at: ${text(message.created_at) || "none"}`;
  const author = bdi(nameOf(message.author), "author");
  return h("header", author, h("time", { title }, timeOfDay(at)), drawMarks(message));
}

const isLong = (body) =>
  body.length > longCharacters || body.split("\n", longLines + 1).length > longLines;

/** A long text is all there, and folded until it is asked for. */
function drawBody(body, n, unfolded) {
  const shown = h("div.text", { dir: "auto" }, body);
  if (!isLong(body)) {
    return shown;
  }
  const all = `Show all ${Array.from(body).length.toLocaleString()} characters`;
  const toggle = button("", () => fold(shown.classList.toggle("folded")), {
    className: "link",
    "data-focus": `${n} fold`,
  });
  const fold = (isFolded) => {
    unfolded[isFolded ? "delete" : "add"](n);
    shown.classList.toggle("folded", isFolded);
    toggle.textContent = isFolded ? all : "Show less";
  };
  fold(!unfolded.has(n));
  return [shown, toggle];
}

function drawQuote(message, context) {
  const id = text(message.in_reply_to_id);
  const quoted = id && context.find(id);
  const words = quoted ? excerpt(quoted.body, 80) || "an attachment" : id;
  return id && h("div.quote.hint", icon("reply"), "In reply to ", bdi(words));
}

function drawBubble({ body: given, n, structured_reply: reply }, { unfolded }) {
  const body = text(given);
  const chosen = reply && h("div.hint", "Chose ", h("code", bdi(text(reply.payload))));
  return (body || chosen) && h("div.bubble.paper", body && drawBody(body, n, unfolded), chosen);
}

/** Symbol, words and kind of the state; undefined: there is nothing to say. */
function stateOf({ state, tries, read_at: readAt }) {
  if (readAt) {
    return ["read", `Read ${timeOfDay(readAt)}`, "read"];
  }
  return {
    sending: ["refresh", tries > 1 ? `Sending, try ${tries}…` : "Sending…", "plain"],
    sent: ["check", tries > 1 ? `Sent (${tries} tries)` : "Sent", "plain"],
    failed: ["problem", tries > 1 ? `Not sent (${tries} tries)` : "Not sent", "bad"],
  }[state];
}

function drawState(message) {
  const [symbol, words, kind] = stateOf(message) ?? [];
  const error = text(message.error);
  return [
    symbol && h(`span.state.${kind}`, icon(symbol), words),
    error && h("span.state.bad", { dir: "auto" }, error),
  ];
}

const drawActions = (message, { label, act }) =>
  objects(message.actions).map((action) =>
    button(bdi(label(action)), () => act(message, action), {
      className: "small",
      "data-focus": `${message.n} ${text(action.name)}`,
    }),
  );

/**
 * Draws a message. `context`: `find(id)` -> the message with this id, `label(action)`,
 * `act(message, action)`, `unfolded` the numbers of those shown in full.
 */
export function drawMessage(message, context) {
  const from = message.from === "agent" ? "agent" : "customer";
  const state = message.removed ? "removed" : "whole";
  const stack = h(
    "div.stack",
    drawHead(message),
    drawQuote(message, context),
    drawBubble(message, context),
    objects(message.attachments).map(drawAttachment),
    message.structured_content && drawStructured(message.structured_content),
    h("footer", drawState(message), drawActions(message, context)),
  );
  return h(
    `article.message.${from}.${state}`,
    { "data-n": message.n },
    avatar(message.author),
    stack,
  );
}
