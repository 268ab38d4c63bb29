"""Figure 7 in SQL: equal to the definition in Python, also without the cases whose psoas may take in the iliacus."""

import numpy as np
import pandas as pd
import pytest

from models.measurement.morphometry import spatial_distribution
from tests.warehouse.conftest import refill

ROWS = """
INSERT INTO ref.analysis_set VALUES ('S / measured / v1', 'S', 'measured', 'v1', false);
INSERT INTO imaging.csa_profile BY NAME
SELECT 'S' AS study, participant_id, '30' AS visit, 'v1' AS model_version, 'psoas' AS compartment, 'left' AS side, slice_index,
    -3 * slice_index AS z_mm, 0 AS position_pct, csa_cm2, 'r' AS release
FROM profile;
INSERT INTO imaging.muscle BY NAME
SELECT 'S' AS study, participant_id, '30' AS visit, 'v1' AS model_version, compartment, side, volume_ml, max_csa_cm2, 'm' AS mask_sha256, 'r' AS release
FROM (SELECT DISTINCT participant_id FROM profile), (VALUES ('psoas', 'left', 100, 12), ('psoas', 'right', 100, 10),
    ('gluteus', 'left', 900, 50), ('gluteus', 'right', 1100, 50)) AS muscle (compartment, side, volume_ml, max_csa_cm2);
INSERT INTO imaging.quality BY NAME
SELECT 'S' AS study, participant_id, '30' AS visit, 'v1' AS model_version, 'psoas_caudal_rise_pct' AS check_name,
    if(participant_id = 'p1', 'warn', 'pass') AS verdict, 'm' AS mask_sha256, 'r' AS release
FROM (SELECT DISTINCT participant_id FROM profile);
"""
TABLES = ("marts.muscle_phenotype", "stats.profile", "marts.profile_without_junction")


@pytest.fixture
def areas(connection) -> dict[str, np.ndarray]:
    """Areas along the psoas of three persons with 37 to 150 slices; p1 is flagged."""
    rng = np.random.default_rng(2)
    areas = {f"p{i}": rng.random(n).astype(np.float32) for i, n in enumerate((37, 100, 150))}
    profile = pd.concat(
        pd.DataFrame({"participant_id": name, "slice_index": range(len(values)), "csa_cm2": values})
        for name, values in areas.items()
    )
    connection.register("profile", profile)
    connection.execute(ROWS)
    refill(connection, *TABLES)
    return areas


@pytest.mark.parametrize(("table", "left_out"), [("stats.profile", set()), ("marts.profile_without_junction", {"p1"})])
def test_mean_distribution_is_that_of_the_definition(connection, areas, table, left_out):
    shares = np.array([spatial_distribution(values) for name, values in areas.items() if name not in left_out])
    rows = connection.execute(
        f"SELECT n, mean_share_pct, sd_share_pct FROM {table}"
        " WHERE sex IS NULL AND age_band IS NULL AND bmi_group IS NULL ORDER BY bin"
    ).df()
    assert rows["n"].eq(len(shares)).all() and len(rows) == 100
    np.testing.assert_allclose(rows["mean_share_pct"], shares.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(rows["sd_share_pct"], shares.std(axis=0, ddof=1), rtol=1e-6)


def test_asymmetry_is_left_minus_right_of_the_mean(connection, areas):
    rows = connection.execute("SELECT DISTINCT asymmetry_psoas_pct, asymmetry_gluteus_pct FROM marts.muscle_phenotype")
    assert rows.fetchall() == [(pytest.approx(100 * 2 / 11), pytest.approx(-20))]
