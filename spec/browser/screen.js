// The agent's screen in headless Chromium, against a running sandbox.
//
//   node spec/browser/screen.js URL DIRECTORY
//
// URL is the page's, DIRECTORY gets the screenshots; checks.js says what else is given, and what is
// printed.
const assert = require("node:assert/strict");
const crypto = require("node:crypto");
const { execFileSync } = require("node:child_process");
const path = require("node:path");
const checks = require("./checks.js");
const { Connector, sign } = require("./connector.js");
const lowContrasts = require("./contrast.js");
const { Relay } = require("./relay.js");

const [, , address, directory] = process.argv;
const base = address.replace(/\/$/, "");
const { gone, patience, seen, until } = checks;
const wide = { width: 1280, height: 800 };
const narrow = { width: 390, height: 800 };

// Of its own for each run, so that one sandbox may serve several runs.
const run = crypto.randomBytes(3).toString("hex");
const source = { id: `browser-${run}`, token: crypto.randomBytes(32).toString("hex") };
const alice = { id: `alice-${run}`, screenname: `Alice ${run}`, created_at: "2019-11-07" };
const mallory = {
  id: `mallory-${run}`,
  screenname: "<b>Mallory</b>\u202egnp",
  created_at: "2019-11-07",
};
const connector = new Connector(source.token);
const problems = []; // what the page's console and the browser complain about
const foreign = []; // requests to elsewhere

let page, pageToken;
const check = checks.checker(directory, () => (page ? [page] : []));

// The interface.

async function ask(method, where, body) {
  const headers = { "Content-Type": "application/json", "X-Sandbox-Token": pageToken };
  const options = { method, headers, body: body && JSON.stringify(body) };
  const response = await fetch(`${base}/_sandbox${where}`, options);
  const answer = await response.text();
  assert.equal(response.status, 200, `${method} ${where}: ${answer}`);
  return JSON.parse(answer);
}

/** Sends a request of the Send API, signed unless another signature is given. */
async function send(action, params, signature) {
  const body = JSON.stringify({ action, params });
  const response = await fetch(`${base}/realtime/sdk/${source.id}`, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      "X-SMCCSDK-SIGNATURE": signature ?? sign(source.token, body),
    },
    body,
  });
  return { status: response.status, text: await response.text() };
}

async function sendMessage(message) {
  const whole = { thread_id: `thread-${run}`, author: alice, format: "text", ...message };
  const { status, text } = await send("messages.create", whole);
  assert.equal(status, 200, text);
}

const saveSource = (settings = {}) =>
  ask("PUT", `/sources/${source.id}`, {
    name: `Browser ${run}`,
    token: source.token,
    options: [
      "view.messaging",
      "messages.text",
      "messages.attachments",
      "messaging.queuing_update",
    ],
    connector: connector.url,
    interval: 0,
    ...settings,
  });

// The page.

const threadRow = (words) => page.locator("#threads .row", { hasText: words }).first();
const message = (words) => page.locator("#log .message", { hasText: words }).last();
const exchangeRow = (words) => page.locator("#exchanges .row", { hasText: words }).first();

async function openThread(words) {
  await page.click("#tab-inbox");
  await threadRow(words).click();
}

async function openPage(context, viewport) {
  const opened = await context.newPage();
  await opened.setViewportSize(viewport);
  checks.watchProblems(opened, problems);
  opened.on("request", (request) => {
    if (!request.url().startsWith(base) && !/^(data|blob):/.test(request.url())) {
      foreign.push(request.url());
    }
  });
  const response = await checks.openScreen(opened, `${base}/`);
  return { opened, response };
}

const screenshot = (name) => page.screenshot({ path: path.join(directory, `screen-${name}.png`) });

async function prepare(context) {
  await connector.start();
  const { opened, response } = await openPage(context, wide);
  page = opened;
  pageToken = await page.getAttribute('meta[name="sandbox-token"]', "content");
  await saveSource();
  return response;
}

// The checks, in an order in which each finds what the ones before have left.

