// Lines of JSON on standard input and output: how a test drives a SIP client of browsers.

import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(join(process.env.WIGWAG_NODE_PEERS, "package.json"));

/** A browser's WebSocket that also tells the test of every message, for when something fails. */
class WebSocket extends require("ws") {
  constructor(url, protocols) {
    super(url, protocols);
    this.on("message", (data) => say("wire", { way: "received", message: data.toString() }));
  }

  send(data, ...others) {
    say("wire", { way: "sent", message: data.toString() });
    super.send(data, ...others);
  }
}

// What the clients expect of a browser.
globalThis.WebSocket = WebSocket;
globalThis.window = globalThis;

/** Load a CommonJS or ES module of the peers' folder. */
export async function load(name) {
  const file = require.resolve(name);
  const module = await import(pathToFileURL(file));
  return module.default ?? module;
}

/** What the test said on the command line: url, uri, user, password, sdp, expires. */
export const settings = JSON.parse(process.argv[2]);

/** Return a text's MD5 in hexadecimal. */
export const md5 = (text) => createHash("md5").update(text).digest("hex");

/** Tell the test of an event. */
export function say(event, fields = {}) {
  process.stdout.write(JSON.stringify({ event, ...fields }) + "\n");
}

/** Tell the test that something failed, with the status of the response when there was one. */
export function sayFailure(event, response, cause) {
  say(event, { status: response?.status_code ?? response?.statusCode ?? null, cause: String(cause ?? "") });
}

/** Run a command per line until the input ends, then `stop`. */
export async function serve(commands, stop) {
  for await (const line of createInterface({ input: process.stdin })) {
    const { do: name, ...fields } = JSON.parse(line);
    try {
      await commands[name](fields);
    } catch (error) {
      say("error", { command: name, cause: String(error?.stack ?? error) });
    }
  }
  await stop();
  process.exit(0);
}
