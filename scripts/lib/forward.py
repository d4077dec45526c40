#!/usr/bin/env python3
"""forward.py SOCKET PORT: brings a Unix socket out to a port of 127.0.0.1.

For a server that opens more ports than it is told to: it runs in a network namespace of its own, and only this
port comes out."""
import asyncio, sys


async def copy(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def join(reader, writer):
    try:
        far = await asyncio.open_unix_connection(sys.argv[1])
    except OSError:
        return writer.close()
    await asyncio.gather(copy(reader, far[1]), copy(far[0], writer))


async def main():
    server = await asyncio.start_server(join, "127.0.0.1", int(sys.argv[2]), backlog=1024)
    await server.serve_forever()


asyncio.run(main())
