// SIP.js in Node.

import { connect } from "./sipjs_agent.mjs";
import { load, md5, say, serve, settings } from "./lines.mjs";

const { stop, ...commands } = await connect(await load("sip.js"), settings, { say, md5 });
await serve(commands, stop);
