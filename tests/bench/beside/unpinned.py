"""Every core to everybody, and a worker for each core."""

from beside.callbacks import NO_KEYWORD
from beside.load import saturate
from beside.scene import kfgate_of, quietest, scene
from beside.table import Row

CONNECTIONS = 64


def unpinned(stage, plan):
    """What a proxy with all cores lets through, one proxy after the other."""
    with stage.unpinned():
        workers = stage.workers
        work = f"forwarding, {workers} workers, nothing pinned, one after the other"
        row = Row(work, "requests/s", more_is_better=True)
        with scene(stage, kfgate_of(stage, 10), stage.nginx, mix=NO_KEYWORD, keywords=10) as on:

            def rate(peer, seconds):
                loads = saturate(stage, on.bot, on.corpus, [peer] * workers, CONNECTIONS // workers or 1, seconds)
                return sum(load.rate for load in loads)

            on.in_turn(0, lambda peer: rate(peer, 1))
            for number in range(plan.rounds):
                rates, busy = quietest(lambda: on.in_turn(number, lambda peer: rate(peer, plan.seconds)))
                row.add(*rates, busy)
    return [row]
