// The dialogs: a source's settings, a queueing update, the shortcuts.
import { ask, post, put } from "./api.js";
import { bdi, fill, find, h, list, on, text } from "./dom.js";
import { attempt, notice } from "./notice.js";
import { fullTime, pretty } from "./format.js";
import { actions, options } from "./protocol.js";
import { store } from "./store.js";

const formOf = (name) => find(`${name}-dialog`).querySelector("form");

const random = (bytes) =>
  [...crypto.getRandomValues(new Uint8Array(bytes))]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");

/** Check boxes for these values, and for chosen ones that nobody knows. */
function boxes(name, known, chosen) {
  return [...new Set([...known, ...chosen])].map((value) => {
    const box = h("input", { type: "checkbox", name, value, checked: chosen.includes(value) });
    return h("label.check", box, h("code", bdi(value)));
  });
}

function drawStatus(source) {
  const error = text(source.error);
  const info = source.info && pretty(JSON.stringify(source.info));
  return [
    error && h("p.problem", { dir: "auto" }, error),
    source.polled_at && h("p.hint", `Last polled ${fullTime(source.polled_at)}`),
    info && h("details", h("summary", "implementation.info"), h("pre", info)),
  ];
}

/** Opens a source's settings; without a source, those of a new one. */
export function askSource(source) {
  const { id, name, token, connector, interval } = formOf("source").elements;
  find("source-title").textContent = source ? "Source" : "New source";
  id.value = source ? text(source.id) : random(10);
  id.readOnly = Boolean(source);
  name.value = text(source?.name);
  token.value = source ? "" : random(32);
  token.placeholder = source ? "unchanged" : "";
  connector.value = text(source?.connector);
  interval.value = text(source?.interval ?? 60);
  fill(find("source-options"), boxes("options", options, list(source?.options)));
  fill(find("source-actions"), boxes("actions", actions, list(source?.actions ?? actions)));
  fill(find("source-status"), source && drawStatus(source));
  find("source-problem").textContent = "";
  find("source-dialog").showModal();
}

const checkedOf = (form, name) =>
  [...form.querySelectorAll(`[name="${name}"]:checked`)].map((box) => box.value);

async function saveSource(form) {
  const { id, name, token, connector, interval } = form.elements;
  const settings = {
    name: name.value.trim(),
    token: token.value || undefined,
    connector: connector.value.trim(),
    interval: Number(interval.value),
    options: checkedOf(form, "options"),
    actions: checkedOf(form, "actions"),
  };
  try {
    await put(`/sources/${encodeURIComponent(id.value.trim())}`, settings);
    find("source-dialog").close();
    notice("Source saved");
  } catch (problem) {
    find("source-problem").textContent = problem.message;
  }
}

let queued = null; // the key of the thread that the queueing update is about

/** Opens the form of a queueing update. */
export function askQueuing(thread) {
  queued = thread.key;
  find("queuing-dialog").showModal();
}

function sendQueuing(form) {
  const position = Number(form.elements.position.value);
  const estimated_wait_time = Number(form.elements.wait.value);
  const update = { thread: queued, position, estimated_wait_time };
  find("queuing-dialog").close();
  attempt(() => post("/queuing", update), "Queueing update sent");
}

export const askHelp = () => find("help-dialog").showModal();

function forget() {
  if (confirm("Forget all threads, messages and exchanges? Sources and faults stay.")) {
    attempt(() => ask("DELETE", ""), "Everything received is forgotten");
  }
}

/** The source for "poll now" and the settings: the one looked at, else the only one. */
export function currentSource() {
  const sources = [...store.sources.values()];
  return store.sources.get(store.source) ?? (sources.length === 1 ? sources[0] : undefined);
}

function onSubmit(name, action) {
  formOf(name).addEventListener("submit", (event) => {
    event.preventDefault();
    action(event.target);
  });
}

export function startDialogs() {
  onSubmit("source", saveSource);
  onSubmit("queuing", sendQueuing);
  on("forget", "click", forget);
  for (const close of document.querySelectorAll("[data-close]")) {
    close.addEventListener("click", () => close.closest("dialog").close());
  }
}
