"""What is wrong with a release is said; the rest of it goes on."""

import pandas as pd

from tests.pipeline.installation import Installation, last_line


def test_unusable_release_exits_1_with_a_sentence(installation: Installation):
    for name in ("no-such-release", "../outside", "two words"):
        process = installation.update(name)
        assert process.returncode == 1 and "name a folder under releases/" in process.stderr


def test_bad_rows_and_tables_are_issues_and_the_rest_is_published(installation: Installation):
    """But a withdrawal that cannot be read blocks the publication until it is corrected; one given twice does not."""
    installation.write_table(
        "mixed",
        "participants.csv",
        "participant_id,visit,sex,age_years,height_cm,weight_kg,centre",
        "A1,1,F,40,165,60,x",
        "A2,1,M,50,7777,80,x",
        "../evil,1,M,50,180,80,x",
    )
    installation.write_table(
        "mixed",
        "measurements.csv",
        "participant_id,visit,measure,value,unit",
        "A1,1,csa_psoas_left_cm2,12.0,cm2",
        "A1,1,csa_psoas_right_cm2,11.0,cm2",
        "A2,1,csa_psoas_left_cm2,1800,mm2",
        "A2,1,grip_strength_kg,40,kg",
        "A2,1,volume_gluteus_total_l,3.2,L",
    )
    installation.write_table("mixed", "measures.csv", "name,label", "grip_strength_kg,Grip strength")
    installation.write_table("mixed", "withdrawals.csv", "participant_id", "A9", "A 8")
    folder = installation.releases / "mixed"
    (folder / "imaging" / "surname").mkdir(parents=True)
    (folder / "imaging" / "surname" / "John Doe.zip").write_bytes(b"no zip")
    rows = [("A1", "1", "psoas", "left", k, -3.0 * k, 5.0 + k) for k in range(4)] + [
        ("A1", "1", "heart", "left", 0, 0.0, 5.0)
    ]
    columns = ["participant_id", "visit", "compartment", "side", "slice_index", "z_mm", "csa_cm2"]
    pd.DataFrame(rows, columns=columns).to_parquet(folder / "profiles.parquet")
    assert last_line(installation.update("mixed")) == "blocked: marts.participant_state:withdrawals_readable"
    assert not (installation.home / "snapshots" / "current").exists()
    installation.write_table("mixed", "withdrawals.csv", "participant_id", "A9", "A9")
    assert last_line(installation.update("mixed")).startswith("published ")
    codes = {code for (code,) in installation.query("SELECT DISTINCT code FROM raw.intake_issue")}
    assert codes >= {"missing_code", "invalid_participant_id", "other_unit", "unknown_measure", "unreadable_table"}
    assert codes >= {"invalid_participant_id", "invalid_profile_row"}
    phenotypes = installation.query(
        "SELECT participant_id, csa_psoas_total_cm2, volume_gluteus_total_l FROM marts.muscle_phenotype ORDER BY ALL"
    )
    assert phenotypes == [("A1", 23.0, None), ("A2", None, 3.2)]
    profile = installation.query(
        "SELECT slice_index, position_pct, csa_cm2 FROM imaging.csa_profile ORDER BY slice_index"
    )
    assert profile == [(0, 12.5, 5.0), (1, 37.5, 6.0), (2, 62.5, 7.0), (3, 87.5, 8.0)]


def test_too_few_persons_have_no_norms_and_the_reason(installation: Installation):
    """Runs after the release above."""
    refusals = {refusal for (refusal,) in installation.query("SELECT refusal FROM norms.centile_model")}
    assert refusals == {"Norms need at least 50 persons with complete data."}
    assert installation.query("SELECT count(*) FROM norms.centile") == [(0,)]


def test_no_identifying_text_is_kept(installation: Installation):
    """Runs after the release above: its folder and file names are in no table and no log of the run."""
    for (path,) in installation.query("SELECT path FROM raw.intake_issue"):
        assert "surname" not in path and "Doe" not in path
    for file in [
        *installation.home.glob("warehouse.duckdb"),
        *(installation.home / "snapshots").rglob("*.*"),
        *(installation.home / "dagster").rglob("*"),
    ]:
        if file.is_file():
            content = file.read_bytes()
            assert b"John Doe" not in content and b"../evil" not in content, file
