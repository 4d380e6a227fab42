"""Load on one or two proxies at the same moment, what it cost them, and whether it reached the bot."""

import contextlib
import dataclasses
import itertools
import json
import math
import pathlib
import subprocess
import sys

from beside.machine import Cpu
from beside.stage import HERE, Failed, find, requests_seen

HOST = "wx.example.com"
PACED_CONNECTIONS = 4

_runs = itertools.count(1)


@dataclasses.dataclass
class Corpus:
    """Callbacks to be sent in turn, written where the load finds them.

    `held_back` counts, for the first 0, 1, 2 … of them, those that kfgate answers without asking the bot.
    """

    callbacks: list
    path: str
    file: pathlib.Path
    held_back: list

    @classmethod
    def write(cls, folder, path, callbacks):
        file = folder / f"callbacks-{next(_runs)}"
        file.write_bytes(b"".join(f"{path}?{each.query}\n".encode() + each.body + b"\0" for each in callbacks))
        counts = itertools.accumulate((each.kind == "keyword" for each in callbacks), initial=0)
        return cls(callbacks, path, file, list(counts))

    def forwarded(self, sent):
        """How many of the first `sent` requests kfgate forwards."""
        laps, rest = divmod(sent, len(self.callbacks))
        return sent - laps * self.held_back[-1] - self.held_back[rest]


@dataclasses.dataclass
class Answered:
    """What one proxy did in one window: requests answered, the window's seconds, CPU seconds spent."""

    requests: int
    seconds: float
    cpu: float = 0.0
    latencies: list = dataclasses.field(default_factory=list)

    @property
    def cpu_us(self):
        """CPU of the proxy's whole process tree, in microseconds a request."""
        return self.cpu / self.requests * 1e6

    @property
    def rate(self):
        return self.requests / self.seconds


def saturate(stage, bot, corpus, peers, connections, seconds, close=False):
    """wrk on each of the peers, all at the same moment; one `Answered` each."""
    seen, before = requests_seen(bot), [Cpu.of(peer.pid) for peer in peers]
    with contextlib.ExitStack() as ends:
        running = []
        for peer in peers:
            running.append(_start_wrk(stage, corpus, peer, connections, seconds, close))
            ends.callback(stage.finish, running[-1])
        results = [_result_of_wrk(wrk, peer, seconds) for wrk, peer in zip(running, peers)]
    for peer, used, result in zip(peers, before, results):
        result.cpu = Cpu.of(peer.pid).seconds_since(used)
    _must_have_seen(requests_seen(bot) - seen, corpus, peers, results, connections)
    return results


def _start_wrk(stage, corpus, peer, connections, seconds, close):
    how = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", f"http://127.0.0.1:{peer.port}"]
    what = [corpus.file, HOST, "close" if close else "keep-alive", f"{next(_runs):08d}"]
    command = [find("wrk"), "-s", HERE.parent / "beside.lua", *how, "--", *what]
    return stage.launch(command, stage.load_cores, subprocess.PIPE, text=True)


def _result_of_wrk(process, peer, seconds):
    said = _output(process, seconds)
    _, found, line = said.partition("RESULT ")
    if process.returncode or not found:
        raise Failed(f"wrk on {peer.name}: {said.strip()[-300:]}")
    told = json.loads(line)
    if told["failed"] or told["not_2xx"] or not told["answered"]:
        raise Failed(f"{peer.name}: {line.strip()}")
    return Answered(told["answered"], told["seconds"])


def pace(stage, bot, corpus, peers, rate, seconds, turn):
    """`rate` requests a second to each of the peers while it has its turn (of so many requests on each of four
    connections; a turn of one gives all of them the load at the same moment); one `Answered` each."""
    together = len(peers) if turn == 1 else 1
    each = [rate * together / PACED_CONNECTIONS, seconds * len(peers) / together, turn]
    each += [peer.port for peer in peers]
    seen, before = requests_seen(bot), [Cpu.of(peer.pid) for peer in peers]
    took = [[] for _ in peers]
    with contextlib.ExitStack() as ends:
        running = []
        for number in range(PACED_CONNECTIONS):
            command = [sys.executable, HERE / "pace.py", corpus.file, next(_runs), number, *each]
            running.append(stage.launch(command, stage.load_cores, subprocess.PIPE, text=True))
            ends.callback(stage.finish, running[-1])
        for process in running:
            said = _output(process, seconds * len(peers))
            if process.returncode:
                raise Failed(f"paced load: {said.strip()[-300:]}")
            for all_of_it, part in zip(took, json.loads(said)):
                all_of_it += part
    results = [Answered(len(each) + PACED_CONNECTIONS, seconds, latencies=sorted(each)) for each in took]
    for peer, used, result in zip(peers, before, results):
        result.cpu = Cpu.of(peer.pid).seconds_since(used)
    missing = sum(result.requests for result in results) - (requests_seen(bot) - seen)
    if missing:
        raise Failed(f"paced load: {missing} requests did not reach the bot")
    return results


def percentile(latencies, share):
    """Of sorted latencies, the one that `share` (0 to 1) of all do not exceed."""
    return latencies[max(0, math.ceil(len(latencies) * share) - 1)]


def _output(process, seconds):
    try:
        return process.communicate(timeout=seconds * 4 + 60)[0]
    except subprocess.TimeoutExpired as late:
        raise Failed("the load did not end in time") from late


def _must_have_seen(seen, corpus, peers, results, connections):
    """The bot saw what was to be forwarded: all of nginx's requests, of kfgate's those it does not answer itself.

    When wrk ends, each connection may have one more request on its way, which the bot sees or not. wrk asks its script
    for one request that it never sends.
    """
    least = most = 0
    for peer, result in zip(peers, results):
        forwarded = corpus.forwarded if peer.name == "kfgate" else int
        in_all = forwarded(result.requests + connections) + 1
        least += in_all - connections - 2
        most += in_all
    if not least <= seen <= most:
        names = " and ".join(peer.name for peer in peers)
        raise Failed(f"the bot was to see {least} to {most} requests of {names}, and saw {seen}")
