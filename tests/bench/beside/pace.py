#!/usr/bin/env python3
"""pace.py CALLBACKS_FILE RUN CONNECTION RATE SECONDS TURN PORT...: one connection to each port, on which callbacks
are sent at RATE a second in all, TURN of them to one port before the next port has its turn. Prints, as JSON, the
microseconds that each answer took, by port. An answer that came too late for the next callback to leave in time
counts against that one as well: it is as late as it made it."""

import gc
import json
import re
import socket
import sys
import time

MSG_ID = re.compile(rb"<MsgId>\d+</MsgId>")


def main():
    file, run, connection = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    rate, seconds, turn = float(sys.argv[4]), float(sys.argv[5]), int(sys.argv[6])
    peers = [socket.create_connection(("127.0.0.1", int(port)), 10) for port in sys.argv[7:]]
    for peer in peers:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    count = int(rate * seconds)
    requests = prepare(file, run, connection, count + len(peers))
    for peer in peers:
        ask(peer, requests.pop())
    gc.disable()
    print(json.dumps(paced(peers, requests, rate, turn)))


def prepare(file, run, connection, count):
    """So many requests, each message with a MsgId that no other request of any run has."""
    with open(file, "rb") as source:
        callbacks = [callback.split(b"\n", 1) for callback in source.read().split(b"\0")[:-1]]
    requests = []
    for number in range(count):
        target, body = callbacks[(connection * 1000 + number) % len(callbacks)]
        body = MSG_ID.sub(b"<MsgId>%08d%d%08d</MsgId>" % (run, connection + 1, number), body)
        requests.append(
            b"POST %s HTTP/1.1\r\nHost: wx.example.com\r\nUser-Agent: Mozilla/4.0\r\nAccept: */*\r\n"
            b"Content-Type: text/xml\r\nPragma: no-cache\r\nConnection: Keep-Alive\r\nContent-Length: %d\r\n\r\n%s"
            % (target, len(body), body)
        )
    return requests


def paced(peers, requests, rate, turn):
    """The microseconds of each answer, a list for each peer."""
    took = [[] for _ in peers]
    start, free = time.perf_counter() + 0.05, 0.0
    for number, request in enumerate(requests):
        at = number // turn % len(peers)
        due = start + number / rate
        ahead = due - time.perf_counter()
        if ahead > 0:
            time.sleep(ahead)
        elif number % turn == 0:
            # What the last port was late by is not the next one's fault.
            start -= ahead
            due -= ahead
        sent = time.perf_counter() if free <= due else due
        ask(peers[at], request)
        free = time.perf_counter()
        took[at].append(round((free - sent) * 1e6))
    return took


def ask(peer, request):
    peer.sendall(request)
    received = peer.recv(65536)
    while True:
        head, _, body = received.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        if length and len(body) >= int(length[1]):
            break
        more = peer.recv(65536)
        if not more:
            raise SystemExit(f"no answer: {received!r}")
        received += more
    if not received.startswith(b"HTTP/1.1 200 ") or len(body) != int(length[1]):
        raise SystemExit(f"a wrong answer: {received!r}")


if __name__ == "__main__":
    main()
