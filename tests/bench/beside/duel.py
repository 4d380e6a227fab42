"""kfgate and nginx under the same load at the same moment on the same core."""

import dataclasses
import functools
import os
import time

from beside.callbacks import LONGEST_LIST
from beside.load import pace, saturate
from beside.scene import quietest, scene
from beside.stage import Failed
from beside.table import Row

RATE = 2000


@dataclasses.dataclass(frozen=True)
class Duel:
    """kfgate and nginx (or whatever `left` and `right` are) under the same load at the same moment on the same core.

    What slows the machine down slows both. `alone` adds their throughput when each has the core to itself. In `safe`
    mode the callbacks come sealed, and kfgate has the key.
    """

    work: str
    mix: dict
    keywords: int = 10
    path: str = "/wechat"
    connections: int = 32
    close: bool = False
    paced: bool = False
    alone: bool = False
    safe: bool = False
    left: str = "kfgate"
    right: str = "nginx"

    def __call__(self, stage, plan):
        row = Row(self.work, "µs of CPU a request", is_control=self.left == self.right)
        rows = [row]
        if self.alone:
            rows.append(Row(f"{self.work}, each alone on the core", "requests/s", more_is_better=True))
        sides = [functools.partial(self._start, stage, side) for side in (self.left, self.right)]
        with scene(stage, *sides, mix=self.mix, keywords=self.keywords, path=self.path, safe=self.safe) as on:

            def rate_alone(peer):
                return self._window(on, [peer], plan.seconds)[0].rate

            self._window(on, on.peers, 1)
            for number in range(plan.rounds):
                (left, right), share = quietest(lambda: self._window(on, on.peers, plan.seconds))
                row.add(left.cpu_us, right.cpu_us, share)
                if self.alone:
                    rates, share = quietest(lambda: on.in_turn(number, rate_alone))
                    rows[1].add(*rates, share)
        return rows

    def _start(self, stage, side, bots):
        log = side.endswith("+log")
        if side.startswith("nginx"):
            return stage.nginx(bots, log)
        return stage.kfgate(bots, LONGEST_LIST if side == "kfgate-longest" else self.keywords, log, safe=self.safe)

    def _window(self, on, peers, seconds):
        logs = [file for peer in peers for file in peer.folder.glob("access.log")]
        for file in logs:
            os.truncate(file, 0)
        if self.paced:
            return pace(on.stage, on.bot, on.corpus, peers, RATE, seconds, turn=1)
        results = saturate(on.stage, on.bot, on.corpus, peers, self.connections, seconds, self.close)
        for peer, result in zip(peers, results):
            if peer.folder / "access.log" in logs:
                _must_have_logged(peer, result)
        return results


def _must_have_logged(peer, result):
    """No record was dropped to look fast; the last ones may take a moment."""
    lines, give_up = 0, time.monotonic() + 3
    while lines < result.requests and time.monotonic() < give_up:
        time.sleep(0.2)
        with open(peer.folder / "access.log", "rb") as file:
            lines = sum(piece.count(b"\n") for piece in iter(lambda: file.read(1 << 20), b""))
    if lines < result.requests:
        raise Failed(f"{peer.name} logged {lines} of {result.requests} requests")
