// A small MSRP endpoint over WebSocket (RFC 7977) behind a relay (RFC 4976), in Node and in browsers.

const token = () => [...crypto.getRandomValues(new Uint8Array(8))].map((one) => one.toString(16).padStart(2, "0")).join("");
const octets = (text) => new TextEncoder().encode(text);

/** Cut a frame into its first line, headers and body. */
function parse(text) {
  const [head, ...rest] = text.split("\r\n\r\n");
  const [first, ...lines] = head.split("\r\n");
  const [, id, what] = first.split(" ");
  const headers = Object.fromEntries(lines.filter((line) => /^[A-Za-z-]+: /.test(line)).map((line) => line.split(/: (.*)/s)));
  const body = rest.join("\r\n\r\n").split(`\r\n-------${id}`)[0];
  return { id, what, headers, body: rest.length ? body : null, flag: text.trimEnd().at(-1) };
}

export class Endpoint {
  /** `md5` returns a text's MD5 in hexadecimal; `say` tells the test of an event. */
  constructor({ url, relay, user, password }, { md5, say }) {
    this.own = `msrps://${token()}.invalid:9/${token()};ws`;
    Object.assign(this, { url, relay, user, password, md5, say, waiting: new Map(), usePath: "" });
  }

  /** Connect and AUTH; returns the path for a=path. */
  async open() {
    this.socket = new WebSocket(this.url, "msrp");
    this.socket.binaryType = "arraybuffer";
    await new Promise((done, failed) => {
      this.socket.onopen = done;
      this.socket.onerror = failed;
    });
    this.socket.onmessage = ({ data }) => this.take(new TextDecoder().decode(data));
    const refused = await this.request("AUTH", this.relay, []);
    const challenge = Object.fromEntries(
      [...refused.headers["WWW-Authenticate"].matchAll(/(\w+)="?([^",]+)"?/g)].map(([, name, value]) => [name, value]),
    );
    const cnonce = token();
    const { md5 } = this;
    const ha1 = md5(`${this.user}:${challenge.realm}:${this.password}`);
    const ha2 = md5(`AUTH:${this.relay}`);
    const response = md5(`${ha1}:${challenge.nonce}:00000001:${cnonce}:auth:${ha2}`);
    const granted = await this.request("AUTH", this.relay, [
      `Authorization: Digest username="${this.user}", realm="${challenge.realm}", nonce="${challenge.nonce}", ` +
        `response="${response}", cnonce="${cnonce}", qop=auth, nc=00000001`,
    ]);
    if (granted.what !== "200") {
      throw new Error(`AUTH: ${granted.what}`);
    }
    this.usePath = granted.headers["Use-Path"];
    return `${this.usePath} ${this.own}`;
  }

  request(method, to, headers, body = "") {
    const id = token();
    const lines = [`MSRP ${id} ${method}`, `To-Path: ${to}`, `From-Path: ${this.own}`, ...headers];
    this.socket.send(octets(`${lines.join("\r\n")}\r\n${body}-------${id}$\r\n`));
    return new Promise((done) => this.waiting.set(id, done));
  }

  /** Send a message over a path as SDP has it; reports on it are told. */
  async send(path, text) {
    const size = octets(text).length;
    const headers = [`Message-ID: ${token()}`, `Byte-Range: 1-${size}/${size}`, "Success-Report: yes", "Content-Type: text/plain"];
    const answered = await this.request("SEND", `${this.usePath} ${path}`, headers, `\r\n${text}\r\n`);
    this.say("msrp_sent", { status: Number(answered.what) });
  }

  take(text) {
    const frame = parse(text);
    if (/^\d/.test(frame.what)) {
      this.waiting.get(frame.id)?.(frame);
      return;
    }
    if (frame.what !== "SEND") {
      this.say("msrp_report", { status: frame.headers.Status });
      return;
    }
    const { "From-Path": from, "To-Path": to, "Message-ID": message, "Success-Report": wanted } = frame.headers;
    const answer = `MSRP ${frame.id} 200 OK\r\nTo-Path: ${from.split(" ")[0]}\r\nFrom-Path: ${to}\r\n-------${frame.id}$\r\n`;
    this.socket.send(octets(answer));
    if (frame.body !== null) {
      this.say("msrp_message", { text: frame.body, type: frame.headers["Content-Type"] });
    }
    if (wanted === "yes") {
      const id = token();
      const size = octets(frame.body ?? "").length;
      const lines = [`MSRP ${id} REPORT`, `To-Path: ${from}`, `From-Path: ${this.own}`, `Message-ID: ${message}`];
      lines.push(`Byte-Range: 1-${size}/${size}`, "Status: 000 200 OK");
      this.socket.send(octets(`${lines.join("\r\n")}\r\n-------${id}$\r\n`));
    }
  }
}
