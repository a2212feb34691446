"""What Lightning does not need is not imported, and is there for those who ask for it."""

import pytest

from tests.helpers import found_by


@pytest.mark.slow
def test_training_steps_of_one_and_of_several_nodes_import_neither_the_compiler_nor_all_metrics() -> None:
    code = """
import sys
import torch
from container_component_src.model import training
weights = torch.nn.Parameter(torch.ones(1))
optimizer = torch.optim.Adam([weights], lr=0.5)
weights.sum().backward()
optimizer.step()
torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
nodes = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(3, 1))
nodes(torch.ones(2, 3)).sum().backward()
torch.distributed.destroy_process_group()
heavy = ("torch._dynamo.eval_frame", "torch._inductor", "sympy", "torchmetrics.functional")
found = [round(float(weights), 4), [name for name in heavy if name in sys.modules]]
"""
    assert found_by(code) == [0.5, []]


@pytest.mark.slow
@pytest.mark.parametrize(
    "first",
    ["from torch._dynamo.backends.registry import get_default_backend\nimport torchmetrics.classification", ""],
    ids=["parts first", "as a whole"],
)
def test_compiled_models_and_metrics_work(first: str) -> None:
    code = f"""
from container_component_src.model import training
{first}
import torch
import torchmetrics
from lightning.fabric.wrappers import OptimizedModule
from lightning.pytorch.core.module import Metric
layer = torch.nn.Linear(3, 2)
compiled = torch.compile(layer, backend="eager")
metric = torchmetrics.classification.BinaryAccuracy()
found = [
    list(compiled(torch.ones(4, 3)).shape),
    [isinstance(value, OptimizedModule) for value in (compiled, layer)],
    [isinstance(value, Metric) for value in (metric, layer)],
    torch._dynamo.config is __import__("sys").modules["torch._dynamo.config"],
    torch._dynamo.utils.get_optimize_ddp_mode(),
]
"""
    assert found_by(code) == [[4, 2], [True, False], [True, False], True, "ddp_optimizer"]
