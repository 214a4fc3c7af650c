// Exchanges of the wire as commands and programs to paste.
import { actions } from "./protocol.js";

const signatureHeader = "X-SMCCSDK-SIGNATURE";

const octal = (c) => `\\${c.charCodeAt().toString(8).padStart(3, 0)}`;

/** For a shell; control characters need bash. */
const quote = (words) =>
  /[^\n\t -~\x80-\uffff]/.test(words)
    ? `$'${words.replace(/['\\\x00-\x1f\x7f]/g, octal)}'`
    : `'${words.replaceAll("'", "'\\''")}'`;

/** Sends the same bytes again. */
export function asCurl(exchange, url) {
  const { body, signature } = exchange.request;
  const parts = ["curl -sS -i", `-H ${quote("Content-Type: application/json")}`];
  if (signature) {
    parts.push(`-H ${quote(`${signatureHeader}: ${signature}`)}`);
  }
  parts.push(`--data-raw ${quote(body)}`, quote(url));
  return parts.join(" \\\n  ");
}

const keywords = new Set(
  (
    "and break do else elseif end false for function goto if in local nil not or repeat return " +
    "then true until while"
  ).split(" "),
);

const escapes = { '"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** Three digits, so that a digit behind it stays one of the text. */
const escape = (character) =>
  escapes[character] ?? `\\${String(character.charCodeAt(0)).padStart(3, "0")}`;

/** A text as a Lua string; UTF-8 stays as it is. */
export const luaString = (words) => `"${words.replace(/["\\\x00-\x1f\x7f]/g, escape)}"`;

function luaKey(key) {
  return /^[A-Za-z_]\w*$/.test(key) && !keywords.has(key) ? key : `[${luaString(key)}]`;
}

function luaTable(items, indent) {
  if (items.length === 0) {
    return "{}";
  }
  const inner = `${indent}  `;
  return `{\n${items.map((item) => `${inner}${item},\n`).join("")}${indent}}`;
}

/** A decoded JSON value as Lua. Objects lose their nulls, as the protocol means it. */
export function luaValue(value, indent = "") {
  const inner = `${indent}  `;
  if (typeof value === "string") {
    return luaString(value);
  } else if (value === null || typeof value !== "object") {
    return value === null ? "nil" : String(value);
  } else if (Array.isArray(value)) {
    return luaTable(
      value.map((item) => luaValue(item, inner)),
      indent,
    );
  }
  const fields = Object.entries(value).filter(([, item]) => item !== null);
  return luaTable(
    fields.map(([key, item]) => `${luaKey(key)} = ${luaValue(item, inner)}`),
    indent,
  );
}

function parse(body) {
  try {
    return JSON.parse(body);
  } catch {
    return null;
  }
}

/** The library lets plain http pass to this machine alone, unless it is told. */
function isElsewhere(origin) {
  const { protocol, hostname } = new URL(origin);
  return protocol === "http:" && !["127.0.0.1", "localhost", "[::1]"].includes(hostname);
}

const client = (exchange, origin) => `local sendapi = require "sendapi"

local client = sendapi.client(${luaString(exchange.source)}, os.getenv "SENDAPI_TOKEN", {
  base_url = ${luaString(origin)},
${isElsewhere(origin) ? "  insecure_http = true,\n" : ""}})
`;

function asCall(exchange, origin) {
  const request = parse(exchange.request.body);
  if (!actions.includes(request?.action) || typeof request.params !== "object" || !request.params) {
    return null;
  }
  const [object, operation] = request.action.split(".");
  return `${client(exchange, origin)}
local ok, err = client.${object}:${operation} ${luaValue(request.params)}

print(ok and "200: ok" or err)
`;
}

const asHandled = (exchange) => `local connector = require "connector" -- yours

local body = ${luaString(exchange.request.body)}
local signature = ${luaString(exchange.request.signature ?? "")}

print(connector:handle(body, signature))
`;

/** A Lua program for an exchange; null when the library cannot say the same. */
export const asLua = (exchange, origin) =>
  exchange.direction === "in" ? asCall(exchange, origin) : asHandled(exchange);
