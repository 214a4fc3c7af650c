// The agent's screen: what stands around the tabs, and what the address bar says is open.
//
//   #inbox   #inbox/<key of a thread>   #wire   #wire/<number of an exchange>   #faults
import { Events, post } from "./api.js";
import { fill, find, h, icon, on, text } from "./dom.js";
import { startComposer } from "./composer.js";
import { startConversation } from "./conversation.js";
import { askHelp, askSource, currentSource, startDialogs } from "./dialogs.js";
import { startFaults } from "./faults.js";
import { goToThread, startInbox } from "./inbox.js";
import { attempt } from "./notice.js";
import { changed, note, refresh, store, watch } from "./store.js";
import { goToExchange, startWire } from "./wire.js";

const tabs = ["inbox", "wire", "faults"];
const themes = { "": "Theme: as the system", light: "Theme: light", dark: "Theme: dark" };

const addresses = {}; // tab -> what it had open last
let tab = "inbox";

function showTab(name) {
  tab = name;
  for (const one of tabs) {
    find(one).hidden = one !== name;
    find(`tab-${one}`).setAttribute("aria-selected", one === name);
    find(`tab-${one}`).tabIndex = one === name ? 0 : -1;
  }
}

function decode(word) {
  try {
    return decodeURIComponent(word);
  } catch {
    return word;
  }
}

/** Opens what the address bar says. A tab keeps what it has open. */
function route() {
  const [name, ...rest] = location.hash.slice(1).split("/");
  const key = rest.length > 0 ? decode(rest.join("/")) : null;
  showTab(tabs.includes(name) ? name : "inbox");
  addresses[tab] = location.hash;
  if (tab === "inbox") {
    goToThread(key);
  } else if (tab === "wire") {
    goToExchange(key === null ? null : Number(key));
  }
  changed("conversation");
}

function goTo(name) {
  location.hash = addresses[name] ?? `#${name}`;
  find(`tab-${name}`).focus();
}

function pressTab(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (step) {
    event.preventDefault();
    goTo(tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length]);
  }
}

function drawSources() {
  const all = [...store.sources.values()].map(({ id, name }) =>
    h("option", { value: id }, text(name) || text(id)),
  );
  fill(find("source"), h("option", { value: "" }, "All sources"), all);
  find("source").value = store.source;
  const source = currentSource();
  find("settings").disabled = !source;
  find("settings").title = source
    ? text(source.error) || "Source settings"
    : "Choose a source first";
  find("settings").classList.toggle("problem", Boolean(source?.error));
  find("poll").disabled = !source?.connector || Boolean(source.syncing);
  find("poll").title = source?.connector ? "Ask the connector now" : "No connector to poll";
  find("poll-label").textContent = source?.syncing ? "Polling…" : "Poll now";
}

function chooseSource(id) {
  store.source = id;
  changed("source", "threads", "wire", "sources");
}

function poll() {
  const source = currentSource();
  attempt(() => post("/poll", { source: source.id }), "Polling");
}

function drawTheme() {
  find("theme").title = themes[document.documentElement.dataset.theme];
}

function nextTheme() {
  const names = Object.keys(themes);
  const { dataset } = document.documentElement;
  dataset.theme = names[(names.indexOf(dataset.theme) + 1) % names.length];
  localStorage.setItem("sandbox.theme", dataset.theme);
  drawTheme();
}

function showOnline(isOnline) {
  find("online").dataset.online = isOnline;
  find("online-label").textContent = isOnline ? "Live" : "Offline, trying again";
}

function showUnread() {
  const unread = [...store.threads.values()].filter((thread) => thread.unread > 0).length;
  document.title = `${unread > 0 ? `(${unread}) ` : ""}sendapi sandbox`;
  find("inbox-unread").textContent = unread > 0 ? unread : "";
  find("inbox-unread").hidden = unread === 0;
}

const focusList = () => find(tab === "wire" ? "exchanges" : "threads").focus();

const shortcuts = {
  1: () => goTo("inbox"),
  2: () => goTo("wire"),
  3: () => goTo("faults"),
  "?": askHelp,
  "/": () => find(tab === "wire" ? "wire-search" : "thread-search").focus(),
  l: focusList,
  r: () => find("body").focus(),
  t: nextTheme,
};

const isWriting = (element) => element.matches("input:not([type=checkbox]), textarea, select");

/** Escape leads from a text box to its list; from a conversation, on a phone, to the threads. */
function escape(event) {
  if (isWriting(event.target)) {
    focusList();
  } else if (tab !== "faults") {
    location.hash = `#${tab}`;
  }
}

function press(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || document.querySelector("dialog[open]")) {
    return;
  } else if (event.key === "Escape") {
    escape(event);
  } else if (!isWriting(event.target) && Object.hasOwn(shortcuts, event.key)) {
    event.preventDefault();
    shortcuts[event.key]();
  }
}

function drawIcons() {
  for (const element of document.querySelectorAll("[data-icon]")) {
    element.prepend(icon(element.dataset.icon));
  }
}

function listen() {
  addEventListener("hashchange", route);
  document.addEventListener("keydown", press);
  on("tabs", "keydown", pressTab);
  tabs.forEach((name) => on(`tab-${name}`, "click", () => goTo(name)));
  on("source", "change", (event) => chooseSource(event.target.value));
  on("settings", "click", () => askSource(currentSource()));
  on("source-add", "click", () => askSource());
  on("poll", "click", poll);
  on("theme", "click", nextTheme);
  on("help", "click", askHelp);
  on("faults-on", "click", () => goTo("faults"));
}

function start() {
  drawIcons();
  drawTheme();
  startDialogs();
  startConversation();
  startComposer();
  startFaults();
  startInbox();
  startWire();
  watch("sources", drawSources);
  watch("threads", showUnread);
  listen();
  route();
  new Events({ start: refresh, event: note, online: showOnline }).connect();
}

start();
