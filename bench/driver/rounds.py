"""Rounds: everybody once in each, in an order that rotates, so that whatever the machine does meets all alike; and what they come to."""
import statistics
import sys

from .programs import Failed


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
