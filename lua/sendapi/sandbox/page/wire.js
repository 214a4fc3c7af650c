// The wire: every exchange both ways, one of them in full, and sending it again.
import { get, post } from "./api.js";
import { bdi, button, fill, find, h, icon, on, text } from "./dom.js";
import { asCurl, asLua } from "./copies.js";
import { count, duration, fullTime, pretty, size, timeWithSeconds } from "./format.js";
import { attempt, copy, notice } from "./notice.js";
import { Rows } from "./rows.js";
import { changed, newestFirst, numberOf, store, watch } from "./store.js";

let openNumber = null;
let detail = null; // the exchange shown
let isRaw = false;

const directions = { in: "received by the sandbox", out: "sent to the connector" };
const isGood = ({ status }) => status >= 200 && status < 300;
const goodness = (isRight) => (isRight ? "good" : "bad");
const nameOf = (exchange) => bdi(text(exchange.action) || "not readable", "title");

function drawStatus(exchange) {
  const title = text(exchange.error);
  return h(`span.status.${goodness(isGood(exchange))}`, { title }, exchange.status ?? "none");
}

/** Right, wrong, or nothing where there was nothing to judge. */
function drawVerdict({ verdict }) {
  if (!verdict) {
    return h("span.verdict", { title: "no signature judged" }, "–");
  }
  const [symbol, words] = verdict.right ? ["check", "signed"] : ["problem", "wrong"];
  return h(`span.verdict.${goodness(verdict.right)}`, icon(symbol), words);
}

function drawDirection({ direction }) {
  const label = directions[direction];
  const [name, symbol] = direction === "out" ? ["out", "up"] : ["in", "down"];
  const given = { title: label, "aria-label": label, role: "img" };
  return h(`span.direction.${name}`, given, icon(symbol));
}

const drawFault = ({ fault }) => fault && h("span.mark.warn", text(fault));

function drawExchange(exchange) {
  return [
    drawDirection(exchange),
    h(
      "span.lines",
      h(
        "span.line",
        nameOf(exchange),
        drawFault(exchange),
        exchange.try > 1 && h("span.mark", `try ${exchange.try}`),
        drawStatus(exchange),
      ),
      h(
        "span.line.figures",
        h("time", timeWithSeconds(exchange.at)),
        h("span", duration(exchange.seconds)),
        h("span", size(exchange.request?.bytes)),
        drawVerdict(exchange),
      ),
    ),
  ];
}

const filters = {
  all: () => true,
  in: (exchange) => exchange.direction === "in",
  out: (exchange) => exchange.direction === "out",
  wrong: (exchange) => !isGood(exchange) || exchange.verdict?.right === false,
};

function shown() {
  const wanted = find("wire-search").value.trim().toLowerCase();
  const passes = filters[find("wire-filter").value];
  const holds = (one) => `${one.action} ${one.status} ${one.source}`.toLowerCase().includes(wanted);
  return newestFirst(store.wire, numberOf).filter((one) => passes(one) && holds(one));
}

const fact = (name, value) => value && [h("dt", name), h("dd", value)];
const code = (value) => text(value) && h("code", bdi(text(value)));

function drawFacts(exchange) {
  return h(
    "dl.facts",
    fact("Direction", directions[exchange.direction]),
    fact("Source", code(exchange.source)),
    fact("Address", code(exchange.url)),
    fact("Time", `${fullTime(exchange.at)}, took ${duration(exchange.seconds)}`),
    fact("Try", exchange.try),
    fact("Fault", drawFault(exchange)),
    fact("Error", exchange.error && bdi(text(exchange.error), "problem")),
  );
}

/** Why a signature is right or wrong, in full. */
function drawWhy({ verdict, direction }) {
  if (!verdict) {
    return null;
  }
  const whose = direction === "out" ? "answer's" : "request's";
  const words = `The ${whose} signature is ${verdict.right ? "right" : "wrong"}.`;
  const why = h("p", { dir: "auto" }, text(verdict.why));
  const symbol = icon(verdict.right ? "check" : "problem");
  return h(`div.why.${goodness(verdict.right)}`, symbol, h("div", h("strong", words), why));
}

function drawHeaders(headers) {
  const facts = Object.entries(headers ?? {}).map(([name, value]) => fact(bdi(name), code(value)));
  const summary = h("summary", count(facts.length, "header"));
  return facts.length > 0 && h("details", summary, h("dl.facts", facts));
}

