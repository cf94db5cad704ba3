"""Well-formed SIP messages of all kinds, for property tests."""

from string import ascii_letters, ascii_lowercase, digits

from hypothesis import strategies as st

TOKENS = st.text(ascii_letters + digits + "-.!*_+`'~", min_size=1, max_size=12)
NAMES = st.text(ascii_lowercase, min_size=1, max_size=8)
LABELS = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
ADDRESSES_V4 = st.ip_addresses(v=4).map(str)
ADDRESSES_V6 = st.ip_addresses(v=6).map(lambda ip: f"[{ip}]")
# sipmessage takes no digit in the last label.
HOSTS = st.tuples(LABELS, NAMES).map(".".join) | NAMES | ADDRESSES_V4 | ADDRESSES_V6
PORTS = st.integers(1, 65535)
PLAIN_USERS = st.text(ascii_letters + digits + "-_.!~*'()&=+$,;?/", min_size=1, max_size=12)
USERS = PLAIN_USERS | st.text(ascii_letters + "%", min_size=1, max_size=6).map(lambda text: text.replace("%", "%20"))
BLANKS = st.sampled_from(["", " ", "  ", "\t", " \t "])
FOLDS = st.sampled_from([" ", "  ", "\t", "\r\n ", " \r\n\t"])


@st.composite
def uris(draw: st.DrawFn) -> str:
    """Return a sip or sips URI."""
    user = draw(st.none() | USERS)
    text = draw(st.sampled_from(["sip:", "sips:"]))
    if user is not None:
        password = draw(st.none() | st.text(ascii_letters + digits + "&=+$,", min_size=1, max_size=6))
        text += f"{user}@" if password is None else f"{user}:{password}@"
    text += draw(HOSTS)
    port = draw(st.none() | PORTS)
    text += "" if port is None else f":{port}"
    return text + draw(parameters(st.text(ascii_letters + digits + "-_.!~*'()[]/:&+$", min_size=1, max_size=8)))


@st.composite
def parameters(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    """Return ``;name=value`` parameters without white space."""
    found = draw(st.dictionaries(NAMES, st.none() | values, max_size=3))
    return "".join(f";{name}" if value is None else f";{name}={value}" for name, value in found.items())


@st.composite
def name_addresses(draw: st.DrawFn, tag: bool = False) -> str:
    """Return an address with a display name or without, in angle brackets, with parameters of the header field."""
    quoted = st.text(
        st.characters(exclude_categories=("Cc", "Cs", "Z"), exclude_characters='"\\') | st.just(" "), max_size=12
    )
    name = draw(
        st.just("")
        | TOKENS.map(lambda each: f"{each} ")
        | quoted.map(lambda each: f'"{each}" ')
        | quoted.map(lambda each: f'"a\\"{each}\\"" ')
    )
    tags = f";tag={draw(TOKENS)}" if tag else ""
    return f"{name}<{draw(uris())}>{tags}"


@st.composite
def vias(draw: st.DrawFn) -> str:
    """Return one Via value."""
    port = draw(st.none() | PORTS)
    sent_by = draw(HOSTS) + ("" if port is None else f":{port}")
    transport = draw(st.sampled_from(["UDP", "TCP", "TLS", "WS", "WSS", "SCTP"]))
    extra = draw(st.sampled_from(["", ";rport", ";received=192.0.2.1", ";received=192.0.2.1;rport=5"]))
    return f"SIP/2.0/{transport} {sent_by};branch=z9hG4bK{draw(TOKENS)}{extra}"


def _name(draw: st.DrawFn, long: str, short: str = "") -> str:
    return draw(st.sampled_from([long, long.lower(), long.upper(), *([short, short.upper()] if short else [])]))


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Return a well-formed request or response without folds or white space before colons."""
    method = draw(st.sampled_from(["MESSAGE", "INVITE", "REGISTER", "OPTIONS", "FOO"]) | TOKENS)
    is_request = draw(st.booleans())
    phrase = draw(st.text(st.characters(exclude_categories=("Cc", "Cs", "Z")), max_size=10))
    start = f"{method} {draw(uris())} SIP/2.0" if is_request else f"SIP/2.0 {draw(st.integers(100, 699))} {phrase}"
    body = draw(st.binary(max_size=30))
    # In a list with two quoted names, sipmessage takes all from the first quote to the last for a name.
    routes = uris().map(lambda uri: f"<{uri}>")
    fields = [
        (_name(draw, "From", "f"), draw(name_addresses(tag=True))),
        (_name(draw, "To", "t"), draw(name_addresses(tag=draw(st.booleans())))),
        (_name(draw, "Call-ID", "i"), draw(TOKENS) + "@" + draw(HOSTS)),
        (_name(draw, "CSeq"), f"{draw(st.integers(0, 2**31 - 1))} {method}"),
        (_name(draw, "Max-Forwards"), str(draw(st.integers(0, 255)))),
        (_name(draw, "Content-Length", "l"), str(len(body))),
        *[(_name(draw, "Contact", "m"), draw(name_addresses())) for _ in range(draw(st.integers(0, 2)))],
        *[(_name(draw, "Route"), ", ".join(draw(st.lists(routes, min_size=1, max_size=3))))],
    ]
    via = [(_name(draw, "Via", "v"), ", ".join(draw(st.lists(vias(), min_size=1, max_size=2)))) for _ in range(2)]
    lines = [start] + [f"{name}: {value}" for name, value in [*via, *draw(st.permutations(fields))]]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
