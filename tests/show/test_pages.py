"""The report of the fake world: every page valid, offline and complete; no number typed by hand."""

import html
import io
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from lab.show import check, ensembles, fonts, pages
from lab.show.html import TEMPLATES, to_html
from lab.show.plan import Plan
from lab.show.site import Site
from lib.runs.folder import MissingRun


@pytest.fixture(scope="module")
def report(world) -> Path:
    for name in world.ensembles:
        ensembles.write(ensembles.combine(world, name), ensembles.folder(world, name))
    return pages.render("laptop", systems=",".join(world.systems)).parent


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_every_page_is_valid_and_opens_offline(report):
    assert check.problems(report) == []


def test_every_page_has_its_markdown_twin_and_the_expected_pages_exist(report, world):
    names = {path.stem for path in report.glob("*.html")}
    assert names == {path.stem for path in report.glob("*.md")}
    expected = {"index", "checks", "claims", "contradictions", "provenance"}
    expected |= {"corpus_twin_pairs", "corpus_twin_planted", "corpus_twin_classes", "corpus_twin_pixels"}
    expected |= {f"{kind}_{recipe}" for kind in ("recipe", "map", "errors") for recipe in world.systems}
    expected |= {"classes_wechat_baseline"}
    expected |= {f"ablation_{name}" for name, asked in world.ablations.items() if not asked.check}
    expected |= {f"ensemble_{name}" for name in world.ensembles}
    assert names == expected


def test_links_and_pictures_of_the_markdown_twins_exist(report):
    for path in report.glob("*.md"):
        for address in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text_of(path)):
            assert "://" in address or (report / address).exists(), f"{path.name}: {address}"


def test_no_page_names_the_folder_it_was_made_in(report):
    for path in report.rglob("*.*"):
        assert str(report.parents[1]).encode() not in path.read_bytes(), path.name


def test_front_page_shows_score_interval_oracle_and_published(report):
    board = pd.read_csv(report / "tables" / "leaderboard.csv")
    front = text_of(report / "index.html")
    row = board.iloc[0]
    assert f"<strong>{row['score']:.3f}</strong>" in front
    assert f"{row['low']:.3f} to {row['high']:.3f}" in front and f">{row['oracle']:.3f}<" in front
    assert "0.886 / 0.836" in front
    assert front.index("Which trick is worth what") < front.index("95\u00a0% interval") < front.index('id="scores"')


def test_question_page_says_what_its_csv_says(report):
    rows = pd.read_csv(report / "tables" / "ablation_ema.csv")
    told = text_of(report / "ablation_ema.md")
    difference = rows.loc[rows["arm"] == "with", "difference"].iloc[0]
    assert f"+{difference:.4f}" in told and "**helps**" in told
    assert "make ablation NAME=ema SCALE=laptop" in told
    assert "No source gives a number for this." in told and "+0.0026" in text_of(report / "ablation_masked_tokens.md")


def test_pair_scores_stand_beside_those_on_unseen_videos_and_short_names_are_explained(report):
    board = pd.read_csv(report / "tables" / "scores_spearman.csv")
    front = text_of(report / "index.md")
    assert "| unseen videos | leak-free |" in front and f"| {board['unseen'].iloc[0]:.3f} |" in front
    assert "**unseen videos**: score on those validation pairs" in front and "**leak-free**: score on the same" in front
    rows = pd.read_csv(report / "tables" / "ablation_ema.csv")
    question = text_of(report / "ablation_ema.md")
    assert f"| {rows['unseen'].iloc[0]:.4f} |" in question and "**unseen videos**" in question
    classes = text_of(report / "recipe_wechat_baseline.md")
    assert "unseen videos" not in classes and "leak-free" not in classes


def test_ensemble_page_compares_ways_of_joining_and_says_what_may_be_said(report, world):
    told = text_of(report / "ensemble_aiac_rank1_jobs.md")
    kinds = pd.read_csv(report / "tables" / "kinds_aiac_rank1_jobs.csv")
    assert len(kinds) == len(world.ensembles["aiac_rank1_jobs"].also) + 2
    assert all(f"{score:.4f}" in told for score in kinds["score"])
    assert f"**{kinds['verdict'].iloc[0]}**" in told and "On all 80 validation pairs: " in told
    assert "pairs whose videos are in no training pair of any member: " in told
    grown = pd.read_csv(report / "tables" / "growth_aiac_rank1_jobs.csv")
    assert grown["n"].tolist() == [1, 2, 3, 4, 5, 6]
    assert all(
        f"{low:.3f} to {high:.3f}" in told for low, high in zip(grown.growth_low, grown.growth_high, strict=True)
    )
    assert "unseen" not in text_of(report / "ensemble_wechat_baseline_mean.md")


