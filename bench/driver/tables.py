"""Tables of results, for people at a terminal and for the documentation."""
from .rounds import median, ratio


def number(value, digits):
    return "" if value is None else f"{value:,.{digits}f}"


def header(results):
    columns = [f"{metric['unit']} ÷ {results['reference']}" for metric in results["metrics"] if metric["name"] in results["ratios"]]
    return ["", *columns, *(metric["unit"] for metric in results["metrics"])]


def rows(results, case):
    """A row for each contestant: its name; its ratios and its medians; or why there are none."""
    contestants = case["contestants"]
    reference = contestants.get(results["reference"], {"values": {}})
    for name, result in contestants.items():
        ratios = [number(ratio(result, reference, metric["name"]), 2) for metric in results["metrics"] if metric["name"] in results["ratios"]]
        yield name, [*ratios, *(number(median(result, metric["name"]), metric["digits"]) for metric in results["metrics"])], result.get("failed")


def how(results):
    return f"Medians of {results['rounds']} rounds of {results['seconds']:g} s, all in turn; again: `bench/run {results['work']}`."


def text(results):
    lines = [results["title"], results["explanation"], how(results)]
    for case in results["cases"]:
        shown = [(case["name"], header(results)[1:], None), *rows(results, case)]
        first = max(len(name) for name, _, _ in shown)
        widths = [max(map(len, column)) for column in zip(*(cells for _, cells, _ in shown))]
        lines.append("")
        for name, cells, failure in shown:
            lines.append("  ".join([name.ljust(first), *([f"failed: {failure}"] if failure else map(str.rjust, cells, widths))]))
    return "\n".join(lines) + "\n"


def markdown(results):
    lines = [results["explanation"], "", how(results)]
    for case in results["cases"]:
        head = [case["name"], *header(results)[1:]]
        lines += ["", "| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
        for name, cells, failure in rows(results, case):
            shown = f"**{name}**" if case["contestants"][name]["kind"] == "bine" else name
            lines.append("| " + " | ".join([shown, *(["failed"] + [""] * (len(cells) - 1) if failure else cells)]) + " |")
    return "\n".join(lines) + "\n"
