"""`compare_models`: whether a new model replaces the deployed one."""

from container_component_src.cli.declared import step_command
from container_component_src.steps.drift import DriftLimits
from container_component_src.steps.promotion import DEPLOYED, NONE, CompareModels, PromotionLimits
from container_component_src.steps.shared import PodSettings


@step_command(CompareModels)
def compare_models(arguments: CompareModels, executor_input: str) -> None:
    """Score the deployed model and a new one on the same test rows, and say whether the new one replaces it."""
    from container_component_src import outputs
    from container_component_src.backends.base import get_backend
    from container_component_src.evaluation.gate import open_gate
    from container_component_src.promotion import comparison
    from container_component_src.promotion.champion_drift import DriftCheck

    champion = {DEPLOYED: "", NONE: ""}.get(arguments.champion, arguments.champion)
    if arguments.champion == DEPLOYED:
        pods = PodSettings(namespace=arguments.namespace)
        champion = get_backend(arguments.backend, pods, arguments.deployments).deployed(arguments.service_name).present
    result = comparison.compare_models(
        arguments.bundle_path,
        champion,
        arguments.test_df_path,
        arguments.part(PromotionLimits),
        DriftCheck(arguments.df_path, arguments.drift_days, arguments.part(DriftLimits)),
        arguments.comparison_days,
        open_gate(arguments.gate_path) if arguments.gate_path else None,
    )
    result.write(arguments.comparison_path)
    outputs.publish(
        executor_input,
        parameters={"promoted": result.promoted, "promotion_reason": result.reason},
        artifacts={"comparison": result.metadata()},
    )
