"""Simulated clips, report sentences and the demo recording."""

from pathlib import Path

import numpy as np
import pytest

from tests.echo_factory import sample_echo
from training.simulation import (
    EchoMeasures,
    cavity,
    concatenate,
    ecg_sentence,
    findings_of_patients,
    prompts,
    render_clips,
    report_sentences,
    sample_patients,
    write_demo_recording,
)
from training.simulation.demo import DEMOS, Demo
from training.simulation.echo import END_SYSTOLE_PHASE


@pytest.fixture(scope="module")
def echo() -> EchoMeasures:
    return sample_echo(400, 2)


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    rank_a, rank_b = (np.argsort(np.argsort(x)) for x in (a, b))
    return float(np.corrcoef(rank_a, rank_b)[0, 1])


def test_take_and_concatenate_are_inverse(echo: EchoMeasures) -> None:
    joined = concatenate([echo.take(slice(0, 10)), echo.take(np.arange(10, len(echo)))])
    np.testing.assert_array_equal(joined.lvesv_ml, echo.lvesv_ml)


def test_cavity_holds_the_volumes(echo: EchoMeasures) -> None:
    form = cavity(echo, np.array([0.0, END_SYSTOLE_PHASE]))
    np.testing.assert_allclose(form.volume_ml[:, 0], echo.lvedv_ml, rtol=1e-3)
    np.testing.assert_allclose(form.volume_ml[:, 1], echo.lvesv_ml, rtol=1e-3)
    assert spearman(form.area_cm2[:, 0], echo.lvedv_ml) > 0.95
    assert spearman(form.area_cm2[:, 1], echo.lvesv_ml) > 0.95
    shrink = 1 - form.area_cm2[:, 1] / form.area_cm2[:, 0]
    assert spearman(shrink, echo.lvef_pct) > 0.95


def test_cavity_is_smallest_at_end_systole(echo: EchoMeasures) -> None:
    phase = np.linspace(0, 1, 33)
    volume = cavity(echo, phase).volume_ml
    assert np.all(phase[volume.argmin(axis=1)] == END_SYSTOLE_PHASE)
    np.testing.assert_allclose(volume[:, 0], volume[:, -1], rtol=0.02)


def pixels_per_cm(clip: np.ndarray) -> float:
    """Read the depth scale as a viewer would: rows of the ticks at the right edge."""
    rows = np.flatnonzero(clip[0, :, -1] == 230)
    return float(np.diff(rows).mean())


def on_centimetre_grid(clip: np.ndarray) -> np.ndarray:
    """End-diastolic and end-systolic frame on a grid of 0.5 cm, by the depth scale."""
    scale = pixels_per_cm(clip)
    size = clip.shape[1]
    depth, across = np.mgrid[1:13:0.5, -4:5:0.5]
    rows = np.clip(np.rint(2 + depth * scale), 1, size - 2).astype(int)
    columns = np.clip(np.rint((size - 1) / 2 + across * scale), 1, size - 2).astype(int)
    around = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    frames = clip[[0, 3]].astype(float)
    means = np.mean([frames[:, rows + i, columns + j] for i, j in around], axis=0)
    return (means / means.mean()).ravel()


def test_volumes_and_fraction_can_be_read_from_the_picture() -> None:
    # A linear reader that knows nothing but pixels and the depth scale.
    echo = sample_echo(900, 8)
    clips = render_clips(echo, np.random.default_rng(1))
    pixels = np.stack([on_centimetre_grid(clip) for clip in clips])
    pixels -= pixels[:700].mean(axis=0)
    gram = pixels[:700] @ pixels[:700].T + 40 * np.eye(700)
    for key, least in (("lvedv_ml", 0.85), ("lvesv_ml", 0.85), ("lvef_pct", 0.8)):
        values = getattr(echo, key).astype(float)
        mean = values[:700].mean()
        weights = pixels[:700].T @ np.linalg.solve(gram, values[:700] - mean)
        assert np.corrcoef(pixels[700:] @ weights, values[700:])[0, 1] > least, key


