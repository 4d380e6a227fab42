"""How long an answer takes when there is little to do."""

from beside.callbacks import NO_KEYWORD
from beside.load import pace, percentile
from beside.scene import kfgate_of, quietest, scene
from beside.table import Row

RATE = 2000


def latency(stage, plan):
    """How long an answer takes at a low rate: the proxies take turns of a quarter of a second."""
    rows = {
        share: [
            Row(f"latency {name} at {RATE:,} requests/s on 4 connections", "µs"),
            Row(f"latency {name}, nginx beside nginx", "µs", is_control=True),
        ]
        for share, name in ((0.5, "p50"), (0.99, "p99"))
    }
    with scene(stage, kfgate_of(stage, 10), stage.nginx, stage.nginx, mix=NO_KEYWORD, keywords=10) as on:
        for _ in range(plan.rounds):
            results, busy = quietest(lambda: pace(stage, on.bot, on.corpus, on.peers, RATE, plan.seconds, RATE // 16))
            for share, (duel, control) in rows.items():
                ours, theirs, again = (percentile(result.latencies, share) for result in results)
                duel.add(ours, theirs, busy)
                control.add(again, theirs, busy)
    return [row for pair in rows.values() for row in pair]
