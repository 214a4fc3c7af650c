// The reply box. What is being written is kept for each conversation.
import { post } from "./api.js";
import { bdi, closeButton, fill, find, h, icon, on, safeUrl, text } from "./dom.js";
import { drawStructured, templates } from "./contents.js";
import { attempt, notice } from "./notice.js";
import { noteMessage, store, watch } from "./store.js";

const agentKey = "sandbox.agent";
const drafts = new Map(); // key -> draft
let shownKey = null;

/** What is being written in the open conversation. */
function draft() {
  const { key } = store.open;
  if (!drafts.has(key)) {
    drafts.set(key, { body: "", attachments: [], type: "", json: "", isTyping: false });
  }
  return drafts.get(key);
}

function drawAttachments() {
  const { attachments } = draft();
  const chips = attachments.map(({ filename, url }, index) => {
    const remove = () => {
      attachments.splice(index, 1);
      drawAttachments();
      find("attach-toggle").focus();
    };
    const name = filename || url;
    return h("li.chip.panel", icon("attach"), bdi(name), closeButton(`Remove ${name}`, remove));
  });
  fill(find("attached"), chips);
}

function addAttachment() {
  const url = find("attach-url");
  const filename = find("attach-name");
  if (safeUrl(url.value)) {
    const type = find("attach-type").value || undefined;
    const given = { url: url.value, type, filename: filename.value.trim() || undefined };
    draft().attachments.push(given);
    url.value = filename.value = "";
    drawAttachments();
  } else {
    notice("An attachment needs an http or https url.", true);
  }
  url.focus();
}

/** The structured content that the editor holds, or what is wrong with it. */
function readStructured() {
  const { type, json } = draft();
  try {
    const content = type ? JSON.parse(json) : undefined;
    const isRight = content === undefined || content?.constructor === Object;
    return isRight ? { content } : { problem: "The structured content must be an object." };
  } catch (error) {
    return { problem: `Not JSON: ${error.message}` };
  }
}

function drawPreview() {
  const { content, problem } = readStructured();
  find("structured-editor").hidden = !draft().type;
  find("structured-json").setAttribute("aria-invalid", Boolean(problem));
  const words = problem && h("p.problem", problem);
  fill(find("structured-preview"), words || (content && drawStructured(content)));
}

function chooseStructured() {
  const type = find("structured-type").value;
  const json = type && JSON.stringify({ type, ...templates[type] }, null, 2);
  Object.assign(draft(), { type, json });
  find("structured-json").value = json;
  drawPreview();
}

function openPanel(name, isOpen) {
  find(`${name}-panel`).hidden = !isOpen;
  find(`${name}-toggle`).setAttribute("aria-expanded", isOpen);
}

function togglePanel(name, control) {
  const isOpen = find(`${name}-panel`).hidden;
  openPanel(name, isOpen);
  if (isOpen) {
    find(control).focus();
  }
}

function setTyping(isTyping) {
  draft().isTyping = isTyping;
  attempt(() => post("/typing", { thread: store.open.key, on: isTyping }));
}

/** The text box grows with its text, up to the style sheet's height. */
function grow() {
  const box = find("body");
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight + 2}px`;
}

function show() {
  const { body, type, json, isTyping } = draft();
  find("body").value = body;
  find("structured-type").value = type;
  find("structured-json").value = json;
  find("typing-toggle").checked = isTyping;
  openPanel("attach", false);
  openPanel("structured", type !== "");
  drawAttachments();
  drawPreview();
  grow();
}

function readReply() {
  const { body, attachments } = draft();
  const { content, problem } = readStructured();
  const isEmpty = !body.trim() && attachments.length === 0 && !content;
  const author = { screenname: find("agent").value.trim() || "Agent" };
  return {
    problem: problem ?? (isEmpty ? "There is nothing to send yet." : undefined),
    given: { thread: store.open.key, body, author, attachments, structured_content: content },
  };
}

async function send() {
  const { problem, given } = readReply();
  if (problem) {
    notice(problem, true);
    find("body").focus();
    return;
  }
  find("send").disabled = true;
  const message = await attempt(() => post("/reply", given));
  find("send").disabled = false;
  if (message) {
    sent(given.thread, message);
  }
}

/** The agent may be elsewhere meanwhile, and the event have come before. */
function sent(key, message) {
  drafts.delete(key);
  if (store.open?.key === key) {
    if (!store.open.messages.has(message.n)) {
      noteMessage(key, message);
    }
    show();
    find("body").focus();
  }
}

/** Calls what Enter means in a text box; not while an input method is composing. */
const onEnter = (action) => (event) => {
  const isMeant = event.key === "Enter" && !event.shiftKey && !event.isComposing;
  if (isMeant && event.target.tagName !== "BUTTON") {
    event.preventDefault();
    action();
  }
};

function listen() {
  on("body", "input", ({ target }) => {
    draft().body = target.value;
    grow();
  });
  on("structured-json", "input", ({ target }) => {
    draft().json = target.value;
    drawPreview();
  });
  on("body", "keydown", onEnter(send));
  on("send", "click", send);
  on("agent", "change", ({ target }) => localStorage.setItem(agentKey, target.value.trim()));
  on("attach-toggle", "click", () => togglePanel("attach", "attach-url"));
  on("attach-panel", "keydown", onEnter(addAttachment));
  on("attach-add", "click", addAttachment);
  on("structured-toggle", "click", () => togglePanel("structured", "structured-type"));
  on("structured-type", "change", chooseStructured);
  on("typing-toggle", "change", ({ target }) => setTyping(target.checked));
}

export function startComposer() {
  const types = Object.keys(templates).map((type) => h("option", type));
  fill(find("structured-type"), h("option", { value: "" }, "none"), types);
  find("agent").value = text(localStorage.getItem(agentKey));
  listen();
  watch("conversation", () => {
    if (store.open && store.open.key !== shownKey) {
      shownKey = store.open.key;
      show();
    }
  });
}