function drawSide(title, side) {
  const body = text(side?.body);
  const given = { dir: "auto", tabindex: 0, "aria-label": `${title}, body` };
  return h(
    "section.side.paper",
    h("h3", title, " ", h("span.hint", size(side?.bytes ?? body.length))),
    h("p.hint", "Signature: ", code(side?.signature) || "none"),
    drawHeaders(side?.headers),
    side?.partial && h("p.hint", "Not the whole, or not the exact bytes."),
    h("pre", given, (isRaw ? body : pretty(body)) || "(empty)"),
  );
}

/** Where the request goes when it is sent from here. */
const addressOf = (exchange) =>
  exchange.direction === "in"
    ? `${location.origin}/realtime/sdk/${encodeURIComponent(exchange.source)}`
    : text(exchange.url);

function copyLua(exchange) {
  const program = asLua(exchange, location.origin);
  if (program) {
    copy(program, "Lua program");
  } else {
    notice("The library cannot send this: it is no action with params.", true);
  }
}

/** `edit`: { body, sign } or nothing. */
async function replay(exchange, edit) {
  const made = await attempt(() => post("/replay", { n: exchange.n, ...edit }), "Sent again");
  if (made) {
    store.wire.set(made.n, made);
    changed("wire");
    location.hash = `#wire/${made.n}`;
  }
}

function drawEditor(exchange) {
  const value = text(exchange.request.body);
  const given = { id: "replay-body", rows: 10, spellcheck: "false", "aria-label": "Body to send" };
  const body = h("textarea.code", { ...given, value });
  const sign = h("input", { type: "checkbox", checked: true, id: "replay-sign" });
  const send = () => replay(exchange, { body: body.value, sign: sign.checked });
  const bar = h(
    "div.bar",
    h("label.check", sign, "sign it again"),
    button("Send edited", send, { className: "primary", id: "replay-send" }),
  );
  return h("div.editor.panel", { hidden: true }, body, bar);
}

function drawTools(exchange, editor) {
  const disabled = Boolean(exchange.request.partial);
  const open = ({ target }) => {
    editor.hidden = !editor.hidden;
    target.setAttribute("aria-expanded", !editor.hidden);
    editor.querySelector("textarea").focus();
  };
  const curl = () => copy(asCurl(exchange, addressOf(exchange)), "curl command");
  const raw = h("input", { type: "checkbox", checked: isRaw, id: "raw", onchange: toggleRaw });
  return h(
    "div.bar",
    button("Replay", () => replay(exchange), { disabled, id: "replay" }),
    button("Edit and replay…", open, { disabled, "aria-expanded": "false", id: "replay-edit" }),
    button("Copy as curl", curl, { disabled, id: "copy-curl" }),
    button("Copy as Lua", () => copyLua(exchange), { disabled, id: "copy-lua" }),
    h("label.check", raw, "raw bodies"),
  );
}

function toggleRaw({ target }) {
  isRaw = target.checked;
  drawDetail();
  find("raw").focus();
}

function drawDetail() {
  find("wire").classList.toggle("opened", detail !== null);
  find("exchange-none").hidden = detail !== null;
  find("exchange").hidden = detail === null;
  if (detail === null) {
    return;
  }
  const editor = drawEditor(detail);
  const sides = [drawSide("Request", detail.request), drawSide("Answer", detail.answer)];
  const parts = [drawTools(detail, editor), editor, drawWhy(detail), drawFacts(detail)];
  fill(find("exchange-title"), drawDirection(detail), nameOf(detail), drawStatus(detail));
  fill(find("exchange-body"), parts, h("div.sides", sides));
}

/** Shows one exchange in full; null: none. */
export async function goToExchange(number) {
  if (number === openNumber) {
    return;
  }
  openNumber = number;
  const fetched = number === null ? null : await attempt(() => get(`/wire/${number}`));
  if (number === openNumber) {
    // else another one was asked for meanwhile
    detail = fetched ?? null;
    find("exchange-body").scrollTop = 0;
    drawDetail();
    changed("wire-open");
  }
}

export function startWire() {
  const rows = new Rows(find("exchanges"), {
    height: 3.5,
    key: numberOf,
    draw: drawExchange,
    choose: (exchange) => (location.hash = `#wire/${exchange.n}`),
    empty: "Nothing has gone over the wire yet.",
  });
  const draw = () => rows.set(shown());
  on("wire-search", "input", draw);
  on("wire-filter", "change", draw);
  on("wire-back", "click", () => (location.hash = "#wire"));
  watch("wire source", draw);
  watch("wire-open", () => rows.mark(openNumber));
}
