// JsSIP as a peer. Its sessions need an RTCPeerConnection; this one has no media and offers and answers the test's SDP.

import { Endpoint } from "./msrp.mjs";
import { load, md5, say, sayFailure, serve, settings } from "./lines.mjs";

class PeerConnection {
  iceGatheringState = "complete";
  iceConnectionState = "completed";
  signalingState = "stable";
  localDescription = null;

  async createOffer() {
    return { type: "offer", sdp: settings.sdp };
  }

  async createAnswer() {
    return { type: "answer", sdp: settings.sdp };
  }

  async setLocalDescription(description) {
    this.localDescription = description;
  }

  async setRemoteDescription(description) {
    this.remoteDescription = description;
  }

  getSenders() {
    return [];
  }

  addEventListener() {}

  close() {}
}

globalThis.RTCPeerConnection = PeerConnection;
globalThis.RTCSessionDescription = class {
  constructor({ type, sdp }) {
    Object.assign(this, { type, sdp });
  }
};

const JsSIP = await load("jssip");
const media = { mediaConstraints: { audio: false, video: false }, sessionTimersExpires: 120 };
const socket = new JsSIP.WebSocketInterface(settings.url);
const agent = new JsSIP.UA({
  sockets: [socket],
  uri: settings.uri,
  authorization_user: settings.user,
  password: settings.password,
  register: false,
  register_expires: settings.expires,
  user_agent: "JsSIP",
});
let session = null;
let endpoint = null;
let registering = 0;

function follow(newSession) {
  session = newSession;
  session.on("progress", ({ response }) => response && say("progress", { status: response.status_code }));
  session.on("accepted", ({ response }) => response && say("accepted", { sdp: response.body }));
  session.on("confirmed", () => say("confirmed"));
  session.on("ended", ({ originator }) => say("ended", { by: originator }));
  session.on("failed", ({ message, cause }) => sayFailure("failed", message, cause));
  session.on("reinvite", ({ request }) => say("reinvited", { sdp: request.body }));
}

agent.on("connected", () => say("connected"));
agent.on("disconnected", () => say("disconnected"));
agent.on("unregistered", () => say("unregistered"));
agent.on("registrationFailed", ({ response, cause }) => sayFailure("registration_failed", response, cause));
agent.on("newMessage", ({ originator, request }) => {
  if (originator === "remote") {
    say("message", { from: request.from.uri.toAor(), text: request.body, type: request.getHeader("content-type") });
  }
});
agent.on("newRTCSession", ({ originator, session: newSession, request }) => {
  follow(newSession);
  if (originator === "remote") {
    say("invited", { from: request.from.uri.toAor(), sdp: request.body });
  }
});

agent.start();
// JsSIP has no event for a REGISTER that refreshes: the responses are looked at as they come.
const passOn = socket.ondata;
socket.ondata = (data) => {
  passOn.call(socket, data);
  if (/^SIP\/2\.0 200 /.test(data) && /^CSeq: *\d+ REGISTER/im.test(data) && /^Contact:/im.test(data)) {
    registering += 1;
    say("registered", { contacts: data.match(/^Contact:.*$/gim).join(",").split(/,(?=\s*<)/), round: registering });
  }
};
await serve(
  {
    register: () => agent.register(),
    unregister: () => agent.unregister(),
    message: ({ to, text, type = "text/plain" }) =>
      agent.sendMessage(to, text, {
        contentType: type,
        eventHandlers: {
          succeeded: ({ response }) => say("sent", { status: response.status_code }),
          failed: ({ response, cause }) => sayFailure("refused", response, cause),
        },
      }),
    invite: ({ to }) => agent.call(to, media),
    answer: () => session.answer(media),
    reject: ({ status }) => session.terminate({ status_code: status }),
    reinvite: () => session.renegotiate({}, () => say("renegotiated")),
    hangup: () => session.terminate(),
    cancel: () => session.terminate(),
    disconnect: () => agent.stop(),
    msrp_open: async (how) => {
      endpoint = new Endpoint(how, { md5, say });
      settings.sdp = settings.sdp.replaceAll("{path}", await endpoint.open());
      say("msrp_opened");
    },
    msrp_send: ({ path, text }) => endpoint.send(path, text),
  },
  () => agent.stop(),
);
