# A server and its clients in one event loop, over a Unix socket, and a child process that answers over pipes.
import asyncio
import hashlib


async def serve(reader, writer):
    while line := await reader.readline():
        writer.write(hashlib.sha256(line).hexdigest().encode() + b"\n")
        await writer.drain()
    writer.close()


async def call(number, results):
    reader, writer = await asyncio.open_unix_connection("socket")
    text = str(number)
    for turn in range(150):
        writer.write(f"{turn} {text}\n".encode())
        text = (await reader.readline()).decode().strip()
        await asyncio.sleep(0.005)
    writer.close()
    results[number] = text


async def main():
    results = {}
    server = await asyncio.start_unix_server(serve, "socket")
    child = await asyncio.create_subprocess_exec("cat", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    await asyncio.gather(*(call(number, results) for number in range(5)))
    results["child"] = (await child.communicate(b"through a child"))[0].decode()
    server.close()
    with open("result", "w") as out:
        print(sorted(results.items(), key=str), child.returncode, file=out)


asyncio.run(main())
