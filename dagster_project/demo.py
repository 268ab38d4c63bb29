"""`make demo`: write the synthetic cohort, run the main job on it, and print what came out.

Everything here is synthetic and says so. Running it again finds the releases written and published, and only prints.
"""

import sys
from pathlib import Path

import duckdb

from dagster_project.settings import load_settings
from dagster_project.update import RunFailed, update
from models.imaging.demo import (
    DEMO_1_ANNOTATED,
    DEMO_2_WITHDRAWN,
    draw_demo_1,
    draw_demo_2,
    expected_truth,
    write_release,
)
from models.statistics.synthetic import simulate_cohort, simulate_profiles
from models.statistics.synthetic import write_release as write_cohort_release

RELEASES = ("demo-1", "demo-2", "demo-cohort")
COHORT_SEED = 1
PERCENTILES_OF = (
    ("csa_psoas_total_cm2", "F", 54, 27),
    ("csa_psoas_total_cm2", "M", 30, 24),
    ("volume_gluteus_total_l", "M", 65, 31),
)


def write_demo(folder: Path) -> None:
    """Write the three synthetic releases where they are absent."""
    folder.mkdir(parents=True, exist_ok=True)
    writers = {
        "demo-1": lambda path: write_release(path, draw_demo_1(), annotated=DEMO_1_ANNOTATED),
        "demo-2": lambda path: write_release(path, draw_demo_2(), DEMO_2_WITHDRAWN),
        "demo-cohort": _write_demo_cohort,
    }
    for name, write in writers.items():
        if not (folder / name).exists():
            print(f"writing the synthetic release {name} ...", flush=True)
            write(folder / name)


def _write_demo_cohort(path: Path) -> None:
    cohort = simulate_cohort(COHORT_SEED)
    write_cohort_release(path, cohort, simulate_profiles(cohort, COHORT_SEED))


def summarise(snapshot: Path) -> str:
    """The demo's summary from the published files."""
    with (
        duckdb.connect(str(snapshot / "research.duckdb"), read_only=True) as research,
        duckdb.connect(str(snapshot / "normative.duckdb"), read_only=True) as normative,
    ):
        parts = [_list_intake(research), _compare_truth(research), _list_scores(research), _list_agreement(research)]
        parts += [_list_means(normative), _list_percentiles(normative)]
    return "\n\n".join(parts)


def _list_intake(research: duckdb.DuckDBPyConnection) -> str:
    lines = ["Imaging deliveries (synthetic)"]
    for position, step, reason, n in research.execute(
        "SELECT position, step, reason, n FROM stats.participant_flow WHERE source = 'measured'"
        " ORDER BY position, reason NULLS LAST"
    ).fetchall():
        lines.append(f"  {n:6d}  {step}" if reason is None else f"  {-n:6d}    {reason}")
    issues = research.execute(
        "SELECT release, participant_id, code, message FROM raw.intake_issue WHERE path LIKE 'imaging/%' ORDER BY ALL"
    ).fetchall()
    lines += [
        f"  {release} {participant_id or '-'}: {code}. {message}" for release, participant_id, code, message in issues
    ]
    return "\n".join(lines)


def _compare_truth(research: duckdb.DuckDBPyConnection) -> str:
    measures = ("csa_psoas_left_cm2", "csa_psoas_right_cm2", "volume_gluteus_left_l", "volume_gluteus_right_l")
    rows = research.execute(
        f"SELECT participant_id, {', '.join(measures)} FROM marts.muscle_phenotype WHERE source = 'measured' ORDER BY participant_id"
    ).fetchall()
    truth = expected_truth()
    lines = [
        "Measured against the known truth (left, right)",
        "  participant     psoas area, cm2   difference    gluteus volume, L   difference",
    ]
    for participant_id, *values in rows:
        case, true = truth[participant_id]
        cells = [_compare_pair(values[:2], [true[measure] for measure in measures[:2]], 17, 1)]
        cells.append(_compare_pair(values[2:], [true[measure] for measure in measures[2:]], 19, 2))
        remark = "  fat-water swap" if case.acquisition.is_swapped else ""
        lines.append(f"  {participant_id:12s} {'  '.join(cells)}{remark}")
    return "\n".join(lines)


def _compare_pair(values: list[float | None], truth: list[float], width: int, digits: int) -> str:
    texts = ["-" if value is None else f"{value:.{digits}f}" for value in values]
    known = [100 * (value / true - 1) for value, true in zip(values, truth, strict=True) if value is not None]
    worst = max(known, key=abs, default=None)
    return f"{' / '.join(texts):>{width}s}  {'      -' if worst is None else f'{worst:+6.1f} %':>11s}"


