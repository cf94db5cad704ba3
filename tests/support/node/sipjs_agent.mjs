// SIP.js as a peer, in Node and in browsers. Its session description handler is replaced by one without media that says
// the test's SDP.

import { Endpoint } from "./msrp.mjs";

/**
 * Connect; returns the commands that a test may give.
 *
 * `SIP` is the library, `settings` are url, uri, user, password, sdp and expires, `say` tells the test of an event, and
 * `md5` returns a text's MD5 in hexadecimal.
 */
export async function connect(SIP, settings, { say, md5 }) {
  const sayFailure = (event, response, cause) =>
    say(event, { status: response?.statusCode ?? null, cause: String(cause ?? "") });
  const { Inviter, Messager, Registerer, RegistererState, SessionState, UserAgent } = SIP;

  class SdpHandler {
    async getDescription() {
      return { body: settings.sdp, contentType: "application/sdp" };
    }

    async setDescription(sdp) {
      this.remote = sdp;
    }

    hasDescription(contentType) {
      return contentType === "application/sdp";
    }

    async rollbackDescription() {}

    sendDtmf() {
      return false;
    }

    close() {}
  }

  const target = (uri) => UserAgent.makeURI(uri);
  const agent = new UserAgent({
    uri: target(settings.uri),
    authorizationUsername: settings.user,
    authorizationPassword: settings.password,
    transportOptions: { server: settings.url, keepAliveInterval: 0 },
    sessionDescriptionHandlerFactory: () => new SdpHandler(),
    logBuiltinEnabled: false,
    userAgentString: "SIP.js",
    delegate: {
      onConnect: () => say("connected"),
      onDisconnect: () => say("disconnected"),
      onMessage: (message) => {
        message.accept();
        const { from, body } = message.request;
        say("message", { from: `sip:${from.uri.aor}`, text: body, type: message.request.getHeader("content-type") });
      },
      onInvite: (invitation) => {
        follow(invitation);
        say("invited", { from: `sip:${invitation.request.from.uri.aor}`, sdp: invitation.request.body });
      },
    },
  });
  const registerer = new Registerer(agent, { expires: settings.expires });
  let session = null;
  let endpoint = null;
  let registering = 0;

  registerer.stateChange.addListener((state) => {
    if (state === RegistererState.Unregistered) {
      say("unregistered");
    }
  });

  function follow(newSession) {
    session = newSession;
    session.delegate = {
      onBye: (bye) => bye.accept(),
      onInvite: (request) => say("reinvited", { sdp: request.body }),
      onCancel: () => say("cancelled"),
    };
    session.stateChange.addListener((state) => {
      if (state === SessionState.Established) {
        say("confirmed");
      } else if (state === SessionState.Terminated) {
        say("ended");
      }
    });
  }

  async function invite({ to }) {
    const inviter = new Inviter(agent, target(to));
    follow(inviter);
    await inviter.invite({
      requestDelegate: {
        onProgress: ({ message }) => say("progress", { status: message.statusCode }),
        onAccept: ({ message }) => say("accepted", { sdp: message.body }),
        onReject: ({ message }) => sayFailure("failed", message, message.reasonPhrase),
      },
    });
  }

  await agent.start();
  return {
    register: () =>
      registerer.register({
        requestDelegate: {
          onAccept: ({ message }) => {
            registering += 1;
            say("registered", { contacts: message.getHeaders("contact"), round: registering });
          },
          onReject: ({ message }) => sayFailure("registration_failed", message, message.reasonPhrase),
        },
      }),
    unregister: () => registerer.unregister(),
    message: ({ to, text, type = "text/plain" }) =>
      new Messager(agent, target(to), text, type).message({
        requestDelegate: {
          onAccept: ({ message }) => say("sent", { status: message.statusCode }),
          onReject: ({ message }) => sayFailure("refused", message, message.reasonPhrase),
        },
      }),
    invite,
    answer: () => session.accept(),
    reject: ({ status }) => session.reject({ statusCode: status }),
    reinvite: () => session.invite({ requestDelegate: { onAccept: () => say("renegotiated") } }),
    hangup: () => session.bye(),
    cancel: () => session.cancel(),
    disconnect: () => agent.stop(),
    msrp_open: async (how) => {
      endpoint = new Endpoint(how, { md5, say });
      settings.sdp = settings.sdp.replaceAll("{path}", await endpoint.open());
      say("msrp_opened");
    },
    msrp_send: ({ path, text }) => endpoint.send(path, text),
    stop: () => agent.stop(),
  };
}
