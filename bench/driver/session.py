"""One run of the benchmarks: the build, the works, and where their results go."""
import json
import os
import pathlib
import platform
import subprocess
import sys

from . import pictures, tables
from .programs import Place

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def default_build():
    return pathlib.Path(os.environ.get("BINE_BUILD", ROOT / "build")) / "bench"


def prepare(folder):
    """The packages of the peers, and a release build of Bine's libraries and of the benchmarks."""
    subprocess.run([ROOT / "tools" / "setup", "build", "bench"], check=True)
    configure = ["cmake", "--preset", "release", "-B", folder, "-DBINE_BUILD_TESTS=OFF", "-DBINE_BUILD_DEMOS=OFF"]
    for command in (configure, ["cmake", "--build", folder]):
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            sys.exit(done.stdout + "\nthe benchmarks could not be built")


def machine():
    with open("/proc/cpuinfo") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return f"{models[0] if models else platform.machine()}, {os.cpu_count()} processors, Linux {platform.release()}"


def run_work(place, work, rounds, seconds):
    seconds = min(max(seconds, work.seconds[0]), work.seconds[1])
    results = {"work": work.name, "title": work.title, "explanation": work.explanation, "reference": work.reference, "ratios": list(work.ratios),
               "picture": work.picture, "pairs": [[bine.name, peer.name] for bine, peer in work.pairs], "machine": machine(), "rounds": rounds, "seconds": seconds,
               "metrics": [{"name": metric.name, "unit": metric.unit, "digits": metric.digits} for metric in work.metrics], "cases": []}
    for case in work.cases:
        there = [each for each in case.contestants if place.has(each.program)]
        measured = case.measure(place, f"{work.name}, {case.name}", there, rounds, seconds)
        results["cases"].append({"name": case.name, "contestants": measured})
    return results


def keep(results, folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{results['work']}.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    if results["picture"]:
        (folder / f"{results['work']}.svg").write_text(pictures.draw(results))


def publish(folder):
    """The kept results into the documentation: its pictures, and the tables between its marks <!-- NAME --> and <!-- end -->."""
    documentation = ROOT / "docs"
    page = documentation / "performance.md"
    words = page.read_text()
    (documentation / "performance").mkdir(exist_ok=True)
    for file in sorted(folder.glob("*.json")):
        results = json.loads(file.read_text())
        begin, end = f"<!-- {results['work']} -->\n", "<!-- end -->"
        if begin not in words:
            continue
        before, after = words.split(begin, 1)
        shown = tables.markdown(results)
        if results["picture"]:
            (documentation / "performance" / f"{results['work']}.svg").write_text(pictures.draw(results))
            shown = f"![{results['title']}](performance/{results['work']}.svg)\n\n" + shown
        words = before + begin + "\n" + shown + "\n" + end + after.split(end, 1)[1]
    page.write_text(words)
