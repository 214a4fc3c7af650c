// Makes the README's picture of the agent's screen, of a conversation over the real interface.
//
//   lua5.4 spec/browser/run.lua spec/browser/picture.js examples
//
// writes examples/screen.png; NODE_PATH names the folder that playwright-core is in.
const assert = require("node:assert/strict");
const crypto = require("node:crypto");
const path = require("node:path");
const checks = require("./checks.js");
const { Connector, sign } = require("./connector.js");

const [, , address, directory] = process.argv;
const base = address.replace(/\/$/, "");
const shop = { id: "shop", token: crypto.randomBytes(32).toString("hex") };
const chat = { id: "chat", token: process.env.CHAT_TOKEN };
const connector = new Connector(shop.token);
const { seen } = checks;

const person = (id, screenname) => ({ id, screenname, created_at: "2019-11-07T14:38:00Z" });
const alice = person("alice", "Alice Martin");
const bob = person("bob", "Bob Laurent");
const chloe = person("chloe", "Chloé Petit");
const david = person("david", "David Moreau");

/** A harmless picture, which nothing has to be fetched for. */
const shoe = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="20 40 280 130">
  <rect width="320" height="180" fill="#dfe7f1"/>
  <path d="M60 118q4-34 14-50 24 14 44-2 30 34 84 44 46 8 56 24H60z" fill="#2f5fb3"/>
  <path d="M56 134h206q2 14-10 14H68q-12 0-12-14z" fill="#fff"/>
  <path d="M122 72l14-10M138 86l14-10M156 98l13-11" stroke="#fff" stroke-width="5"/>
</svg>`;

let screen, pageToken;

async function post(url, headers, body, method = "POST") {
  headers["Content-Type"] = "application/json";
  const answer = await fetch(base + url, { method, headers, body });
  assert.equal(answer.status, 200, await answer.text());
}

const ask = (method, where, body) =>
  post(`/_sandbox${where}`, { "X-Sandbox-Token": pageToken }, JSON.stringify(body), method);

function send(action, params, source = shop) {
  const body = JSON.stringify({ action, params });
  const signature = sign(source.token, body);
  return post(`/realtime/sdk/${source.id}`, { "X-SMCCSDK-SIGNATURE": signature }, body);
}

let number = 0;
function say(author, body, more = {}, source = shop) {
  number += 1;
  const thread = { id: `message-${number}`, thread_id: author.id };
  return send("messages.create", { ...thread, author, body, format: "text", ...more }, source);
}

const row = (words) => screen.locator("#threads .row", { hasText: words }).first();
const message = (words) => screen.locator("#log .message", { hasText: words }).last();

async function reply(words) {
  await screen.fill("#body", words);
  await screen.press("#body", "Enter");
  await seen(message(words).getByText("Sent"));
}

const choices = {
  type: "select",
  center_items: false,
  items: [
    { title: "Exchange it", payload: "exchange" },
    { title: "Get my money back", payload: "refund" },
  ],
};

async function converse() {
  await say(chloe, "Merci, c'est parfait !");
  await say(david, "Do you deliver on Saturdays?", {}, chat);
  await say(bob, "My invoice shows the wrong address.");
  await say(bob, "Can you send me a new one?");
  const picture = { url: "https://shop.example/shoe.png", filename: "shoe.png" };
  await say(alice, "Hello, these came today, but they are too small.", {
    attachments: [picture],
    actions: ["mark_urgent"],
  });
  await row("Alice Martin").click();
  await seen(message("too small").locator("img"));
  await screen.fill("#agent", "Emma");
  await screen.click("#structured-toggle");
  await screen.selectOption("#structured-type", "select");
  await screen.fill("#structured-json", JSON.stringify(choices));
  await reply("I am sorry to hear that, Alice. What may we do for you?");
  await send("status.mark_as_read", { id: "reply-1" });
  const chosen = { in_reply_to_id: "reply-1", structured_reply: { payload: "exchange" } };
  await say(alice, "Exchange it", chosen);
  await send("typing.start", { thread_id: "alice", preview: "One size la" });
  await seen(screen.locator("#typing .typing"));
}

checks.withBrowser(async (browser) => {
  try {
    await connector.start();
    const context = await browser.newContext({
      locale: "en-GB",
      viewport: { width: 1200, height: 896 },
      colorScheme: "light",
      reducedMotion: "reduce",
    });
    screen = await context.newPage();
    await screen.route("https://shop.example/**", (route) =>
      route.fulfill({ contentType: "image/svg+xml", body: shoe }),
    );
    await checks.openScreen(screen, address);
    pageToken = await screen.getAttribute('meta[name="sandbox-token"]', "content");
    const settings = { name: "Shop", token: shop.token, connector: connector.url, interval: 0 };
    await ask("PUT", "/sources/shop", settings);
    await converse();
    await screen.evaluate(() => document.activeElement.blur());
    await screen.mouse.move(0, 0);
    await screen.locator("#notices").evaluate((one) => one.replaceChildren());
    await screen.screenshot({ path: path.join(directory, "screen.png") });
  } finally {
    connector.stop();
  }
});
