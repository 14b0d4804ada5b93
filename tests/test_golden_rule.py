"""The rules that fill weights and inputs, against their recorded values (golden/rule)."""

import numpy as np

from tests.golden_rule import draw, draw_ints, draw_uniform, fill, load_case


def test_fill():
    case = load_case("rule/fill")
    shapes = case.settings["shapes"]
    assert len(shapes) == 12
    for name, shape in shapes.items():
        np.testing.assert_allclose(fill(name, tuple(shape)), case.array(f"out/{name}"), rtol=1e-6, err_msg=name)


def test_input_streams():
    case = load_case("rule/fill")
    assert (draw("demo", (3, 4)) == case.array("in/draw_demo")).all()
    assert (draw("demo", (3, 4), step=1 / 64, std=0.25) == case.array("in/draw_demo_quarter")).all()
    assert (draw_uniform("demo", (5,)) == case.array("in/uniform_demo")).all()
    assert (draw_ints("demo", (8,), 6, 200) == case.array("in/ints_demo")).all()
