"""The citation and methods paragraph of a snapshot, generated from what is in it."""

import platform
from importlib.metadata import version

import duckdb

CITATION = (
    "Kiefer et al. Age- and BMI-Dependent Psoas and Gluteus Muscle Mass in 27,805 Participants of the Population-Based"
    " German National Cohort (NAKO). Diagnostics 2026. doi:10.3390/diagnostics16020205"
)
LIBRARIES = ("duckdb", "numpy", "pandas", "scipy", "statsmodels", "nnunetv2", "torch")
STATISTICS = (
    "Cross-sectional statistics use each participant's earliest analysed visit; they are unweighted. Intervals are 95 %:"
    " t intervals of means, binomial order statistics of percentiles (type 7), Fisher's transform of Pearson's r,"
    " HC3 standard errors in ordinary least squares. p values are also given adjusted by Holm's method over their table."
    " Norms are Box-Cox-Cole-Green (LMS) models by penalised likelihood, one for each sex."
)


def list_software() -> str:
    """Versions of Myonorm, Python and the libraries that compute."""
    names = ["myonorm", *LIBRARIES]
    return ", ".join([f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in names)])


def write_methods(connection: duckdb.DuckDBPyConnection) -> str:
    """Markdown from a published file: releases, model, versions, exclusions, reference population, how to cite."""
    stamp, code, software, least = connection.execute(
        "SELECT snapshot, code_version, software, least_persons FROM meta.release_log ORDER BY snapshot DESC LIMIT 1"
    ).fetchone() or ("not yet published", "unknown", "unknown", None)
    releases = connection.execute(
        "SELECT release, left(fingerprint, 12) FROM meta.release_log WHERE snapshot = ? ORDER BY release", [stamp]
    ).fetchall()
    pinned = connection.execute("SELECT study, source, model_version, is_synthetic FROM ref.analysis_set").fetchone()
    if not pinned:
        return "# Methods\n\nThis snapshot holds no analysis set yet: no release has brought measurements.\n"
    study, source, model, is_synthetic = pinned
    listed = ", ".join(f"{name} (fingerprint {fingerprint})" for name, fingerprint in releases)
    paragraphs = [
        "# Methods and citation",
        "**Synthetic data: nobody in it is a real person.**" if is_synthetic else "",
        f"Snapshot {stamp} of the releases {listed}; code version {code}; {software}.",
        _describe_measurement(source, model),
        _describe_flow(connection, study, source, model),
        STATISTICS,
        _describe_population(study, is_synthetic),
        f"Counts under {least} persons are suppressed, as are cells that would give them back." if least else "",
        f"Please cite the study whose method this is, and this snapshot: {CITATION}. Myonorm, snapshot {stamp}, code version {code}.",
    ]
    return "\n\n".join(filter(None, paragraphs)) + "\n"


def _describe_measurement(source: str, model: str) -> str:
    if source == "imported":
        return "The muscle measures were computed elsewhere and imported through measurements.csv."
    return (
        f"Psoas and gluteus were segmented on Dixon MRI (in-phase, opposed-phase, fat, water) with nnU-Net, model {model}."
        " CSA is the largest axial cross-sectional area of each side, the total the sum of both sides' maxima;"
        " gluteus volume is that of maximus, medius, minimus and piriformis."
    )


def _describe_flow(connection: duckdb.DuckDBPyConnection, study: str, source: str, model: str) -> str:
    rows = connection.execute(
        "SELECT step, reason, n FROM stats.participant_flow WHERE (study, source, model_version) = (?, ?, ?)"
        " ORDER BY position, reason NULLS LAST",
        [study, source, model],
    ).fetchall()

    def text(n: int | None) -> str:
        return "a suppressed number" if n is None else f"{n:,}"

    left = {step: n for step, reason, n in rows if reason is None}
    excluded = [f"{text(n)} {reason.replace('_', ' ')}" for _, reason, n in rows if reason is not None]
    return (
        f"Of {text(left.get('known'))} participants known, {text(left.get('analysed'))} were analysed,"
        f" {text(left.get('with BMI'))} of them with BMI. Exclusions: {'; '.join(excluded) or 'none'}."
    )


def _describe_population(study: str, is_synthetic: bool) -> str:
    if is_synthetic:
        return "Reference population: none; the values were drawn to match the study's published means and SDs."
    return (
        f"Reference population: participants of {study} as delivered, not selected for health. For NAKO: general population"
        " of Germany, under 5 % non-Caucasian; use elsewhere with caution. Not for diagnosis or treatment."
    )
