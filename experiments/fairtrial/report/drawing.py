"""Plots as SVG that belongs in a page: its text is text, and its colours are the page's own.

matplotlib knows only fixed colours. Each role of ours is drawn in a colour that nothing else has, which
becomes a CSS variable on the way out, so that one plot serves the light page, the dark one and paper.
"""

from __future__ import annotations

import io
import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID = "#010101", "#010102", "#010103"
GOOD, BAD, MARGIN = "#010104", "#010105", "#010106"
BASELINE = "#010110"
CANDIDATES = ("#010111", "#010112", "#010113", "#010114")

_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--grid",
    GOOD: "--good",
    BAD: "--bad",
    MARGIN: "--margin",
    BASELINE: "--baseline",
    **{colour: f"--candidate-{number}" for number, colour in enumerate(CANDIDATES, start=1)},
}

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "fairtrial",
    "text.parse_math": False,
    "axes.formatter.use_mathtext": False,
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
}


def arm_colour(arms: list[str], arm: str) -> str:
    """The colour of an arm; `arms` lists the baseline first."""
    position = arms.index(arm)
    return BASELINE if position == 0 else CANDIDATES[(position - 1) % len(CANDIDATES)]


class Plot:
    """One figure being drawn; `svg` is filled when the `with` block that made it ends."""

    def __init__(self, figure: Figure, axes: list[Axes]) -> None:
        self.figure = figure
        self.axes = axes
        self.svg = Markup("")


@contextmanager
def plot(
    name: str,
    description: str,
    *,
    width: float,
    height: float,
    left: float = 0.0,
    bottom: float = 38.0,
    top: float = 8.0,
    ratios: tuple[float, ...] = (1,),
) -> Generator[Plot]:
    """Draw a figure of panels one above the other, sharing x, `width` by `height` in CSS pixels.

    `left`, `bottom` and `top` are what the labels need: fixed, so that neighbouring plots line up.

    `name` is unique in the page; `description` is what a screen reader says.
    No text of a user's may be drawn: matplotlib measures it in a font that may lack its letters.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style: Any = _STYLE
    with rc_context(style):
        figure = Figure(figsize=(width / 96, height / 96), dpi=96)
        FigureCanvasSVG(figure)
        figure.patch.set_visible(False)
        grid: Any = figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios, squeeze=False)
        figure.subplots_adjust(
            left=(left + 4) / width,
            right=1 - 10 / width,
            bottom=bottom / height,
            top=1 - top / height,
            hspace=0.16,
        )
        axes: list[Axes] = [row[0] for row in grid]
        for each in axes:
            each.patch.set_visible(False)
        drawn = Plot(figure, axes)
        yield drawn
        buffer = io.StringIO()
        figure.savefig(
            buffer,
            format="svg",
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    drawn.svg = _inline(buffer.getvalue(), name, description)


def _inline(document: str, name: str, description: str) -> Markup:
    """The `<svg>` element of a document, to stand in HTML beside others."""
    root = ElementTree.fromstring(document)
    for parent in list(root.iter()):
        # A <style> would hold for the whole page, and a <title> is a tooltip over everything.
        for child in [c for c in parent if c.tag.endswith(("metadata", "title", "style"))]:
            parent.remove(child)
    text = "".join(ElementTree.tostring(child, encoding="unicode") for child in root)
    # Inside HTML, SVG needs no namespaces.
    text = re.sub(r"(</?)ns\d+:", r"\1", text)
    text = re.sub(r' xmlns:ns\d+="[^"]*"', "", text)
    text = re.sub(r"\bns\d+:href=", "href=", text)
    text = _own_ids(text, name)
    text = re.sub(r"font-family:[^;\"]*;?\s*", "", text)
    text = re.sub(r' transform="rotate\(-?0 [^"]*"', "", text)
    text = re.sub(r"#0101[0-9a-f]{2}", lambda found: f"var({_VARIABLES[found.group()]})", text)
    text = re.sub(r'\b(d|x|y|transform)="[^"]*"', lambda found: _rounded(found.group()), text)
    text = re.sub(r"\s*\n\s*", " ", text)
    box = root.attrib["viewBox"]
    return Markup(f'<svg viewBox="{box}" role="img" aria-label="{escape(description)}">{text}</svg>')


def _own_ids(text: str, name: str) -> str:
    """Keep the ids that something refers to, and make them the page's only ones of that name."""
    used = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", text))
    text = re.sub(
        r' id="([^"]+)"',
        lambda found: f' id="{name}-{found.group(1)}"' if found.group(1) in used else "",
        text,
    )
    return re.sub(r"(url\(#|href=\"#)([^)\"]+)", rf"\g<1>{name}-\g<2>", text)


def _rounded(attribute: str) -> str:
    """Coordinates to a hundredth of a point: half the size, and no difference to see."""
    return re.sub(r"-?\d+\.\d{3,}", lambda found: f"{float(found.group()):.2f}", attribute)
