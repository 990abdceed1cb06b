"""Calls in turn: settings are tried, then what remains is timed round by round."""
import statistics
import time
from dataclasses import dataclass, field

import numpy as np

HOPELESS = 1.5      # a peer so much slower than the best one is timed in the trial alone
TURN_SECONDS = 0.3  # short calls are repeated within a turn
ROUNDS = 9
ROW_SECONDS = 240   # rounds are cut to fit, down to three


@dataclass
class Contender:
    name: str
    setting: str
    call: object
    out: np.ndarray = None                       # what the first call gave
    trial: float = 0.0                           # seconds
    seconds: list = field(default_factory=list)  # of each round; empty: trial alone

    @property
    def median(self):
        return statistics.median(self.seconds or [self.trial])


def timed(call):
    begin = time.perf_counter()
    out = call()
    return time.perf_counter() - begin, out


def try_out(name, setting, build):
    """The first call warms up; a long one stands for itself, unless it had to compile."""
    contender = Contender(name, setting, build())
    contender.trial, contender.out = timed(contender.call)
    if setting == "compile" or contender.trial < 5:
        contender.trial = min(timed(contender.call)[0] for _ in range(3))
    return contender


def best_setting(name, builds, quick=False):
    """The quickest of a program's settings; quick: the first."""
    best = None
    for setting, build in list(builds.items())[:1 if quick else None]:
        tried = try_out(name, setting, build)
        best = tried if best is None or tried.trial < best.trial else best
    return best


def turn(contender):
    """One measurement: an untimed call first, as others had the caches (and may spin for a while)."""
    if contender.trial < 2:
        contender.call()
    times, begin = [], time.perf_counter()
    while not times or time.perf_counter() - begin < TURN_SECONDS:
        times.append(timed(contender.call)[0])
    return statistics.median(times)


def interleave(contenders, quick=False):
    """Each in turn, another first in each round."""
    whole = sum(max(TURN_SECONDS, c.trial) for c in contenders)
    for i in range(2 if quick else max(3, min(ROUNDS, int(ROW_SECONDS / whole)))):
        for j in range(len(contenders)):
            c = contenders[(i + j) % len(contenders)]
            c.seconds.append(turn(c))


def worth_timing(ours, peers):
    best = min((p.trial for p in peers), default=0.0)
    return [ours] + [p for p in peers if p.trial <= HOPELESS * best]


def ratio(ours, other):
    """How many times the other's time is ours: of the medians, and of the rounds."""
    rounds = [b / a for a, b in zip(ours.seconds, other.seconds)]
    return other.median / ours.median, min(rounds), max(rounds)
