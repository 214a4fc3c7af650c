// Stands between a browser and a server, and can be cut: every connection ends at once, and new
// ones are refused until it is joined again.
const http = require("node:http");

class Relay {
  #server;
  #target;
  #port = 0;

  /** `target` is the server's url. */
  constructor(target) {
    this.#target = new URL(target);
  }

  async join() {
    this.#server = http.createServer((request, response) => this.#pass(request, response));
    await new Promise((resolve) => this.#server.listen(this.#port, "127.0.0.1", resolve));
    this.#port = this.#server.address().port;
    this.url = `http://127.0.0.1:${this.#port}`;
  }

  cut() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #pass(request, response) {
    const { hostname, port, host } = this.#target;
    const { method, url: path } = request;
    const headers = { ...request.headers, host };
    const onward = http.request({ hostname, port, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.on("error", () => response.destroy());
    response.on("close", () => onward.destroy());
    request.pipe(onward);
  }
}

module.exports = { Relay };
