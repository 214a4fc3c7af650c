// Attachments and structured contents, drawn as they would look.
import { bdi, h, icon, image, link, list, safeLink, safeUrl, text } from "./dom.js";
import { pretty, size } from "./format.js";

// Extension -> media type, of what is shown; a video is only named.
const shownTypes = {
  png: "image/png",
  gif: "image/gif",
  webp: "image/webp",
  bmp: "image/bmp",
  svg: "image/svg+xml",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  mp3: "audio/mpeg",
  ogg: "audio/ogg",
  m4a: "audio/mp4",
  aac: "audio/aac",
};

/** The name of an attachment: its file name, else the end of its url. */
function nameOf({ filename, url }) {
  const path = text(url).split(/[?#]/)[0];
  return text(filename) || path.slice(path.lastIndexOf("/") + 1) || text(url) || "attachment";
}

/** image/…, audio/…, or what is not shown: video, file. */
function typeOf(attachment, name) {
  const type = shownTypes[name.slice(name.lastIndexOf(".") + 1).toLowerCase()];
  const told = text(attachment.type);
  if (told === "audio") {
    return type?.startsWith("audio/") ? type : "audio/mp4";
  }
  return told === "video" ? told : (type ?? "file");
}

/** Where to load an attachment from; null: from nowhere. A content that was sent becomes a url. */
function sourceOf({ content, url }, type) {
  const isBase64 = /^[A-Za-z0-9+/=\s]+$/.test(text(content));
  return isBase64 ? `data:${type};base64,${content}` : safeUrl(url);
}

function drawFile({ bytes, content, url }, name) {
  const length = bytes ?? (content ? Math.floor((text(content).length * 3) / 4) : undefined);
  return h("div.file.paper", icon("file"), link(url, name), h("span.hint", size(length)));
}

function drawImage(source, attachment, name) {
  const shown = image(source, name, () => drawFile(attachment, name));
  const href = safeUrl(attachment.url);
  return href ? h("a.picture", safeLink(href), shown) : h("span.picture", shown);
}

function drawAudio(source, name) {
  const given = { controls: true, preload: "none", src: source, "aria-label": name };
  return h("div", h("div.hint", bdi(name)), h("audio", given));
}

export function drawAttachment(attachment) {
  const name = nameOf(attachment);
  const type = typeOf(attachment, name);
  const source = sourceOf(attachment, type);
  if (source && type.startsWith("image/")) {
    return drawImage(source, attachment, name);
  }
  return source && type.startsWith("audio/") ? drawAudio(source, name) : drawFile(attachment, name);
}

function hostOf(url) {
  const href = safeUrl(url);
  return href ? new URL(href).host : text(url);
}

function drawChoice({ title, payload }) {
  const sends = text(payload) ? `sends ${text(payload)}` : "sends its title";
  return h("li.choice", { title: sends }, bdi(text(title)));
}

const drawButton = (item) =>
  item.type === "url"
    ? h("li.choice", link(item.url, text(item.title)), " ", icon("out"))
    : drawChoice(item);

function drawCard({ attachment_url: picture, title, subtitle, url, url_text: words, items }) {
  const source = safeUrl(picture);
  return h(
    "div.card.paper",
    source && image(source, "", () => h("span.hint", "no picture")),
    h("strong", { dir: "auto" }, text(title)),
    text(subtitle) && h("span.hint", { dir: "auto" }, text(subtitle)),
    text(url) && link(url, text(words) || hostOf(url)),
    list(items).length > 0 && h("ul", list(items).map(drawButton)),
  );
}

function drawCarousel({ items }) {
  const given = { role: "group", "aria-label": "Carousel", tabindex: 0 };
  return h("div.carousel", given, list(items).map(drawCard));
}

const drawers = {
  select: ({ items }) => h("ul.select", list(items).map(drawChoice)),
  rich_link: drawCard,
  template: drawCard,
  carousel: drawCarousel,
};

/** A structured content; of an unknown type as JSON. */
export function drawStructured(content) {
  const type = text(content.type);
  const draw = Object.hasOwn(drawers, type) ? drawers[type] : null;
  const drawn = draw ? draw(content) : h("pre", pretty(JSON.stringify(content)));
  return h("div.structured", { "data-type": type }, drawn);
}

const url = "https://example.com/";
const subtitle = "What it is about";
const choice = { type: "reply", title: "Choose", payload: "chosen" };
const card = (title) => ({ title, subtitle, items: [choice] });

/** What the editor is filled with, by type. */
export const templates = {
  select: {
    items: [
      { title: "Yes", payload: "yes" },
      { title: "No", payload: "no" },
    ],
  },
  rich_link: { url, title: "A page", subtitle, url_text: "Read more" },
  template: {
    title: "A product",
    subtitle,
    url,
    items: [choice, { type: "url", title: "Details", url }],
  },
  carousel: { items: [card("First"), card("Second")] },
};