async function checkPage(response) {
  await check("the page says that it is a sandbox", async () => {
    await seen(page.getByText("Sandbox - not the real service"));
  });

  await check("the page's policy allows no inline script or style", async () => {
    const policy = response.headers()["content-security-policy"] ?? "";
    assert.match(policy, /default-src 'none'/);
    assert.doesNotMatch(policy, /unsafe/);
  });

  await check("the page's files are at most 100 KB", async () => {
    const urls = await page.evaluate(() =>
      performance.getEntriesByType("resource").map((one) => one.name),
    );
    const files = urls.filter((url) => url.includes("/_sandbox/page/"));
    const sizes = [`${base}/`, ...new Set(files)].map(
      async (url) => (await (await fetch(url)).arrayBuffer()).byteLength,
    );
    const sum = (await Promise.all(sizes)).reduce((one, other) => one + other, 0);
    assert.ok(files.length > 2 && sum <= 102400, `${sum} bytes in ${files.length + 1} files`);
  });

  await check("the source that was saved is offered", async () => {
    await until("the source", async () =>
      (await page.locator("#source option").allTextContents()).includes(`Browser ${run}`),
    );
    await until("implementation.info", () => connector.of("implementation.info").length > 0);
    assert.ok(connector.of("implementation.info").every((one) => one.isSigned));
  });
}

async function checkCustomer() {
  await check("a message appears without reload", async () => {
    await sendMessage({ id: `m1-${run}`, body: "Hello from a customer", actions: ["mark_urgent"] });
    await seen(threadRow("Hello from a customer"));
    assert.equal(await threadRow("Hello from a customer").locator(".unread").textContent(), "1");
  });

  await check("an opened thread shows its messages and is no longer unread", async () => {
    await openThread("Hello from a customer");
    await seen(message("Hello from a customer"));
    await gone(threadRow("Hello from a customer").locator(".unread"));
    await sendMessage({ id: `m2-${run}`, body: "And one more" });
    await seen(message("And one more"));
    assert.equal(await message("And one more").locator(".author").textContent(), alice.screenname);
  });

  await check("a message received twice is shown once, and as such", async () => {
    await sendMessage({ id: `m2-${run}`, body: "And one more" });
    await seen(message("And one more").getByText("received twice"));
    assert.equal(await page.locator("#log .message", { hasText: "And one more" }).count(), 1);
  });

  await check("typing appears and goes", async () => {
    const { status } = await send("typing.start", {
      thread_id: `thread-${run}`,
      preview: "I wonder wh",
    });
    assert.equal(status, 200);
    await seen(page.locator("#typing", { hasText: "I wonder wh" }));
    await send("typing.stop", { thread_id: `thread-${run}` });
    await gone(page.locator("#typing .typing"));
  });

  await check("structured replies and attachments are drawn", async () => {
    const attachments = [
      { url: `${base}/picture-${run}.png`, filename: "picture.png" },
      { url: `${base}/note.mp3`, filename: "note.mp3" },
      { url: `${base}/bill.pdf`, filename: "bill.pdf" },
    ];
    await page.route(`${base}/picture-${run}.png`, (route) =>
      route.fulfill({
        contentType: "image/svg+xml",
        body: '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
      }),
    );
    await sendMessage({
      id: `m3-${run}`,
      body: "Look",
      attachments,
      structured_reply: { payload: "yes-please" },
    });
    await seen(message("Look").locator(`a.picture img[src="${base}/picture-${run}.png"]`));
    await seen(message("Look").locator("audio"));
    assert.equal(await message("Look").locator(".file a").getAttribute("href"), `${base}/bill.pdf`);
    await seen(message("Look").getByText("yes-please"));
  });
}

async function checkHostile() {
  await check("a hostile body is shown as text", async () => {
    const body = '<script>window.hacked = 1</script><img src=x onerror="window.hacked = 1">';
    const thread = { thread_id: `hostile-${run}`, author: mallory };
    const attachments = [{ url: "javascript:window.hacked=1", filename: "click.png" }];
    await sendMessage({ ...thread, id: `h1-${run}`, body, format: "html", attachments });
    await openThread("<script>");
    assert.equal(await message("<script>").locator(".text").textContent(), body);
    assert.equal(await message("<script>").locator("script, img, a").count(), 0);
    await seen(message("<script>").getByText("html", { exact: true }));
    assert.equal(await page.evaluate(() => window.hacked), undefined);
  });

  await check("bidi characters stay within their text", async () => {
    const body = "abc \u202e dlrow \u2066 open";
    await sendMessage({ thread_id: `hostile-${run}`, author: mallory, id: `h2-${run}`, body });
    const shown = message("dlrow").locator(".text");
    assert.equal(await shown.textContent(), body);
    assert.equal(await shown.evaluate((one) => getComputedStyle(one).unicodeBidi), "isolate");
    assert.equal(await message("dlrow").locator("bdi.author").textContent(), mallory.screenname);
  });

  await check("20,000 characters are all there, folded until asked for", async () => {
    const body = `long ${"x".repeat(19990)} end`.slice(0, 20000);
    await sendMessage({ thread_id: `hostile-${run}`, author: mallory, id: `h3-${run}`, body });
    const shown = message("long xxx").locator(".text");
    await seen(shown);
    assert.equal((await shown.textContent()).length, body.length);
    const folded = (await shown.boundingBox()).height;
    await message("long xxx")
      .getByRole("button", { name: /Show all/ })
      .click();
    assert.ok((await shown.boundingBox()).height > 2 * folded);
  });
}

