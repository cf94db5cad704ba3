"""What pods tell each other about SIP, as MessagePack."""

import msgspec


class HandedOver(msgspec.Struct, array_like=True, tag=1):
    """A datagram that came to one pod and belongs to another."""

    listener: str
    host: str
    port: int
    data: bytes


class Delivery(msgspec.Struct, array_like=True, tag=2):
    """Something to be sent over a flow of the receiving pod."""

    listener: str
    connection: int
    host: str
    port: int
    data: bytes


class Passed(msgspec.Struct, array_like=True, tag=3):
    """A response whose client transaction is the receiving pod's."""

    data: bytes


class Lost(msgspec.Struct, array_like=True, tag=4):
    """A connection to which something was to be delivered is not there."""

    connection: int


class CountAsked(msgspec.Struct, array_like=True, tag=5):
    """Whether a count of a nonce that the receiving pod issued is new."""

    number: int
    nonce: str
    nc: int
    identity: bytes


class CountTold(msgspec.Struct, array_like=True, tag=6):
    """The answer."""

    number: int
    accepted: bool


Between = HandedOver | Delivery | Passed | Lost | CountAsked | CountTold
decode = msgspec.msgpack.Decoder(Between).decode
encode = msgspec.msgpack.Encoder().encode
