"""The report's page: well-formed, complete, self-contained, and its numbers where they belong."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from scipy import stats

from training.evaluation.arrays import Estimates, Finding, Subjects
from training.evaluation.core import evaluate
from training.evaluation.report_data import Report
from training.report import markdown, svg, write_html
from training.report.text import with_interval


@pytest.fixture(scope="module")
def report() -> Report:
    """Two estimators, one group too small for a verdict, and names that need escaping."""
    rng = np.random.default_rng(0)
    centre = rng.normal(45, 10, 300)
    outcome = centre[:, None] + 6 * rng.normal(size=(300, 2))
    subjects = Subjects(
        patient=np.arange(300),
        outcomes={"lvef": outcome},
        groups={"rhythm": np.where(np.arange(300) < 8, "paced", "sinus")},
        bands={"LVEF band": ("lvef", (40.0,))},
    )

    def estimates(name: str, error: float) -> Estimates:
        value = centre + error * rng.normal(size=300)
        return Estimates(
            name=name,
            values={"lvef": value},
            intervals={"lvef": np.stack([value - 10, value + 10], 1)},
            probabilities={"below": stats.norm.cdf((40 - value) / 6)},
            thresholds={"below": 0.3},
            uncertainty=rng.random(300),
        )

    return evaluate(
        subjects,
        [estimates("Model <new>", 0.0), estimates("R&D", 9.0)],
        findings=[Finding("below", "LVEF < 40 %", "lvef", 40.0)],
        title="A & B",
        dataset="Simulated",
        n_bootstrap=50,
    )


@pytest.fixture(scope="module")
def page(report: Report, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The written page."""
    path: Path = tmp_path_factory.mktemp("report") / "report.html"
    write_html(report, path)
    return path.read_text(encoding="utf-8")


class _Nesting(HTMLParser):
    """Collects text, and fails on tags that do not close one another."""

    VOID = frozenset({"meta", "br", "hr", "img", "link"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - its base class decides
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_tags_close_and_names_are_escaped(page: str) -> None:
    parser = _Nesting()
    parser.feed(page)
    assert parser.open == []
    texts = set(parser.text)
    assert {"A & B", "Model <new>", "R&D", "LVEF < 40 % "} <= texts


def test_nothing_comes_from_elsewhere(page: str) -> None:
    links = set(re.findall(r"https?://[^\"' <]+", page))
    assert links == {"http://www.w3.org/2000/svg"}, "only the name of the SVG format"
    assert not re.search(r"<script|<link|<img|url\(|@import", page)


def test_every_plot_is_sound_xml_with_points_inside_its_frame(page: str) -> None:
    plots = re.findall(r"<svg xmlns.*?</svg>", page, re.S)
    assert len(plots) == 8
    for plot in plots:
        root = ET.fromstring(plot)  # noqa: S314 - made by this test
        width, height = float(root.attrib["width"]), float(root.attrib["height"])
        assert root.attrib["aria-label"]
        for shape in root.iter():
            points = shape.attrib.get("points", "")
            for pair in points.split():
                x, y = map(float, pair.split(","))
                assert 0 <= x <= width
                assert 0 <= y <= height


def test_every_colour_of_the_plots_is_defined(page: str) -> None:
    classes = set(re.findall(r'class="(?:line|bar|band|mark) (c\d)"', page))
    assert {"c0", "c1"} <= classes
    assert all(page.count(f"--{c}:") == 3 for c in classes), "light, dark, print"


def test_every_section_is_linked_to(page: str) -> None:
    anchors = re.findall(r'<section id="([^"]+)">', page)
    assert len(set(anchors)) == len(anchors) == 2
    assert re.findall(r'<a href="#([^"]+)">', page) == anchors


def test_ten_lines_are_told_apart_by_colour_or_dashes() -> None:
    looks = re.findall(
        r'class="line (c\d)" points="[^"]+"([^/]*)', svg.key([(i, "") for i in range(16)])
    )
    assert len(set(looks)) == len(looks) == 16


def test_figures_and_prevalence_are_printed(report: Report, page: str) -> None:
    figure = report.find("R&D", "lvef", "mae")
    assert figure is not None
    value, interval = with_interval(figure).rstrip(")").split(" (", 1)
    assert re.search(f"<td>{value}[^<]*<small>{interval.partition(')')[0]}</small></td>", page)
    assert "prevalence" in page
    assert "<td>rhythm: paced</td><td>8</td><td>too few for a verdict</td>" in page


def test_the_table_in_markdown_holds_the_same(report: Report) -> None:
    text = markdown(report)
    figure = report.find("Model <new>", "below", "auroc")
    row = next(line for line in text.splitlines() if line.startswith("| Model <new> | 0."))
    assert with_interval(figure) in row
    columns = {line.count("|") for line in text.splitlines() if line.startswith("| Model")}
    headers = {line.count("|") for line in text.splitlines() if line.startswith("|  |")}
    assert columns == headers


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (-3.2, 8.9), (0.91, 0.9213), (40, 320), (0, 1e-4)]
)
def test_ticks_are_round_and_within(low: float, high: float) -> None:
    found = svg.ticks(low, high)
    assert 3 <= len(found) <= 7
    assert low - 1e-9 <= found[0] < found[-1] <= high + 1e-9
    steps = np.diff(found)
    assert steps == pytest.approx(steps[0])
    mantissa = steps[0] / 10 ** np.floor(np.log10(steps[0]) + 1e-9)
    assert min(abs(mantissa - m) for m in (1, 2, 5)) < 1e-6