def test_clips_have_shape_type_and_seed(echo: EchoMeasures) -> None:
    few = echo.take(slice(0, 3))
    clips = render_clips(few, np.random.default_rng(5), n_frames=4, size=64)
    assert clips.shape == (3, 4, 64, 64)
    assert clips.dtype == np.uint8
    again = render_clips(few, np.random.default_rng(5), n_frames=4, size=64)
    assert clips.tobytes() == again.tobytes()
    assert clips.tobytes() != render_clips(few, np.random.default_rng(6), 4, 64).tobytes()


def test_reports_state_the_rounded_values(echo: EchoMeasures) -> None:
    few = echo.take(slice(0, 60))
    reports = report_sentences(few, np.random.default_rng(0))
    assert reports == report_sentences(few, np.random.default_rng(0))
    whole = 0
    for i, sentences in enumerate(reports):
        text = " ".join(sentences)
        stated = 0
        for key in ("lvef_pct", "lvedv_ml", "lvesv_ml"):
            value = float(getattr(few, key)[i])
            exact, five = round(value), 5 * round(value / 5)
            assert f" {exact} " in text or f" {five} " in text
            stated += f" {exact} " in text
        whole += stated == 3
    assert 0.5 < whole / len(reports) < 0.9


def test_grades_follow_the_values(echo: EchoMeasures) -> None:
    reports = report_sentences(echo, np.random.default_rng(0))
    severe = np.array([any("severely reduced" in s for s in r) for r in reports])
    normal = np.array([any("ventricle is normal" in s for s in r) for r in reports])
    assert severe.any()
    assert normal.any()
    assert echo.lvef_pct[severe].max() < 30
    assert echo.lvef_pct[normal].min() >= 52


def test_prompts_use_the_sentences_of_the_reports(echo: EchoMeasures) -> None:
    sweep = prompts("lvesv_ml", [40, 120.4])
    assert len(sweep) == 2
    assert all(" 40 ml" in text for text in sweep[0])
    assert all(" 120 ml" in text for text in sweep[1])
    said = {s for report in report_sentences(echo, np.random.default_rng(0)) for s in report}
    values = range(10, 300)
    known = {text for texts in prompts("lvesv_ml", values) for text in texts}
    assert len(said & known) > 20
    with pytest.raises(KeyError):
        prompts("unknown", [1])


def test_ecg_sentences_name_the_findings() -> None:
    findings = findings_of_patients(sample_patients(2000, np.random.default_rng(2)))
    texts = np.array(ecg_sentence(findings))
    for flag, phrase in (
        (findings.lbbb, "left bundle branch block"),
        (findings.mi_inferior, "inferior myocardial infarction"),
        (findings.normal, "normal ECG"),
    ):
        assert np.array_equal(flag, [phrase in text for text in texts])


def test_demo_recording_is_valid_wfdb_and_says_that_it_is_simulated(tmp_path: Path) -> None:
    import wfdb

    header = write_demo_recording(tmp_path / "demo")
    record = wfdb.rdrecord(str(header.with_suffix("")), physical=False)
    assert isinstance(record, wfdb.Record)
    assert record.d_signal is not None
    assert record.comments is not None
    assert record.checksum == record.calc_checksum()
    assert record.init_value == record.d_signal[0].tolist()
    assert (record.fs, record.sig_len, record.n_sig) == (500, 5000, 12)
    assert record.comments[0].startswith("Simulated ECG")
    assert sum(f.stat().st_size for f in header.parent.iterdir()) < 200_000
    # Lead III = II - I to the count; V3 is noisier than its neighbours.
    counts = record.d_signal.T.astype(int)
    np.testing.assert_array_equal(counts[2], counts[1] - counts[0])
    roughness = np.abs(np.diff(counts[6:], n=2, axis=1)).mean(axis=1)
    assert roughness[2] > 3 * max(roughness[1], roughness[3])


@pytest.mark.parametrize("demo", DEMOS, ids=lambda demo: demo.name)
def test_shipped_demo_recordings_are_those_the_program_writes(tmp_path: Path, demo: Demo) -> None:
    header = write_demo_recording(tmp_path, demo)
    shipped = Path(__file__).parents[2] / "assets" / "demo"
    written, kept = (
        np.fromfile(folder / f"{header.stem}.dat", "<i2").astype(int)
        for folder in (tmp_path, shipped)
    )
    # Other processors may round the last microvolt differently.
    np.testing.assert_allclose(written, kept, atol=2)