def test_an_ensemble_joined_otherwise_than_its_file_says_is_stale(report, world):
    file = ensembles.folder(world, "aiac_rank17_sum") / "metrics.json"
    before = text_of(file)
    file.write_text(before.replace('"CosineWeights"', '"Concat"'))
    try:
        with pytest.raises(MissingRun, match="joined in other ways than .*make ensemble NAME=aiac_rank17_sum"):
            ensembles.read(world, "aiac_rank17_sum")
    finally:
        file.write_text(before)


def test_one_font_has_the_chinese_characters_of_all_pages(report):
    shown = fonts.needed("".join(html.unescape(text_of(path)) for path in report.rglob("*.html")))
    assert "家" in shown and f"url({fonts.FILE})" in text_of(report / "style.css")
    assert characters_of((report / fonts.FILE).read_bytes()) == set(shown)


def test_rules_and_script_are_written_once(report):
    for path in report.rglob("*.html"):
        page = text_of(path)
        assert "<style" not in page and "@font-face" not in page and "data:font" not in page
        assert f'href="{"../" * (path.parent != report)}style.css"' in page
        assert "addEventListener" not in page
    assert 'src="sort.js"' in text_of(report / "index.html")


def characters_of(font: bytes) -> set[str]:
    from fontTools.ttLib import TTFont

    return set(map(chr, TTFont(io.BytesIO(font)).getBestCmap()))


def test_the_font_has_exactly_the_characters_asked_for():
    font = fonts.woff2("家猫，")
    assert characters_of(font) == set("家猫，") and fonts.woff2("家猫，") == font


def test_a_report_without_chinese_has_no_font(tmp_path):
    site = Site(tmp_path / "out", [("home", "index.html")])
    site.html("index", "<p>x</p>", "home")
    out = site.finish()
    assert not (out / fonts.FILE).exists() and "@font-face" not in text_of(out / "style.css")
    assert check.problems(out) == []


@pytest.mark.parametrize("template", sorted(path.name for path in TEMPLATES.glob("*.md.j2")))
def test_no_template_holds_a_typed_number(template):
    prose = re.sub(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", "", text_of(TEMPLATES / template), flags=re.S)
    assert not re.findall(r"\d", prose)
    calls = "".join(re.findall(r"\{\{.*?\}\}", text_of(TEMPLATES / template), flags=re.S))
    assert not re.findall(r"(?<![\w\"])\d", calls)


def test_missing_run_stops_the_report_and_keeps_the_old_one(report, world, tmp_path):
    job = world.job("wechat_baseline", "finetune", "base", 2)
    moved = shutil.move(job.folder.path, tmp_path / "away")
    before = text_of(report / "index.html")
    try:
        with pytest.raises(MissingRun, match="make run RECIPE=wechat_baseline STAGE=finetune ARM=base SEED=2"):
            pages.render("laptop", systems=",".join(world.systems))
    finally:
        shutil.move(moved, job.folder.path)
    assert text_of(report / "index.html") == before


def test_banner_stands_on_every_page(tmp_path):
    site = Site(tmp_path / "out", [("home", "index.html")], banner="The numbers on this page mean nothing.")
    site.html("index", "<p>x</p>", "home")
    site.html("other", "<p>y</p>", "other")
    site.finish()
    for name in ("index", "other"):
        assert "The numbers on this page mean nothing." in text_of(tmp_path / "out" / f"{name}.html")
    assert not (tmp_path / ".out.partial").exists()


def test_command_names_corpus_and_systems_only_where_they_differ():
    assert pages.command(Plan.load("smoke")) == "make reproduce SCALE=smoke"
    assert pages.command(Plan.load("smoke", systems=["aiac_rank1"])) == "make reproduce SCALE=smoke SYSTEMS=aiac_rank1"
    narrow = Plan.load("smoke", questions=["ema", "fgm"], seeds=2)
    assert pages.command(narrow) == "make reproduce SCALE=smoke QUESTIONS=ema,fgm SEEDS=2"


def test_no_line_ends_before_a_percent_sign_but_code_stays_as_it_is():
    assert to_html("95 % of `3 % 2`") == "<p>95\u00a0% of <code>3 % 2</code></p>\n"


def test_formulas_become_mathml_and_links_point_to_pages():
    assert "<math" in to_html("a $x^2$ b") and "$" not in to_html("a $x^2$ b")
    assert to_html("[a](recipe_b.md#c) [d](https://e.org/f.md)") == (
        '<p><a href="recipe_b.html#c">a</a> <a href="https://e.org/f.md">d</a></p>\n'
    )
