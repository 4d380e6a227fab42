"""What a piece of work needs around it: processes that were checked, and a quiet moment."""

import contextlib
import dataclasses

from beside import check
from beside.callbacks import callbacks
from beside.load import Corpus
from beside.machine import Elsewhere
from beside.sealed import sealed

# Measured once again when others used more of the machine than this.
BUSY = 0.05
AGAIN = 1


@dataclasses.dataclass
class Plan:
    """How long and how often: seconds of load in each of so many rounds."""

    seconds: int
    rounds: int


@dataclasses.dataclass
class Scene:
    """The bots, the proxies and the callbacks of one piece of work, checked, and warm."""

    stage: object
    bot: object
    peers: list
    corpus: Corpus

    def in_turn(self, number, measure):
        """What `measure(peer)` gives for each peer alone; which is first, turns with the number of the round."""
        back = -1 if number % 2 else 1
        return [measure(peer) for peer in self.peers[::back]][::back]


@contextlib.contextmanager
def scene(stage, *proxies, mix, keywords, path="/wechat", safe=False):
    """Starts each of the proxies (functions of the bots), checks it, and ends it with the bots afterwards."""
    plain = callbacks(mix, keywords)
    corpus = Corpus.write(stage.folder, path, sealed(plain) if safe else plain)
    bots = [stage.bot(), stage.big_bot()]
    peers = [start(bots) for start in proxies]
    try:
        for peer in peers:
            check.answers(peer, corpus)
            check.forwards(peer, corpus)
        yield Scene(stage, bots[0], peers, corpus)
    finally:
        stage.end(*peers, *bots)
        corpus.file.unlink()


def quietest(measure):
    """What `measure()` gives, and the share of the machine used elsewhere meanwhile; once again if that was much."""
    best = None
    for _ in range(1 + AGAIN):
        with Elsewhere() as elsewhere:
            result = measure()
        if best is None or elsewhere.share < best[1]:
            best = (result, elsewhere.share)
        if best[1] < BUSY:
            break
    return best


def kfgate_of(stage, keywords):
    return lambda bots: stage.kfgate(bots, keywords)
