"""Calls somebody, says something, prints the answer: ``python examples/start_chat.py 127.0.0.1:9090 KEY URI TEXT``."""

import asyncio
import sys

from wigwag.client import Client, MessageChanged, MessageReceived, SessionEnded, SessionOpened


async def main(target: str, key: str, uri: str, text: str) -> int:
    """Return 0 when there was an answer."""
    async with Client(target, key=key) as client:
        session = await client.start(uri, subject="a question")
        async for event in client.events():
            if event.session is not session:
                continue
            match event:
                case SessionOpened():
                    await session.send(text)
                case MessageChanged(state=state, reason=reason):
                    print(f"[{state.value}] {reason}", flush=True)
                case MessageReceived(text=answer):
                    print(f"{session.remote_uri}: {answer}", flush=True)
                    await session.end()
                    return 0
                case SessionEnded(cause=cause):
                    print(f"no answer: {cause}", flush=True)
                    return 1
                case _:
                    pass
    return 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