def _list_scores(research: duckdb.DuckDBPyConnection) -> str:
    lines = ["Segmentation against annotated masks (synthetic), mean ± SD"]
    lines.append("  label               Dice             surface Dice, 3 mm   HD95, mm")
    for comparison, validation, compartment, side, n, *cells in research.execute(
        """
        PIVOT (
            SELECT comparison, validation, compartment, side, n, metric, format('{:.3f} ± {:.3f}', mean, sd) AS cell
            FROM stats.segmentation_score
            WHERE sex IS NULL AND size_third IS NULL
        )
        ON metric IN ('dice', 'surface_dice_3mm', 'hd95_mm') USING any_value(cell)
        ORDER BY comparison, validation DESC, compartment DESC, side
        """
    ).fetchall():
        who = {"test": "model, held out", "out_of_fold": "model, out of fold"}.get(
            validation, comparison.replace("_", "-")
        )
        row = "    ".join(f"{cell or '-':13s}" for cell in cells)
        lines.append(f"  {compartment:8s}{side:6s}  {row}   {who}, n = {n}")
    return "\n".join(lines)


def _list_agreement(research: duckdb.DuckDBPyConnection) -> str:
    lines = ["Automatic minus manual (synthetic): bias and limits of agreement, each with its 95 % interval"]
    for label, unit, n, *values in research.execute(
        """
        SELECT
            label, unit, n, bias, bias_low, bias_high,
            limit_low, limit_low_low, limit_low_high, limit_high, limit_high_low, limit_high_high
        FROM stats.agreement JOIN ref.measure USING (measure, unit)
        WHERE measure IN ('csa_psoas_total_cm2', 'volume_gluteus_total_l')
        ORDER BY measure
        """
    ).fetchall():
        cells = "   ".join("{:+.2f} ({:+.2f} to {:+.2f})".format(*values[i : i + 3]) for i in (0, 3, 6))
        lines.append(f"  {label:28s} {cells} {unit}, n = {n}")
    return "\n".join(lines)


def _list_means(normative: duckdb.DuckDBPyConnection) -> str:
    lines = ["Full-size synthetic cohort, mean ± SD"]
    for label, unit, sex, n, mean, sd in normative.execute(
        """
        SELECT label, unit, sex, n, mean, sd
        FROM stats.descriptive JOIN ref.measure USING (measure)
        WHERE measure IN ('csa_psoas_total_cm2', 'volume_gluteus_total_l') AND sex IS NOT NULL AND age_band IS NULL AND bmi_band IS NULL
        ORDER BY measure, sex
        """
    ).fetchall():
        lines.append(f"  {label:28s} {'women' if sex == 'F' else 'men':6s} {mean:6.2f} ± {sd:.2f} {unit}  (n = {n:,})")
    return "\n".join(lines)


def _list_percentiles(normative: duckdb.DuckDBPyConnection) -> str:
    lines = ["Normative percentiles (P10, P50, P90)"]
    for measure, sex, age, bmi in PERCENTILES_OF:
        label, unit, *values = normative.execute(
            """
            SELECT any_value(label), any_value(unit), max(value) FILTER (centile = 10), max(value) FILTER (centile = 50), max(value) FILTER (centile = 90)
            FROM norms.centile JOIN ref.measure USING (measure)
            WHERE measure = ? AND sex = ? AND age_years = ? AND bmi_kg_m2 = ?
            """,
            [measure, sex, age, bmi],
        ).fetchone()
        person = f"{'woman' if sex == 'F' else 'man'} of {age}, BMI {bmi}"
        lines.append(f"  {label:28s} {person:22s} {'  '.join(f'{value:5.2f}' for value in values)} {unit}")
    return "\n".join(lines)


def main() -> int:
    """Write, update, summarise."""
    settings = load_settings()
    write_demo(settings.releases)
    try:
        outcome = update(list(RELEASES))
    except RunFailed as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    print(f"\n{summarise((settings.snapshots / 'current').resolve())}\n")
    print("All of this is synthetic: invented data, no real person.")
    print("Look at it: make dashboard (percentiles), make dagster (assets and runs), or any SQL client on")
    print(f"{settings.snapshots / 'current' / 'normative.duckdb'}\n{outcome}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
