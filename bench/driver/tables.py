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


def against_peers(results, case):
    """A row for each pair: its names; what Bine measured as a part of what the peer did, in the same rounds."""
    contestants = case["contestants"]
    for bine, peer in results["pairs"]:
        if not {bine, peer} <= contestants.keys() or any("failed" in contestants[name] for name in (bine, peer)):
            continue
        yield f"{bine} ÷ {peer}", [number(ratio(contestants[bine], contestants[peer], name), 2) for name in results["ratios"]]


def how(results):
    each = f" of {results['seconds']:g} s" if results["seconds"] else ""
    return f"Medians of {results['rounds']} rounds{each}, all in turn; again: `bench/run {results['work']}`."


def text(results):
    lines = [results["title"], results["explanation"], how(results)]
    for case in results["cases"]:
        shown = [(case["name"], header(results)[1:], None), *rows(results, case)]
        first = max(len(name) for name, _, _ in shown)
        widths = [max(map(len, column)) for column in zip(*(cells for _, cells, _ in shown))]
        lines.append("")
        for name, cells, failure in shown:
            lines.append("  ".join([name.ljust(first), *([f"failed: {failure}"] if failure else map(str.rjust, cells, widths))]))
        lines += ["  " + name + ": " + ", ".join(cells) for name, cells in against_peers(results, case)]
    return "\n".join(lines) + "\n"


def markdown(results):
    lines = [results["explanation"], "", how(results)]
    for case in results["cases"]:
        head = [case["name"], *header(results)[1:]]
        lines += ["", "| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
        for name, cells, failure in rows(results, case):
            shown = f"**{name}**" if case["contestants"][name]["kind"] == "bine" else name
            lines.append("| " + " | ".join([shown, *(["failed"] + [""] * (len(cells) - 1) if failure else cells)]) + " |")
        pairs = list(against_peers(results, case))
        if pairs:
            units = [metric["unit"] for name in results["ratios"] for metric in results["metrics"] if metric["name"] == name]
            head = ["Bine ÷ a peer, " + case["name"], *units]
            lines += ["", "| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
            lines += ["| " + " | ".join([name, *cells]) + " |" for name, cells in pairs]
    return "\n".join(lines) + "\n"
