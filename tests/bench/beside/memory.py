"""What kfgate and nginx take up: memory for idle connections and for keywords, and room on the disk."""

import os
import socket
import time

from beside import machine
from beside.callbacks import LONGEST_LIST, NO_KEYWORD, THE_JOB
from beside.load import saturate
from beside.scene import kfgate_of, quietest, scene
from beside.stage import Failed
from beside.table import Row

CONNECTIONS = 10_000


def idle(stage, plan):
    """Memory that connections hold while they wait for the next request, and after they have closed."""
    count = CONNECTIONS if stage.files >= CONNECTIONS + 500 else CONNECTIONS // 2
    held = Row(f"memory for an idle keep-alive connection, {count:,} open", "KiB")
    kept = Row("resident after they closed ÷ before they opened", "×")
    for _ in range(min(plan.rounds, 3)):
        (ours, theirs), busy = quietest(lambda: _both_idle(stage, count))
        held.add(ours[0], theirs[0], busy)
        kept.add(ours[1], theirs[1], busy)
    return [held, kept]


def _both_idle(stage, count):
    # Each time in new processes: memory that one has not given back would hide what the next connections take.
    with scene(stage, kfgate_of(stage, 10), stage.nginx, mix=NO_KEYWORD, keywords=10) as on:
        return [_idle(peer, on.corpus, count) for peer in on.peers]


def _idle(peer, corpus, count):
    """(KiB a connection, MiB after closing ÷ MiB before opening)"""
    for _ in range(200):
        _connected(peer, corpus).close()
    time.sleep(1)
    before = machine.memory(peer.pid)
    connections = [_connected(peer, corpus) for _ in range(count)]
    time.sleep(1)
    during = machine.memory(peer.pid)
    for connection in connections:
        connection.close()
    time.sleep(2)
    return (during - before) * 1024 / count, machine.memory(peer.pid) / before


def _connected(peer, corpus):
    """A connection on which one callback was answered."""
    callback = corpus.callbacks[0]
    connection = socket.create_connection(("127.0.0.1", peer.port), 10)
    head = f"POST {corpus.path}?{callback.query} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\n"
    connection.sendall(f"{head}Content-Length: {len(callback.body)}\r\n\r\n".encode() + callback.body)
    received = b""
    while not received.endswith(b"</xml>"):
        piece = connection.recv(65536)
        if not piece:
            raise Failed(f"{peer.name} closed a connection")
        received += piece
    return connection


def keywords(stage, plan):
    """Memory with the longest list of keywords, after some seconds of load."""
    row = Row(f"resident with {LONGEST_LIST:,} keywords (nginx: none)", "MiB")
    for _ in range(min(plan.rounds, 3)):
        with scene(stage, kfgate_of(stage, LONGEST_LIST), stage.nginx, mix=THE_JOB, keywords=LONGEST_LIST) as on:
            saturate(stage, on.bot, on.corpus, on.peers, 32, plan.seconds)
            row.add(*(machine.memory(peer.pid) for peer in on.peers))
    return [row]


def binary(stage, _plan):
    """The programs' files alone: nginx' shared libraries and modules are not counted."""
    row = Row("program file", "MiB")
    row.add(*(os.path.getsize(path) / 2**20 for path in (stage.kfgate_binary, stage.nginx_binary)))
    return [row]
