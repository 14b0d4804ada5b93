"""What a table and a picture give a notebook."""

import re

import pandas as pd

from lab.show import style
from lab.show.picture import Picture
from lab.show.table import NUMBERS, Column, Table, link

FRAME = pd.DataFrame({"arm": ["with", "without"], "score": [0.712345, 0.7]})


def picture() -> Picture:
    figure, axis = style.canvas()
    axis.plot(FRAME["score"])
    axis.set_title("家常 of 1.23456")
    return Picture(figure, FRAME, "scores", "Two scores", "Both arms")


def test_a_table_gives_html_markdown_and_its_numbers():
    bundle = Table(
        FRAME, (Column("arm", "arm"),), caption=f"See {link('EMA', 'question', 'ema')}", name="arms"
    )._repr_mimebundle_()
    assert '<td class="text">without</td>' in bundle["text/html"]
    assert '<a href="page:question/ema">EMA</a>' in bundle["text/html"]
    assert "| without |" in bundle["text/markdown"]
    assert bundle[NUMBERS] == {"name": "arms", "csv": "arm,score\nwith,0.712345\nwithout,0.7\n"}


def test_a_table_without_a_name_has_no_csv():
    assert NUMBERS not in Table.plain(FRAME)._repr_mimebundle_()


def test_a_table_without_columns_is_its_caption_and_its_csv():
    bundle = Table(FRAME, (), "All runs", name="runs")._repr_mimebundle_()
    assert bundle["text/html"] == '<figure class="table facts"><figcaption>All runs</figcaption></figure>'
    assert bundle["text/markdown"].strip() == "All runs" and bundle[NUMBERS]["csv"].count("\n") == 3


def test_a_picture_gives_its_image_and_every_number():
    bundle = picture()._repr_mimebundle_()
    about = {"name": "scores", "alt": "Two scores", "caption": "Both arms", "photo": False}
    assert bundle[NUMBERS] == about | {"csv": "arm,score\nwith,0.712345\nwithout,0.7\n"}
    assert bundle["image/svg+xml"].startswith("<svg") and bundle["text/plain"] == "Two scores"


def test_equal_figures_give_equal_text():
    first, second = (picture()._repr_mimebundle_()["image/svg+xml"] for _ in range(2))
    assert first == second


def test_letters_stay_letters_and_coordinates_are_short():
    text = picture()._repr_mimebundle_()["image/svg+xml"]
    assert "家常 of 1.23456" in text and "'Noto Sans SC', sans-serif" in text
    assert not re.search(r'="[^"]*\d\.\d{3}', text)
