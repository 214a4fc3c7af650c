// What the browser's checks have in common: a browser, and how a check says how it went.
//
// Each check prints `ok NAME`, `not ok NAME: why` or `skipped NAME: why`. CHROMIUM names the
// browser, by default what Debian installs; playwright-core is found as node finds modules
// (NODE_PATH).
const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const { chromium } = require("playwright-core");

const patience = 20000; // milliseconds
const mostOfAll = 300000; // milliseconds for all checks of a program

let failures = 0;

/** One line of text, so that a check is one line of output. */
const line = (text) => String(text).split("\n").slice(0, 6).join(" ");

function failed(name, error) {
  failures += 1;
  console.log(`not ok ${name}: ${line(error.message)}`);
}

/** Asks until what comes is true. */
async function until(what, condition) {
  const end = Date.now() + patience;
  while (!(await condition())) {
    assert.ok(Date.now() < end, `waited in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const seen = (locator) => locator.waitFor({ state: "visible", timeout: patience });
const gone = (locator) => locator.waitFor({ state: "hidden", timeout: patience });

/** A way to check; `pages()` are those to be looked at when a check fails, as pictures. */
function checker(directory, pages) {
  fs.mkdirSync(directory, { recursive: true });
  return async (name, body) => {
    try {
      await body();
      console.log(`ok ${name}`);
    } catch (error) {
      failed(name, error);
      for (const [index, page] of pages().entries()) {
        const file = `failed-${name.replace(/\W+/g, "-")}-${index}.png`;
        await page.screenshot({ path: path.join(directory, file) }).catch(() => {});
      }
    }
  };
}

const skip = (name, why) => console.log(`skipped ${name}: ${line(why)}`);

/** Pushes into `problems` what the page's console and the browser complain about. */
function watchProblems(page, problems) {
  page.on("console", (entry) => {
    if (entry.type() === "error" || entry.type() === "warning") {
      problems.push(`${entry.text()} ${entry.location().url}`);
    }
  });
  page.on("pageerror", (error) => problems.push(String(error)));
}

/** Opens the agent's screen, and waits until it is live. */
async function openScreen(page, url) {
  const response = await page.goto(url);
  await page.locator('#online[data-online="true"]').waitFor({ timeout: patience });
  return response;
}

/** Runs `body(browser)` and ends the process: with the status 0 when all checks are ok. */
async function withBrowser(body) {
  const late = setTimeout(() => {
    failed("the whole run", new Error(`not done after ${mostOfAll / 1000} s`));
    process.exit(1); // the browser ends when its pipe does
  }, mostOfAll);
  let browser;
  try {
    const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
    browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
    await body(browser);
  } catch (error) {
    failed("the whole run", new Error(error.stack));
  }
  await browser?.close().catch(() => {});
  clearTimeout(late);
  process.exit(failures > 0 ? 1 : 0);
}

module.exports = {
  checker,
  gone,
  openScreen,
  patience,
  seen,
  skip,
  until,
  watchProblems,
  withBrowser,
};
