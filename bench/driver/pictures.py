"""Pictures of results: a bar for each contestant, as an SVG that needs nothing else."""
from xml.sax.saxutils import escape

from .rounds import ratio

COLOURS = {"limit": "#8a8f98", "bine": "#2a6fdb", "peer": "#d9a441"}
WIDTH, NAMES, VALUES, BAR, GAP = 760, 230, 60, 18, 6
FONT = "font-family=\"system-ui, 'DejaVu Sans', sans-serif\""


def draw(results):
    """The ratio of the metric that the work names, to the reference. Bars beyond three times Bine's longest are broken off, and say so."""
    metric = next(metric for metric in results["metrics"] if metric["name"] == results["picture"])
    values = {}
    for case in results["cases"]:
        reference = case["contestants"][results["reference"]]
        values[case["name"]] = [(name, result["kind"], ratio(result, reference, metric["name"])) for name, result in case["contestants"].items()
                                if "failed" not in result]
    bine = [value for rows in values.values() for _, kind, value in rows if kind != "peer" and value]
    longest = min(max(value for rows in values.values() for _, _, value in rows if value), 3 * max(bine))
    room = WIDTH - NAMES - VALUES
    parts, y = [], 0

    def say(x, text, size, anchor="start", weight="normal", colour="#1c1e21"):
        parts.append(f'<text x="{x}" y="{y}" {FONT} font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>')

    y = 28
    say(16, results["title"], 17, weight="600")
    y += 20
    better = "more" if metric["name"] == "rate" else "less"
    say(16, f"{metric['unit']} ÷ {results['reference']}: {better} is better", 12, colour="#5f6570")
    for name, rows in values.items():
        y += 34
        say(16, name, 13, weight="600")
        y += 8
        for contestant, kind, value in rows:
            if value is None:
                continue
            y += BAR - 5
            say(NAMES - 10, contestant, 12, anchor="end")
            top = y - BAR + 5
            length = max(1, room * min(value, longest) / longest)
            parts.append(f'<rect x="{NAMES}" y="{top}" width="{length:.1f}" height="{BAR - 2}" rx="2" fill="{COLOURS[kind]}"/>')
            if value > longest:
                at = NAMES + length - 26
                parts.append(f'<path d="M{at:.0f} {top - 2} l6 {BAR + 2} h6 l-6 -{BAR + 2} z" fill="#ffffff"/>')
            say(NAMES + length + 6, f"{value:.2f}" if value < 10 else f"{value:.0f}", 12)
            y += GAP + 5
    height = y + 14
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" role="img" '
            f'aria-label="{escape(results["title"])}">\n<rect width="{WIDTH}" height="{height}" rx="6" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n")
