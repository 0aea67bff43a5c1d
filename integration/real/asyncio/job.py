"""A server and ten clients in one event loop: every line comes back, whatever happens to the process meanwhile."""
import asyncio


async def serve(reader, writer):
    while line := await reader.readline():
        writer.write(b"echo " + line)
        await writer.drain()
    writer.close()


async def ask(port, name):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = []
    for number in range(30):
        writer.write(b"%d of %d\n" % (number, name))
        await writer.drain()
        lines.append(await reader.readline())
        await asyncio.sleep(0.03)
    writer.close()
    return b"".join(lines)


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    answers = await asyncio.gather(*[ask(port, name) for name in range(10)])
    with open("result", "wb") as result:
        result.writelines(answers)


asyncio.run(main())
