"""The montage of a release's worst cases: which they are, and that each can be seen."""

import base64
import io

from PIL import Image

from dagster_project.defs.quality import N_WORST, TILE_PX, draw_montage, list_worst

ROWS = """
INSERT INTO imaging.quality BY NAME
SELECT 'S' AS study, i::VARCHAR AS participant_id, '30' AS visit, 'v1' AS model_version, 'c' || k AS check_name, 'm' AS mask_sha256,
    if(i < 2, 'r1', if(i < 9, 'r2', 'r3')) AS release, CASE WHEN k <= i % 4 THEN 'fail' WHEN k <= i THEN 'warn' ELSE 'pass' END AS verdict
FROM range(10) AS c (i), range(1, 6) AS q (k);
"""


def test_most_failures_come_first_and_only_of_the_release(connection, tmp_path):
    connection.execute(ROWS)
    for i in range(10):
        folder = tmp_path / "derivatives" / "S" / str(i) / "30"
        folder.mkdir(parents=True)
        (folder / "v1_overlay.webp").write_bytes(b"")
    worst = [path.parent.parent.name for path in list_worst(connection, tmp_path, "r2")]
    assert worst == ["7", "3", "6", "2", "5", "8"] and len(worst) == N_WORST


def test_every_figure_is_in_the_montage_at_its_own_aspect_ratio(tmp_path):
    colours = {"red": (1400, 1700), "lime": (1400, 1500)}
    for name, size in colours.items():
        Image.new("RGB", size, name).save(tmp_path / f"{name}.webp")
    picture = draw_montage([tmp_path / f"{name}.webp" for name in colours])
    data = base64.b64decode(picture.removeprefix("![worst cases](data:image/webp;base64,").removesuffix(")"))
    with Image.open(io.BytesIO(data)) as montage:
        heights = [round(height * TILE_PX / 1400) for _, height in colours.values()]
        assert montage.size == (TILE_PX, sum(heights))
        assert montage.getpixel((9, 9))[0] > 200 < montage.getpixel((9, heights[0] + 9))[1]
