import numpy as np
import pytest
import torch

from model_core.export import PackageModel, export_onnx, run_onnx
from model_core.nn import ZeroShotHeads
from model_core.nn.published import EcgGeometry, HeadGeometry, PublishedEcgEncoder, PublishedStudent
from model_core.nn.zero_shot_heads import PairPrompts, PromptGaussians, SweepPrompts
from model_core.zero_shot import nearest_value, pair_difference, sampled_distance

DIM = 16


def prompts(n: int, seed: int, spread: float = 1.0) -> PromptGaussians:
    """Unit means around one direction, `spread` wide."""
    generator = torch.Generator().manual_seed(seed)
    centre = torch.randn(DIM, generator=generator)
    mean = centre + spread * torch.randn(n, DIM, generator=generator)
    mean = torch.nn.functional.normalize(mean, dim=1)
    return PromptGaussians(mean, -3 + spread * torch.randn(n, DIM, generator=generator))


def embeddings(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    mean = torch.nn.functional.normalize(torch.randn(n, DIM, generator=generator), dim=1)
    return mean, torch.randn(n, DIM, generator=generator)


def distance(mean: torch.Tensor, log_var: torch.Tensor, to: PromptGaussians) -> np.ndarray:
    """In float64, by the definition."""
    arrays = [values.double().numpy() for values in (mean, log_var, *to)]
    return sampled_distance(*arrays)


@pytest.mark.parametrize("spread", [1.0, 1e-3])
def test_equals_the_definition_even_for_sentences_that_hardly_differ(spread: float):
    values = torch.arange(5.0, 86.0)
    sweeps = [
        SweepPrompts(prompts(81, 1, spread), values),
        SweepPrompts(prompts(40, 2, spread), torch.arange(40.0).flip(0)),
    ]
    pairs = [PairPrompts(prompts(2, 3, spread), prompts(3, 4, spread))]
    heads = ZeroShotHeads(sweeps, pairs)
    mean, log_var = embeddings(300, 5)
    found = heads(mean, log_var)
    clear = heads.margin(mean).numpy() > 1e-4
    assert clear.mean() > 0.9
    for column, sweep in enumerate(sweeps):
        expected = nearest_value(distance(mean, log_var, sweep.prompts), sweep.values_p.numpy())
        assert len(np.unique(expected)) > 5
        for quantile in range(3):
            values_found = found.quantiles_bm3[:, column, quantile].numpy()
            np.testing.assert_array_equal(values_found[clear], expected[clear])
    expected = pair_difference(
        distance(mean, log_var, pairs[0].positive), distance(mean, log_var, pairs[0].negative)
    )
    np.testing.assert_allclose(found.finding_logits_bf[:, 0], expected, rtol=0, atol=2e-6)


def test_margin_is_small_where_two_prompts_tie_at_the_edge_of_the_nearest_fifth():
    mean = torch.eye(DIM)[:10]  # prompts 2 to 9 are equally far from the first axis
    sweep = SweepPrompts(PromptGaussians(mean, torch.full((10, DIM), -5.0)), torch.arange(10.0))
    heads = ZeroShotHeads([sweep], [])
    between = torch.nn.functional.normalize(mean[0] + 0.5 * mean[1], dim=0)
    margins = heads.margin(torch.stack([mean[0], between]))
    assert float(margins[0]) == pytest.approx(0, abs=1e-6)
    assert float(margins[1]) > 0.5


def test_too_few_prompts_are_refused():
    with pytest.raises(ValueError, match="five prompts"):
        ZeroShotHeads([SweepPrompts(prompts(4, 6), torch.arange(4.0))], [])


def test_onnx_equals_torch():
    torch.manual_seed(7)
    encoder = PublishedEcgEncoder(
        EcgGeometry(12, 4, (6, 8, 10, 12), (1, 1, 1, 1), HeadGeometry(12, DIM, 8, 8))
    )
    heads = ZeroShotHeads(
        [SweepPrompts(prompts(162, 8, 0.1), torch.arange(5.0, 86.0).repeat(2))],
        [PairPrompts(prompts(2, 9), prompts(2, 10))],
    )
    model = PackageModel(PublishedStudent(encoder), heads).eval()
    graph = export_onnx(model, torch.randn(2, 12, 1000))
    ecg = torch.randn(20, 12, 1000)
    with torch.no_grad():
        expected = model(ecg)
        clear = heads.margin(expected[0]).numpy() > 1e-4
    found = run_onnx(graph, ecg.numpy())
    assert clear.sum() > 10
    np.testing.assert_array_equal(found["quantiles"][clear], expected[3].numpy()[clear])
    np.testing.assert_allclose(found["finding_logits"], expected[4], rtol=0, atol=1e-5)