/** Writes into the reply box and sends it with the keyboard. */
async function reply(words) {
  await page.focus("#body");
  await page.keyboard.type(words);
  await page.keyboard.press("Enter");
}

const lastReply = () => connector.of("messages.create").at(-1)?.params;

async function checkAgent() {
  await openThread(alice.screenname);

  await check("an agent's reply reaches the connector, signed", async () => {
    await reply("How may I help?");
    await seen(message("How may I help?").getByText("Sent"));
    assert.equal(lastReply().body, "How may I help?");
    assert.equal(lastReply().thread_id, `thread-${run}`);
    assert.ok(connector.of("messages.create").every((one) => one.isSigned));
  });

  await check("a read mark shows", async () => {
    await send("status.mark_as_read", { id: "reply-1" });
    await seen(message("How may I help?").locator(".state.read"));
  });

  await check("attachments and structured contents are sent and drawn", async () => {
    await page.click("#attach-toggle");
    await page.fill("#attach-url", "https://example.com/terms.pdf");
    await page.press("#attach-url", "Enter");
    await page.click("#structured-toggle");
    await page.selectOption("#structured-type", "carousel");
    await seen(page.locator("#structured-preview .card").first());
    await reply("Choose one");
    await seen(message("Choose one").locator(".carousel .card").first());
    await seen(message("Choose one").getByText("Sent"));
    assert.equal(lastReply().structured_content.type, "carousel");
    assert.equal(lastReply().attachments[0].url, "https://example.com/terms.pdf");
  });

  await check("a structured content that is no JSON is not sent", async () => {
    const before = connector.of("messages.create").length;
    await page.click("#structured-toggle");
    await page.selectOption("#structured-type", "select");
    await page.fill("#structured-json", "{");
    await page.click("#send");
    await seen(page.locator("#alerts").getByText("Not JSON").first());
    await page.selectOption("#structured-type", "");
    assert.equal(connector.of("messages.create").length, before);
  });

  await check("a reply that the connector refuses is shown with its reason", async () => {
    const { "messages.create": usual } = connector.answers;
    connector.answers["messages.create"] = () => ({
      error: { fatal: true, message: "Unable to save." },
    });
    await reply("This one fails");
    await seen(message("This one fails").getByText("Not sent"));
    await seen(message("This one fails").getByText("Unable to save."));
    connector.answers["messages.create"] = usual;
  });

  await check("a custom action is a button with its label, and reaches the connector", async () => {
    await message("Hello from a customer").getByRole("button", { name: "Mark as urgent" }).click();
    await until("the action", () => connector.of("messages.mark_urgent").length === 1);
    assert.equal(connector.of("messages.mark_urgent")[0].params.id, `m1-${run}`);
  });

  await check("a queueing update reaches the connector", async () => {
    await page.click("#queuing");
    await page.fill('#queuing-dialog [name="position"]', "4");
    await page.keyboard.press("Enter");
    await until("the update", () => connector.of("messaging.queuing_update").length === 1);
    assert.equal(Number(connector.of("messaging.queuing_update")[0].params.position), 4);
    await gone(page.locator("#queuing-dialog"));
  });

  await check("poll now brings what the connector lists", async () => {
    const polled = {
      id: `polled-${run}`,
      thread_id: `thread-${run}`,
      author: alice,
      body: "By polling",
    };
    connector.answers["messages.list"] = () => [polled];
    await page.selectOption("#source", source.id);
    await page.click("#poll");
    await seen(message("By polling"));
    connector.answers["messages.list"] = () => [];
  });
}

