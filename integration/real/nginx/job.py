import http.client
import time


def ask(connection, path):
    connection.request("GET", path)
    return connection.getresponse().read()


while True:
    try:
        kept = http.client.HTTPConnection("127.0.0.1", 7392)
        ask(kept, "/first")
        break
    except ConnectionRefusedError:
        time.sleep(0.02)
with open("result", "wb") as result:
    for number in range(40):
        result.write(ask(kept, "/kept/%d" % number))
        result.write(ask(http.client.HTTPConnection("127.0.0.1", 7392), "/new/%d" % number))
        time.sleep(0.03)
