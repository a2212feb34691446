from container_component_src.serving.deployment.service import Service, SmokeRequest
from container_component_src.steps.serving import Hosting

REQUEST = SmokeRequest(instances=({"a": 1.0},), scores=(1.0,))


def test_each_role_has_a_command() -> None:
    common = ["--model-dir", "folder", "--model-name", "eclss", "--dead-after", "300.0"]
    service = Service("eclss", "bundle", REQUEST, "digest")
    assert service.predictor_command("folder") == ["serve_predictor", *common]
    assert service.transformer_command("folder") == ["serve_transformer", *common]
    combined = Service("eclss", "bundle", REQUEST, "digest", Hosting(combined=True))
    assert combined.predictor_command("folder") == ["serve_predictor", *common, "--combined"]


def test_servers_get_the_time_after_which_a_channel_is_dead() -> None:
    service = Service("eclss", "bundle", REQUEST, "digest", Hosting(dead_after=60))
    for command in (service.predictor_command("folder"), service.transformer_command("folder")):
        assert command[command.index("--dead-after") + 1] == "60.0"
