import socket
import time

while True:
    try:
        connection = socket.create_connection(("127.0.0.1", 7391))
        break
    except ConnectionRefusedError:
        time.sleep(0.02)
stream = connection.makefile("rwb")
with open("result", "wb") as result:
    for number in range(40):
        stream.write(b"INCR counter\r\n" if number % 2 else b"RPUSH list %d\r\n" % number)
        stream.flush()
        result.write(stream.readline())
        time.sleep(0.03)
