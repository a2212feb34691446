import pytest
import torch
from torch import Tensor

from container_component_src.model.recorded_steps import WARM_UP_STEPS, RecordedSteps


@pytest.mark.gpu
def test_recorded_steps_compute_what_the_step_does() -> None:
    """A step with a state, random numbers and batches of two sizes; the recording itself takes no step."""
    results = []
    for recorded in (True, False):
        noise = torch.Generator("cuda").manual_seed(1)
        state, calls = torch.zeros((), device="cuda"), []

        def step(batch: Tensor) -> Tensor:
            calls.append(len(batch))  # noqa: B023 - not called later
            random = torch.rand(batch.shape, generator=noise, device="cuda")  # noqa: B023
            state.add_(batch.sum())  # noqa: B023
            return (random * batch).sum() + state  # noqa: B023

        run = RecordedSteps(step, noise) if recorded else step
        batches = [torch.full((rows, 2), float(number), device="cuda") for number, rows in enumerate([3, 3, 4] * 5)]
        results.append([float(result) for result in [run(batch) for batch in batches]])
        assert len(calls) == (2 * (WARM_UP_STEPS + 1) if recorded else len(batches))
    assert results[0] == pytest.approx(results[1], rel=1e-6)
