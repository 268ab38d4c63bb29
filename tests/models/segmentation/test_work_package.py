"""The sample is reproducible, proportional, and fair; the guide's files say what the checks of annotations expect."""

import numpy as np
import pandas as pd

from models.segmentation.anatomy import LABELS
from models.segmentation.work_package import draw_sample, write_guide, write_template
from models.statistics.participants import read_annotations

POPULATION = pd.DataFrame(
    {
        "study": "s",
        "participant_id": [f"{i:06d}" for i in range(100)],
        "visit": "30",
        "sex": ["F"] * 60 + ["M"] * 30 + [None] * 10,
    }
)


def test_same_seed_same_sample_another_seed_another():
    first, _ = draw_sample(POPULATION, 10, 1)
    assert first.equals(draw_sample(POPULATION, 10, 1)[0]) and len(set(first["participant_id"])) == 10
    assert not first.equals(draw_sample(POPULATION, 10, 2)[0])


def test_strata_are_drawn_in_proportion_and_recorded():
    sample, strata = draw_sample(POPULATION, 10, 1, ["sex"])
    assert sample["sex"].value_counts(dropna=False).to_list() == [6, 3, 1]
    assert strata == [
        {"sex": "F", "population": 60, "sample": 6},
        {"sex": "M", "population": 30, "sample": 3},
        {"sex": None, "population": 10, "sample": 1},
    ]
    assert sum(row["sample"] for row in draw_sample(POPULATION, 7, 1, ["sex"])[1]) == 7


def test_every_case_has_the_same_chance():
    counts = np.zeros(100)
    for seed in range(1000):
        counts[draw_sample(POPULATION, 10, seed)[0].index] += 1
    assert abs(counts - 100).max() < 5 * np.sqrt(1000 * 0.1 * 0.9)


def test_template_is_what_the_door_reads_and_colours_name_the_labels(tmp_path):
    write_template(tmp_path / "annotations.csv", POPULATION.head(2))
    filled = (tmp_path / "annotations.csv").read_text().replace(",,1,,,", ",R1,1,test,true,2026-01-31")
    (tmp_path / "annotations.csv").write_text(filled)
    table = read_annotations(tmp_path / "annotations.csv")
    assert table.issues.empty and table.rows["participant_id"].to_list() == ["000000", "000001"]
    assert table.rows["annotated_on"].dt.strftime("%Y-%m-%d").to_list() == ["2026-01-31"] * 2
    write_guide(tmp_path, "s", 2)
    rows = [line.split() for line in (tmp_path / "myonorm.ctbl").read_text().splitlines()[2:]]
    assert {(row[1], int(row[0])) for row in rows} == {(f"{c}_{s}", value) for (c, s), value in LABELS.items()}
