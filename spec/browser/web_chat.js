// The agent's screen and a visitor's page, both in one browser, against a running sandbox and the
// example web chat, which is the connector of the sandbox's source `chat`; and the library's client.
//
//   CHAT_TOKEN=... CHAT_URL=... node spec/browser/web_chat.js URL DIRECTORY
//
// URL is the screen's; checks.js says what else is given, and what is printed. LUA names the Lua
// that the client runs in, by default lua5.4.
const assert = require("node:assert/strict");
const { execFileSync } = require("node:child_process");
const path = require("node:path");
const checks = require("./checks.js");

const [, , address, directory] = process.argv;
const base = address.replace(/\/$/, "");
const { CHAT_TOKEN: token, CHAT_URL: chatUrl, LUA: lua = "lua5.4" } = process.env;
const { gone, seen } = checks;
const alice = { id: "alice-martin", screenname: "Alice Martin", created_at: "2019-11-07" };
const problems = []; // what the pages' consoles and the browser complain about

let screen, visitor;
const check = checks.checker(directory, () => [screen, visitor].filter(Boolean));

/** By the library's client, in a process of its own. */
function send(object, operation, params) {
  const program = path.join(__dirname, "send.lua");
  const given = [base, "chat", token, object, operation, JSON.stringify(params)];
  execFileSync(lua, [program, ...given], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

const threadRow = (words) => screen.locator("#threads .row", { hasText: words }).first();
const onScreen = (words) => screen.locator("#log .message", { hasText: words }).last();
const toVisitor = (words) => visitor.locator("#messages .message", { hasText: words }).last();

/** Whatever loads a page again loses this mark. */
const markPage = (page) => page.evaluate(() => (window.isTheSame = true));
const isTheSame = (page) => page.evaluate(() => window.isTheSame === true);

async function typeAndSend(page, box, words) {
  await page.focus(box);
  await page.keyboard.type(words);
  await page.keyboard.press("Enter");
}

async function checkClient() {
  await check("what the Lua client sends appears without reload", async () => {
    const message = { id: "client-1", thread_id: "client", author: alice, body: "Sent by Lua" };
    send("messages", "create", message);
    await seen(threadRow("Sent by Lua"));
    await threadRow("Sent by Lua").click();
    await seen(onScreen("Sent by Lua"));
    assert.equal(await onScreen("Sent by Lua").locator(".author").textContent(), "Alice Martin");
    assert.ok(await isTheSame(screen));
  });

  await check("typing that the Lua client tells of appears and goes", async () => {
    send("typing", "start", { thread_id: "client", preview: "And wh" });
    await seen(screen.locator("#typing", { hasText: "And wh" }));
    send("typing", "stop", { thread_id: "client" });
    await gone(screen.locator("#typing .typing"));
  });
}

async function checkVisitor() {
  await check("the web chat is the source's connector", async () => {
    const pageToken = await screen.getAttribute('meta[name="sandbox-token"]', "content");
    const answer = await fetch(`${base}/_sandbox/sources/chat`, {
      method: "PUT",
      headers: { "Content-Type": "application/json", "X-Sandbox-Token": pageToken },
      body: JSON.stringify({ connector: `${chatUrl}/connector` }),
    });
    assert.equal(answer.status, 200, await answer.clone().text());
    const isKnown = async () => {
      const { sources } = await (await fetch(`${base}/_sandbox/state`)).json();
      return sources[0].info?.options?.includes("view.messaging");
    };
    await checks.until("implementation.info", isKnown);
  });

  await check("what a visitor types appears on the agent's screen, and goes", async () => {
    await typeAndSend(visitor, "#text", "Hello");
    await seen(threadRow("Hello"));
    await threadRow("Hello").click();
    await seen(onScreen("Hello"));
    await checks.until("typing, which is told of every few seconds", async () => {
      await visitor.keyboard.type("o");
      return screen.locator("#typing .typing").isVisible();
    });
    await visitor.fill("#text", "");
    await gone(screen.locator("#typing .typing"));
  });

  await check("what a visitor says appears on the agent's screen without reload", async () => {
    await typeAndSend(visitor, "#text", "Is anybody there?");
    await seen(onScreen("Is anybody there?"));
    await seen(toVisitor("Is anybody there?"));
    assert.ok(await isTheSame(screen));
  });

  await check("a hostile text of a visitor is shown as text", async () => {
    const text = "<script>window.hacked = 1</script> \u202e <img src=x onerror=hacked()>";
    await visitor.fill("#text", text);
    await visitor.press("#text", "Enter");
    await seen(onScreen("<script>"));
    assert.equal(await onScreen("<script>").locator(".text").textContent(), text);
    assert.equal(await onScreen("<script>").locator("script, img").count(), 0);
  });
}

async function checkAgent() {
  await check("an agent's reply reaches the visitor's page without reload", async () => {
    await typeAndSend(screen, "#body", "Yes, how may I help?");
    await seen(toVisitor("Yes, how may I help?"));
    assert.equal(await toVisitor("Yes, how").locator(".name").textContent(), "Agent");
    assert.ok(await isTheSame(visitor));
  });

  await check("that the visitor has read it shows", async () => {
    await visitor.bringToFront();
    await seen(onScreen("Yes, how may I help?").locator(".state.read"));
    await screen.bringToFront();
  });

  await check("a choice that an agent offers is chosen by the visitor", async () => {
    await screen.click("#structured-toggle");
    await screen.selectOption("#structured-type", "select");
    const content = {
      type: "select",
      center_items: false,
      items: [{ title: "My order", payload: "order" }],
    };
    await screen.fill("#structured-json", JSON.stringify(content));
    await typeAndSend(screen, "#body", "What is it about?");
    await toVisitor("What is it about?").getByRole("button", { name: "My order" }).click();
    await seen(onScreen("My order").getByText("order", { exact: true }));
  });

  await check("the place in the queue reaches the visitor's page", async () => {
    await screen.click("#queuing");
    await screen.fill('#queuing-dialog [name="position"]', "2");
    await screen.keyboard.press("Enter");
    await seen(visitor.locator("#queue", { hasText: "2nd in the queue" }));
  });
}

async function checkRest() {
  await check("every exchange of both directions is signed rightly", async () => {
    const wire = await (await fetch(`${base}/_sandbox/wire`)).json();
    assert.ok(wire.some((one) => one.direction === "in" && one.verdict.right));
    assert.ok(wire.some((one) => one.direction === "out" && one.verdict.right));
    assert.deepEqual(
      wire.filter((one) => !one.verdict?.right),
      [],
    );
  });

  await check("neither page complains", () => assert.deepEqual(problems, []));

  await screen.screenshot({ path: path.join(directory, "web_chat-screen.png") });
  await visitor.screenshot({ path: path.join(directory, "web_chat-visitor.png") });
}

/** Opens both pages, in two windows: neither is hidden from who looks. */
async function open(browser, url, viewport) {
  const context = await browser.newContext({ locale: "en-GB", viewport });
  const page = await context.newPage();
  checks.watchProblems(page, problems);
  await page.goto(url);
  await markPage(page);
  return page;
}

checks.withBrowser(async (browser) => {
  screen = await open(browser, address, { width: 1280, height: 800 });
  await seen(screen.locator('#online[data-online="true"]'));
  await checkClient();
  if (!chatUrl) {
    return checks.skip("the web chat", "it needs nginx with Lua, and a core for LuaJIT");
  }
  visitor = await open(browser, chatUrl, { width: 390, height: 700 });
  await checkVisitor();
  await checkAgent();
  await checkRest();
});
