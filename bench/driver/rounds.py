"""Rounds: everybody once in each, in an order that rotates, so that whatever the machine does meets all alike; and what they come to."""
import contextlib
import random
import statistics
import sys

from .programs import Failed

SLICE = 0.05  # seconds


def run_rounds(case, contestants, rounds, measure):
    """measure(contestant) gives {metric: number}. Gives {name: {"values": {metric: [number of each round]}}}, or "failed": words."""
    results = {each.name: {"kind": each.kind, "values": {}} for each in contestants}
    order = list(contestants)
    for number in range(rounds):
        order = order[1:] + order[:1]
        for contestant in order:
            result = results[contestant.name]
            if "failed" in result:
                continue
            say(f"{case}: round {number + 1} of {rounds}, {contestant.name}")
            try:
                for metric, value in measure(contestant).items():
                    result["values"].setdefault(metric, []).append(value)
            except Failed as error:
                result["failed"] = str(error)
                result["values"] = {}
    say("")
    return results


def run_slices(case, contestants, rounds, seconds, opened, summed, slice_seconds=SLICE):
    """As run_rounds(), but within a round all of them are there side by side and are asked for a slice of the time at a time: what the machine does then meets
    all alike even if it does it for a moment only. The order is drawn anew each time, since it matters a little whom one comes after. opened(contestant)
    is a context with a PausedLoad; summed([counted...]) gives {metric: number}. Who has no turn does nothing.
    """
    slices = max(1, round(seconds / slice_seconds))
    drawn = random.Random(0)
    results = {each.name: {"kind": each.kind, "values": {}} for each in contestants}
    for number in range(rounds):
        say(f"{case}: round {number + 1} of {rounds}")
        with contextlib.ExitStack() as all_of_them:
            counted, asked = {}, {}

            def attempt(name, action):
                try:
                    return action()
                except Failed as error:
                    results[name].update({"failed": str(error), "values": {}})
                    asked.pop(name, None)

            for each in contestants:
                load = None if "failed" in results[each.name] else attempt(each.name, lambda: all_of_them.enter_context(opened(each)))
                if load:
                    counted[each.name], asked[each.name] = [], load
            for _ in range(slices):
                for name in drawn.sample(list(asked), len(asked)):
                    counted[name].append(attempt(name, lambda: asked[name].ask(seconds / slices)))
            for name in list(asked):
                attempt(name, asked[name].end)
            for name in list(asked):
                for metric, value in (attempt(name, lambda: summed(counted[name])) or {}).items():
                    results[name]["values"].setdefault(metric, []).append(value)
    say("")
    return results


def say(words):
    """Where it is, on the one line of a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{words}")
        sys.stderr.flush()


def median(result, metric):
    values = result["values"].get(metric)
    return statistics.median(values) if values else None


def ratio(result, reference, metric):
    """The median of what it measured / what the reference measured in the same round."""
    pairs = list(zip(result["values"].get(metric, []), reference["values"].get(metric, [])))
    return statistics.median(a / b for a, b in pairs) if pairs and all(b for _, b in pairs) else None
