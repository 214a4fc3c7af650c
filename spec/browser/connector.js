// A connector of a few lines, on a port of its own: it remembers what it is asked, and answers
// signed. `answers` holds what it answers, by action.
const crypto = require("node:crypto");
const http = require("node:http");

const sign = (token, body) => crypto.createHmac("sha512", token).update(body).digest("hex");

async function readBody(request) {
  const chunks = [];
  for await (const chunk of request) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

class Connector {
  #server;
  #token;
  #number = 0;

  constructor(token) {
    this.#token = token;
    /** What was asked: `{ action, params, isSigned }`, the oldest first. */
    this.asked = [];
    this.answers = {
      "implementation.info": () => ({
        objects: { messages: ["create", "list", "show", "mark_urgent"], status: ["mark_as_read"] },
        options: ["view.messaging", "messages.text", "messaging.queuing_update"],
        locales: { default: { mark_urgent: "Mark as urgent" } },
      }),
      "messages.create": () => ({ id: `reply-${++this.#number}` }),
      "messages.list": () => [],
      "messages.mark_urgent": ({ id }) => ({ id }),
    };
  }

  async start() {
    this.#server = http.createServer((request, response) => this.#answer(request, response));
    await new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${this.#server.address().port}/`;
  }

  stop() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** What was asked with this action. */
  of(action) {
    return this.asked.filter((one) => one.action === action);
  }

  async #answer(request, response) {
    const body = await readBody(request);
    const isSigned = request.headers["x-smccsdk-signature"] === sign(this.#token, body);
    const { action, params } = JSON.parse(body);
    this.asked.push({ action, params, isSigned });
    const answer = JSON.stringify((this.answers[action] ?? (() => ({})))(params));
    const signature = sign(this.#token, answer);
    response.writeHead(200, {
      "Content-Type": "application/json; charset=utf-8",
      "X-SMCCSDK-SIGNATURE": signature,
    });
    response.end(answer);
  }
}

module.exports = { Connector, sign };
