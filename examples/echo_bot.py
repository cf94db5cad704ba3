"""A bot that answers every chat and says again what it is told: ``python examples/echo_bot.py 127.0.0.1:9090 KEY``."""

import asyncio
import sys
from contextlib import suppress

from wigwag.client import Client, Composing, Event, MessageReceived, SessionEnded, SessionOffered
from wigwag.errors import ConflictError


async def main(target: str, key: str) -> None:
    """Serve until it is stopped."""
    async with Client(target, key=key) as client:
        print("waiting for calls", flush=True)
        async for event in client.events():
            with suppress(ConflictError):  # Who it is about may have left meanwhile.
                await react(event)


async def react(event: Event) -> None:
    """Do what there is to do about an event."""
    match event:
        case SessionOffered(session=session):
            await session.answer()
            print(f"{session.remote_uri} is here", flush=True)
        case MessageReceived(session=session, text=text, message_id=message_id):
            # The event's id as the key: should this bot be told twice, it still answers once.
            await session.send(f"you said: {text}", idempotency_key=event.event_id)
            await session.displayed(message_id)
        case Composing(session=session, active=True):
            await session.composing()
        case SessionEnded(session=session, cause=cause):
            print(f"{session.remote_uri} has left: {cause}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
