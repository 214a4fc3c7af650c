// Attachments and structured contents, drawn as they would look.
import { bdi, h, icon, image, link, objects, safeLink, safeUrl, text } from "./dom.js";
import { pretty, size } from "./format.js";

const images = ["png", "gif", "webp", "bmp", "svg", "jpg", "jpeg"];
const audios = ["mp3", "ogg", "m4a", "aac"];

/** The name of an attachment: its file name, else the end of its url. */
function nameOf({ filename, url }) {
  const path = text(url).split(/[?#]/)[0];
  return text(filename) || path.slice(path.lastIndexOf("/") + 1) || text(url) || "attachment";
}

const extensionOf = (name) => name.slice(name.lastIndexOf(".") + 1).toLowerCase();

/** Whether it is shown as an image or as audio, or else linked. */
function kindOf(attachment, name) {
  const extension = extensionOf(name);
  const isImage = images.includes(extension) && !attachment.type;
  const isAudio = audios.includes(extension) || attachment.type === "audio";
  return (isImage && "image") || (isAudio && "audio") || "file";
}

/** Where to load an attachment from, or null. A content that was sent becomes a url. */
function sourceOf({ content, url }, kind, name) {
  const type = `${kind}/${extensionOf(name).replace("svg", "svg+xml")}`;
  const isBase64 = /^[A-Za-z0-9+/=\s]+$/.test(text(content));
  return isBase64 ? `data:${type};base64,${content}` : safeUrl(url);
}

function drawFile({ bytes, content, url }, name) {
  const length = bytes ?? (content ? Math.floor((text(content).length * 3) / 4) : undefined);
  return h("div.file.paper", icon("file"), link(url, name), h("span.hint", size(length)));
}

function drawImage(source, name, attachment) {
  const shown = image(source, name, () => drawFile(attachment, name));
  const href = safeUrl(attachment.url);
  return href ? h("a.picture", safeLink(href), shown) : h("span.picture", shown);
}

function drawAudio(source, name) {
  const given = { controls: true, preload: "none", src: source, "aria-label": name };
  return h("div", h("div.hint", bdi(name)), h("audio", given));
}

const drawers = { image: drawImage, audio: drawAudio };

export function drawAttachment(attachment) {
  const name = nameOf(attachment);
  const kind = kindOf(attachment, name);
  const source = kind === "file" ? null : sourceOf(attachment, kind, name);
  return source ? drawers[kind](source, name, attachment) : drawFile(attachment, name);
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
  item.type === "url" ? h("li.choice", link(item.url, text(item.title))) : drawChoice(item);

function drawCard({ attachment_url: picture, title, subtitle, url, url_text: words, items }) {
  const source = safeUrl(picture);
  return h(
    "div.card.paper",
    source && image(source, "", () => h("span.hint", "no picture")),
    h("strong", { dir: "auto" }, text(title)),
    text(subtitle) && h("span.hint", { dir: "auto" }, text(subtitle)),
    text(url) && link(url, text(words) || hostOf(url)),
    objects(items).length > 0 && h("ul", objects(items).map(drawButton)),
  );
}

function drawCarousel({ items }) {
  const given = { role: "group", "aria-label": "Carousel", tabindex: 0 };
  return h("div.carousel", given, objects(items).map(drawCard));
}

const structures = {
  select: ({ items }) => h("ul.select", objects(items).map(drawChoice)),
  rich_link: drawCard,
  template: drawCard,
  carousel: drawCarousel,
};

/** A structured content; of an unknown type as JSON. */
export function drawStructured(content) {
  const type = text(content.type);
  const draw = Object.hasOwn(structures, type) ? structures[type] : null;
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
