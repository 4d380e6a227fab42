"""What was measured, as Markdown."""

import dataclasses
import statistics

HEAD = (
    "| work | unit | kfgate | nginx | kfgate ÷ nginx: median (min–max) | | busy elsewhere |\n"
    "|---|---|---:|---:|---:|---|---:|"
)


# nginx beside itself differs by as much.
EVEN = 0.03


@dataclasses.dataclass
class Row:
    """Figures of kfgate and of what it is compared with, round for round in pairs.

    `elsewhere` is the share of the machine that others used meanwhile. Less is better, unless `more_is_better`. Of what
    `is_difference`, such as a growth from nearly nothing, no ratio is formed. A row with a `failure` has no figures.
    """

    work: str
    unit: str
    kfgate: list = dataclasses.field(default_factory=list)
    nginx: list = dataclasses.field(default_factory=list)
    elsewhere: list = dataclasses.field(default_factory=list)
    more_is_better: bool = False
    is_control: bool = False
    is_difference: bool = False
    failure: str = ""

    def add(self, kfgate, nginx, elsewhere=None):
        self.kfgate.append(kfgate)
        self.nginx.append(nginx)
        if elsewhere is not None:
            self.elsewhere.append(elsewhere)

    def markdown(self):
        if self.failure or not self.kfgate:
            return f"| {self.work} | {self.unit} | failed: {self.failure or 'not measured'} | | | | |"
        spread = _with_range if self.is_difference else _median
        cells = [self.work, self.unit, spread(self.kfgate), spread(self.nginx), self._ratio(), self._verdict()]
        cells.append(f"{statistics.median(self.elsewhere):.0%}" if self.elsewhere else "–")
        return f"| {' | '.join(cells)} |"

    def _ratios(self):
        return [ours / theirs for ours, theirs in zip(self.kfgate, self.nginx)]

    def _ratio(self):
        if self.is_difference:
            return "–"
        ratios = self._ratios()
        middle = f"**{statistics.median(ratios):.2f}**"
        return middle if len(ratios) == 1 else f"{middle} ({min(ratios):.2f}–{max(ratios):.2f})"

    def _verdict(self):
        """A win or a loss is one in every round, and by more than noise."""
        if self.is_control:
            return "noise"
        if not self.is_difference and abs(statistics.median(self._ratios()) - 1) < EVEN:
            return "even"
        pairs = [pair if self.more_is_better else pair[::-1] for pair in zip(self.kfgate, self.nginx)]
        if all(better > worse for better, worse in pairs):
            return "win"
        return "loss" if all(better < worse for better, worse in pairs) else "even"


def _median(values):
    return _figure(statistics.median(values))


def _with_range(values):
    return f"{_median(values)} ({_figure(min(values))}–{_figure(max(values))})"


def _figure(value):
    """Three digits, or all of those before the point."""
    return f"{value:,.{2 if abs(value) < 10 else 1 if abs(value) < 100 else 0}f}"
