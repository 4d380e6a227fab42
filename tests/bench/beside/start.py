"""How long a start takes."""

import contextlib
import functools
import http.client
import time

from beside.callbacks import LONGEST_LIST, NO_KEYWORD, callbacks
from beside.configuration import REPLY
from beside.scene import quietest
from beside.stage import Failed
from beside.table import Row


def start(stage, plan):
    """From the start of the process to the bot's first answer through it."""
    rows = []
    callback = callbacks(NO_KEYWORD, 10)[0]
    bots = [stage.bot(), stage.big_bot()]
    for keywords in (10, LONGEST_LIST):
        row = Row(f"start to first answer, {keywords:,} keywords (nginx: none)", "ms")
        ours = functools.partial(stage.kfgate, bots, keywords, wait=False)
        launches = [ours, functools.partial(stage.nginx, bots, wait=False)]
        for _ in range(plan.rounds):
            both, busy = quietest(lambda: [_milliseconds(stage, launch, callback) for launch in launches])
            row.add(*both, busy)
        rows.append(row)
    stage.end(*bots)
    return rows


def _milliseconds(stage, launch, callback):
    peer = launch()
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", peer.port, timeout=10)
        with contextlib.closing(connection), contextlib.suppress(ConnectionError):
            connection.request("POST", f"/wechat?{callback.query}", callback.body, {"Content-Type": "text/xml"})
            right = connection.getresponse().read().decode() == REPLY
            took = (time.perf_counter() - peer.began) * 1000
            break
        stage.must_come_up(peer)
        time.sleep(0.0002)
    stage.end(peer)
    if not right:
        raise Failed(f"{peer.name}: a wrong first answer")
    return took
