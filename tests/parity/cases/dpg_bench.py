"""dpg_bench.json."""

import numpy as np
import pytest
from PIL import Image

from blip3o.evals.generation import dpg


def crops(case):
    picture = Image.fromarray(np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3))
    seen = dpg.crop(picture, None if case["crop"] is None else tuple(case["crop"]))
    assert list(seen.size) == case["expected_size"]
    assert np.asarray(seen)[0, 0].tolist() == case["expected_first_pixel"]


def runs(case):
    rules = dpg.PROTOCOLS["official"]
    table = dpg.questions_of(case["questions"], rules)
    found, failed = {}, []
    for item, answers in case["answers"].items():
        given = [{int(number): text for number, text in picture.items()} for picture in answers]
        try:
            found[item] = dpg.answered(table.get(item, {}), given, rules)
        except LookupError:
            failed.append(item)
    expected = case["expected"]
    assert sorted(failed) == sorted(expected["failed"])
    assert found.keys() == expected["per_item"].keys()
    for item, one in expected["per_item"].items():
        assert found[item].pictures == pytest.approx(one["per_image"], abs=1e-6)
        assert len(found[item].pictures) == case["pic_num"]
        assert found[item].average == pytest.approx(one["average"], abs=1e-6)
    report = dpg.reported(list(found.values()))
    assert report.score == pytest.approx(expected["dpg_score"], abs=1e-6, nan_ok=True)
    assert report.broad == pytest.approx(expected["L1"], abs=1e-6)
    assert report.detailed == pytest.approx(expected["L2"], abs=1e-6)


GROUPS = {"crops": crops, "runs": runs}
DEVIATIONS = {}
UNCOMPARED = {}