const clipboard = () => page.evaluate(() => navigator.clipboard.readText());

async function checkWire() {
  await page.click("#tab-wire");

  await check("the wire shows both directions", async () => {
    await seen(page.locator('#exchanges .direction[aria-label^="received"]').first());
    await seen(page.locator('#exchanges .direction[aria-label^="sent"]').first());
  });

  await check("a wrong signature is explained", async () => {
    const wrong = { id: `w1-${run}`, thread_id: "w", author: alice, body: "wrongly signed" };
    const { status } = await send("messages.create", wrong, "0".repeat(127));
    assert.equal(status, 422);
    await seen(exchangeRow("wrong"));
    await exchangeRow("wrong").click();
    await seen(page.locator(".why.bad", { hasText: "The request's signature is wrong." }));
    assert.ok((await page.locator(".why.bad p").textContent()).length > 10);
  });

  await check("a body is shown pretty and raw", async () => {
    const body = page.locator(".side pre").first();
    assert.match(await body.textContent(), /\n {2}"action": "messages.create"/);
    await page.check("#raw");
    assert.match(await body.textContent(), /^\{"action":"messages.create"/);
    await page.uncheck("#raw");
  });

  await check("copies can be pasted", async () => {
    await page.click("#copy-lua");
    const lua = await clipboard();
    assert.match(lua, /client\.messages:create \{\n {2}id = "w1-/);
    assert.match(lua, /os\.getenv "SENDAPI_TOKEN"/); // as the sandbox prints it to be pasted
    await page.click("#copy-curl");
    await until("the command", async () => (await clipboard()).startsWith("curl "));
    const answer = execFileSync("sh", ["-c", await clipboard()], { encoding: "utf8" });
    assert.match(answer, /^HTTP\/1\.1 422[^]*Invalid signature/);
  });

  await check("replay with edits sends a request that is signed again", async () => {
    await page.click("#replay-edit");
    const edited = (await page.inputValue("#replay-body")).replace(
      "wrongly signed",
      "replayed body",
    );
    await page.fill("#replay-body", edited.replaceAll(`"w"`, `"thread-${run}"`));
    await page.click("#replay-send");
    await seen(page.locator(".why.good", { hasText: "The request's signature is right." }));
    await openThread(alice.screenname);
    await seen(message("replayed body"));
  });
}

async function checkFaults() {
  const post = (number) => {
    const body = `with a fault ${number}`;
    return send("messages.create", {
      id: `f${number}-${run}`,
      thread_id: "f",
      author: alice,
      body,
    });
  };

  await check("a fault is switched on, is always in sight, and is met", async () => {
    await page.click("#tab-faults");
    await page.fill('[data-kind="status"] [name="status"]', "503");
    await page.click("#fault-status");
    await seen(page.locator("#faults-on", { hasText: "status 503 100 %" }));
    await until("the fault", async () => (await post(1)).status === 503);
    await page.click("#tab-inbox");
    await seen(page.locator("#faults-on"));
  });

  await check("a parameter that is changed is met at once", async () => {
    await page.click("#faults-on");
    await page.fill('[data-kind="status"] [name="status"]', "429");
    await page.press('[data-kind="status"] [name="status"]', "Tab");
    await seen(page.locator("#faults-on", { hasText: "429" }));
    await until("the other status", async () => (await post(2)).status === 429);
  });

  await check("two faults share what there is of probability", async () => {
    await page.fill('[data-kind="status"] [name="probability"]', "60");
    await page.press('[data-kind="status"] [name="probability"]', "Tab");
    await seen(page.locator("#faults-on", { hasText: "60 %" }));
    await page.click("#fault-delay");
    await seen(page.locator("#faults-on", { hasText: "delay 40 %" }));
  });

  await check("faults are switched off", async () => {
    await page.click("#faults-off");
    await gone(page.locator("#faults-on"));
    await until("no fault", async () => (await post(3)).status === 200);
  });
}

const focused = () => page.evaluate(() => document.activeElement.id);

/** Presses Tab until the element with this id has the focus. */
async function tabTo(id) {
  for (let presses = 0; presses < 60; presses++) {
    if ((await focused()) === id) {
      return;
    }
    await page.keyboard.press("Tab");
  }
  assert.fail(`${id} was not reached with Tab`);
}

async function checkKeyboard() {
  await check("by keyboard only: from a fresh page to a sent reply", async () => {
    await page.goto(`${base}/`);
    await seen(threadRow(alice.screenname));
    await tabTo("threads");
    const outline = await page.evaluate(
      () => getComputedStyle(document.activeElement).outlineStyle,
    );
    assert.notEqual(outline, "none");
    await page.keyboard.press("End");
    await page.keyboard.press("Home");
    const active = await page.getAttribute("#threads", "aria-activedescendant");
    assert.equal(await page.locator(`#${active}`).getAttribute("aria-posinset"), "1");
    await page.keyboard.press("Enter");
    await seen(page.locator("#log .message").first());
    await tabTo("body");
    await page.keyboard.type("Line one");
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.type("line two");
    await page.keyboard.press("Enter");
    await seen(message("line two"));
    await until("both lines", () => lastReply()?.body === "Line one\nline two");
  });

  await check("shortcuts lead to the tabs, the lists and their announcement", async () => {
    await page.keyboard.press("Escape");
    assert.equal(await focused(), "threads");
    await page.keyboard.press("2");
    await seen(page.locator("#wire"));
    await page.keyboard.press("l");
    assert.equal(await focused(), "exchanges");
    await page.keyboard.press("ArrowDown");
    await seen(page.locator("#exchange"));
    await page.keyboard.press("?");
    await seen(page.locator("#help-dialog"));
    await page.keyboard.press("Escape");
    await gone(page.locator("#help-dialog"));
    await page.keyboard.press("3");
    await seen(page.locator("#faults"));
    await page.keyboard.press("ArrowLeft");
    await seen(page.locator("#wire"));
    await page.keyboard.press("1");
    await seen(page.locator("#inbox"));
  });

  await check("every control has a name", async () => {
    const nameless = await page.evaluate(() =>
      [...document.querySelectorAll("button, input, select, textarea")]
        .filter((one) => one.checkVisibility())
        .filter(
          (one) =>
            !(
              one.textContent.trim() ||
              one.title ||
              one.ariaLabel ||
              one.labels?.length ||
              one.placeholder
            ),
        )
        .map((one) => one.outerHTML.slice(0, 80)),
    );
    assert.deepEqual(nameless, []);
  });
}

async function checkSources() {
  await check("a source is made by its dialog", async () => {
    await page.click("#source-add");
    await page.fill('#source-dialog [name="name"]', `Second ${run}`);
    await page.check('#source-dialog [value="messages.unthreaded"]');
    await page.click("#source-dialog .primary");
    await gone(page.locator("#source-dialog"));
    await until("the source", async () =>
      (await page.locator("#source option").allTextContents()).includes(`Second ${run}`),
    );
    const { sources } = await ask("GET", "/state");
    const made = sources.find((one) => one.name === `Second ${run}`);
    assert.deepEqual(made.options, ["messages.unthreaded"]);
    assert.equal(made.token, undefined);
  });

  await check("the source switch shows the threads of one source", async () => {
    await page.selectOption("#source", { label: `Second ${run}` });
    await seen(page.locator("#threads[data-empty]"));
    await page.selectOption("#source", "");
    await seen(threadRow(alice.screenname));
  });
}

async function checkLooks(context) {
  await openThread("replayed body");
  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    for (const [name, size] of [
      ["wide", wide],
      ["narrow", narrow],
    ]) {
      await page.setViewportSize(size);
      for (const tab of ["inbox", "wire", "faults"]) {
        await check(
          `${tab}, ${scheme}, ${name}: nothing overflows, contrasts suffice`,
          async () => {
            await page.click(`#tab-${tab}`);
            await gone(page.locator("#notices .notice, #alerts .notice").first());
            await screenshot(`${tab}-${scheme}-${name}`);
            assert.ok(
              (await page.evaluate(() => document.documentElement.scrollWidth)) <= size.width,
            );
            assert.deepEqual(await page.evaluate(lowContrasts), []);
          },
        );
      }
    }
  }
  await page.setViewportSize(wide);

  await check("the newest message stays in sight, whatever the window's size was", async () => {
    await page.click("#tab-inbox");
    for (const size of [narrow, wide]) {
      await page.click("#tab-wire");
      await page.setViewportSize(size);
      await page.click("#tab-inbox");
      await until("the end", () =>
        page.evaluate(() => {
          const log = document.getElementById("log");
          return log.clientHeight > 0 && log.scrollHeight - log.scrollTop - log.clientHeight < 2;
        }),
      );
    }
  });

  await check("a chosen theme is kept", async () => {
    const { opened } = await openPage(context, wide);
    await opened.emulateMedia({ colorScheme: "light" });
    await opened.click("#theme");
    await opened.click("#theme");
    await opened.reload();
    const dark = await opened.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.match(dark, /^rgb\(([0-4]?\d), ([0-4]?\d), ([0-4]?\d)\)$/);
    await opened.evaluate(() => localStorage.removeItem("sandbox.theme"));
    await opened.close();
  });

  await check("on a phone the conversation takes the place of the list", async () => {
    await page.setViewportSize(narrow);
    await page.click("#tab-inbox");
    await seen(page.locator("#body"));
    await gone(page.locator("#threads"));
    await page.click("#back");
    await seen(page.locator("#threads"));
    await page.setViewportSize(wide);
  });
}

async function sendMany(count) {
  let number = 0;
  const worker = async () => {
    while (number < count) {
      const id = `many-${number++}-${run}`;
      await sendMessage({ id, thread_id: id, body: `Message of ${id}` });
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
}

async function checkMany() {
  await check("1,000 threads are listed, and only those in sight are in the page", async () => {
    await sendMany(1000);
    const size = async () =>
      Number(await page.locator("#threads .row").first().getAttribute("aria-setsize"));
    await until("all threads", async () => (await size()) >= 1000);
    assert.ok((await page.locator("#threads .row").count()) < 60);
    assert.ok((await page.locator("#exchanges .row").count()) < 60);
  });

  await check("the list is walked through to its end by keyboard", async () => {
    await page.focus("#threads");
    await page.keyboard.press("End");
    await seen(page.locator("#threads .row.active"));
    const row = page.locator("#threads .row.active");
    assert.equal(await row.getAttribute("aria-posinset"), await row.getAttribute("aria-setsize"));
  });

  await check("searching finds one of them", async () => {
    await page.fill("#thread-search", `many-777-${run}`);
    await until("one row", async () => (await page.locator("#threads .row").count()) === 1);
    await page.fill("#thread-search", "");
  });

  await check("what was received is forgotten when asked to", async () => {
    await page.locator("#threads .row").first().click();
    await seen(page.locator("#log .message").first());
    page.once("dialog", (dialog) => dialog.accept());
    await page.click("#forget");
    await seen(page.locator("#threads[data-empty]"));
    assert.deepEqual((await ask("GET", "/state")).threads, []);
  });

  await check("on a phone what is gone gives way to the list", async () => {
    await page.setViewportSize(narrow);
    await seen(page.locator("#threads"));
    await page.setViewportSize(wide);
  });
}

async function checkTroubles() {
  await check("no errors in the console", () => assert.deepEqual(problems, []));

  await check("nothing is fetched from elsewhere", () => assert.deepEqual(foreign, []));

  await check("a lost connection is told, and found again with what was missed", async () => {
    const relay = new Relay(base);
    await relay.join();
    const far = await page.context().newPage();
    const online = (is) =>
      far.locator(`#online[data-online="${is}"]`).waitFor({ timeout: patience });
    await far.goto(`${relay.url}/`);
    await online(true);
    relay.cut();
    await online(false);
    await sendMessage({ id: `missed-${run}`, thread_id: `missed-${run}`, body: "Said meanwhile" });
    await relay.join();
    await online(true);
    await seen(far.locator("#threads .row", { hasText: "Said meanwhile" }));
    await far.close();
    relay.cut();
  });
}

checks.withBrowser(async (browser) => {
  try {
    const permissions = ["clipboard-read", "clipboard-write"];
    const context = await browser.newContext({ permissions, locale: "en-GB" });
    const response = await prepare(context);
    await checkPage(response);
    await checkCustomer();
    await checkHostile();
    await checkAgent();
    await checkWire();
    await checkFaults();
    await checkKeyboard();
    await checkSources();
    await checkLooks(context);
    await checkMany();
    await checkTroubles();
  } finally {
    connector.stop();
  }
});
