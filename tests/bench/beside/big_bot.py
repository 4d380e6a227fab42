#!/usr/bin/env python3
"""big_bot.py PORT: a bot for bodies of any size. POST /big/swallow is answered with the number of bytes that
came, GET /big/send?BYTES with so many, POST /big/echo with the request itself, head and body."""

import socket
import sys
import threading

PIECE = 1 << 18


def main():
    with socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=256) as listener:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()


def serve(connection):
    """Answers one request after the other until the client is gone."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection:
        try:
            while read_head_and_answer(connection):
                pass
        except OSError:
            pass


def read_head_and_answer(connection):
    """Whether there was a request."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65536)
        if not piece:
            return False
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    target = head.split(b" ", 2)[1]
    if target.startswith(b"/big/send"):
        send(connection, int(target.partition(b"?")[2]))
        return True
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    if target.startswith(b"/big/echo"):
        while len(body) < length:
            body += connection.recv(PIECE)
        answer(connection, head + b"\r\n\r\n" + body)
    else:
        answer(connection, str(swallow(connection, length, len(body))).encode())
    return True


def swallow(connection, length, count):
    """How many bytes of a body came, `count` of them already."""
    room = bytearray(PIECE)
    while count < length:
        got = connection.recv_into(room, min(PIECE, length - count))
        if not got:
            break
        count += got
    return count


def send(connection, length):
    piece = memoryview(bytes(PIECE))
    connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode())
    for at in range(0, length, PIECE):
        connection.sendall(piece[: length - at])


def answer(connection, body):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


if __name__ == "__main__":
    main()
