// What was done, or why it was not; read aloud by screen readers.
import { closeButton, find, h } from "./dom.js";

const goodMilliseconds = 4000;
const badMilliseconds = 12000;

/** Shows a notice for some seconds. */
export function notice(words, isBad = false) {
  const close = closeButton("Close", () => shown.remove());
  const shown = h(isBad ? "div.notice.paper.bad" : "div.notice.paper", h("span", words), close);
  find(isBad ? "alerts" : "notices").append(shown);
  setTimeout(() => shown.remove(), isBad ? badMilliseconds : goodMilliseconds);
}

/** Does what may be refused, and says so. Resolves to the answer, or undefined. */
export async function attempt(action, done) {
  try {
    const answer = (await action()) ?? {};
    if (done) {
      notice(done);
    }
    return answer;
  } catch (refusal) {
    notice(refusal.message, true);
    return undefined;
  }
}

/** Puts a text on the clipboard. */
export const copy = (words, what) =>
  attempt(() => navigator.clipboard.writeText(words), `${what} copied`);
