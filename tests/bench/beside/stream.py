"""Bodies of 1 GiB."""

import socket

from beside import machine
from beside.callbacks import NO_KEYWORD
from beside.machine import Cpu
from beside.scene import kfgate_of, quietest, scene
from beside.stage import Failed
from beside.table import Row

GIB = 1 << 30
PIECE = 1 << 18


def stream(stage, plan):
    """A body of 1 GiB up, and one down: CPU, and how far memory rises in a process that has had no big one yet."""
    rows = []
    for name, move in (("up", _upload), ("down", _download)):
        cpu = Row(f"1 GiB {name}", "s of CPU")
        grown = Row(f"1 GiB {name}: growth of memory", "MiB", is_difference=True)
        for number in range(plan.rounds):
            (ours, theirs), busy = quietest(lambda: _both(stage, move, number))
            cpu.add(ours[0], theirs[0], busy)
            grown.add(ours[1], theirs[1], busy)
        rows += [cpu, grown]
    return rows


def _both(stage, move, number):
    with scene(stage, kfgate_of(stage, 10), stage.nginx, mix=NO_KEYWORD, keywords=10) as on:
        return on.in_turn(number, lambda peer: _moved(peer, move))


def _moved(peer, move):
    """(CPU seconds, MiB that memory rose)"""
    machine.forget_highest_memory(peer.pid)
    memory, cpu = machine.memory(peer.pid), Cpu.of(peer.pid)
    move(peer)
    return Cpu.of(peer.pid).seconds_since(cpu), machine.memory(peer.pid, "VmHWM") - memory


def _upload(peer):
    piece = memoryview(bytes(PIECE))
    with socket.create_connection(("127.0.0.1", peer.port), 60) as connection:
        head = f"POST /big/swallow HTTP/1.1\r\nHost: localhost\r\nContent-Length: {GIB}\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode())
        for _ in range(GIB // PIECE):
            connection.sendall(piece)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    if not answer.endswith(f"\r\n\r\n{GIB}".encode()):
        raise Failed(f"{peer.name}: of {GIB} bytes up: {answer[-100:]!r}")


def _download(peer):
    room = bytearray(PIECE)
    with socket.create_connection(("127.0.0.1", peer.port), 60) as connection:
        connection.sendall(f"GET /big/send?{GIB} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65536)
        count = len(head.partition(b"\r\n\r\n")[2])
        while got := connection.recv_into(room):
            count += got
    if count != GIB:
        raise Failed(f"{peer.name}: of {GIB} bytes down, {count} came")
