// Making elements. Everything shown came from outside and is hostile: texts become text nodes, and
// only http and https urls become links or sources. No markup is ever parsed.
import { icons } from "./icons.js";

const SVG = "http://www.w3.org/2000/svg";

/** Properties that are set as such; all others become attributes. */
const PROPERTIES = new Set(["className", "value", "checked", "disabled", "hidden", "textContent"]);

const isThere = (value) => (value ?? false) !== false;

function setOne(element, name, value) {
  if (name.startsWith("on")) {
    element.addEventListener(name.slice(2), value);
  } else if (PROPERTIES.has(name)) {
    element[name] = value;
  } else if (isThere(value)) {
    element.setAttribute(name, value === true ? "" : String(value));
  }
}

const isObject = (value) => value?.constructor === Object;

/**
 * Makes an element: `h("p.hint", { title }, child…)`. The object may be left out; it holds
 * properties, attributes and, as `onclick`, listeners. Children are elements, texts, lists of them,
 * or nothing (null, undefined, false).
 */
export function h(name, ...children) {
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag);
  element.classList.add(...classes);
  for (const [key, value] of Object.entries(isObject(children[0]) ? children.shift() : {})) {
    setOne(element, key, value);
  }
  element.append(...present(children));
  return element;
}

/** The children that are there, flat, texts as strings. */
function present(children) {
  return children
    .flat(Infinity)
    .filter(isThere)
    .map((child) => (child instanceof Node ? child : String(child)));
}

/** Puts other children into an element. */
export function fill(element, ...children) {
  element.replaceChildren(...present(children));
  return element;
}

export const find = (id) => document.getElementById(id);

export const on = (id, event, listener) => find(id).addEventListener(event, listener);

/** Words in the place of a list that is empty; none: it is not. */
export function setEmpty(element, words) {
  if (words) {
    element.dataset.empty = words;
  } else {
    delete element.dataset.empty;
  }
}

/** A symbol; says nothing to a screen reader. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("class", "icon");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", icons[name]);
  svg.append(path);
  return svg;
}

/** A text from outside within one of ours: its direction does not reach beyond it. */
export const bdi = (text, className) => h("bdi", className ? { className } : {}, text);

export const button = (label, onclick, given) =>
  h("button", { type: "button", onclick, ...given }, label);

/** A button that closes or removes something. */
export const closeButton = (label, onclick) =>
  button("×", onclick, { className: "quiet square", "aria-label": label });

/** The url when it is one of http or https; else null. */
export function safeUrl(text) {
  try {
    const url = new URL(String(text));
    return /^https?:$/.test(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

/** What makes a link to another site tell it nothing. */
export const safeLink = (href) => ({ href, target: "_blank", rel: "noopener noreferrer" });

/** A link to another site, or mere text when the url is not http or https. */
export function link(url, words) {
  const href = safeUrl(url);
  const shown = bdi(words);
  return href ? h("a", safeLink(href), shown) : h("span", { title: "not an http(s) url" }, shown);
}

/** An image from another site; `instead()` takes its place when it does not load. */
export function image(source, alt, instead) {
  const shown = h("img", { src: source, alt, loading: "lazy", referrerpolicy: "no-referrer" });
  shown.addEventListener("error", () => shown.replaceWith(instead()));
  return shown;
}

/** A list from outside: whatever is none counts as empty. */
export const list = (value) => (Array.isArray(value) ? value : []);

/** The objects of a list from outside. */
export const objects = (value) => list(value).filter(isObject);

/** A text from outside: numbers are written out, what else is none is empty. */
export function text(value) {
  return ["string", "number"].includes(typeof value) ? String(value) : "";
}

/** The first so many characters, on one line. */
export function excerpt(value, length) {
  const line = text(value)
    .slice(0, length * 2)
    .replace(/\s+/g, " ")
    .trim();
  return line.length > length ? `${line.slice(0, length)}…` : line;
}
