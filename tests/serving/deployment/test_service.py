from container_component_src.serving.deployment.service import Service, SmokeRequest
from container_component_src.steps.serving import Hosting

REQUEST = SmokeRequest(instances=({"a": 1.0},), scores=(1.0,))


def test_each_role_has_a_command() -> None:
    common = ["--model-dir", "folder", "--model-name", "eclss", "--dead-after", "300.0"]
    service = Service("eclss", "bundle", REQUEST, "digest")
    assert service.predictor_command("folder") == ["serve_predictor", *common]
    assert service.transformer_command("folder") == ["serve_transformer", *common, "--predictor_request_retries", "7"]
    combined = Service("eclss", "bundle", REQUEST, "digest", Hosting(combined=True))
    assert combined.predictor_command("folder") == ["serve_predictor", *common, "--combined"]


def test_servers_get_the_time_after_which_a_channel_is_dead() -> None:
    service = Service("eclss", "bundle", REQUEST, "digest", Hosting(dead_after=60))
    for command in (service.predictor_command("folder"), service.transformer_command("folder")):
        assert command[command.index("--dead-after") + 1] == "60.0"


def test_the_server_that_sees_engineering_units_gets_the_options_of_the_payload_log() -> None:
    hosting = Hosting(payload_log="s3://logs/eclss", payload_log_fraction=0.1, payload_log_alarms=False)
    options = [
        *("--payload-log", "s3://logs/eclss", "--payload-log-fraction", "0.1"),
        *("--payload-log-alarms", "false", "--payload-log-days", "30"),
    ]
    service = Service("eclss", "bundle", REQUEST, "digest", hosting)
    assert "--payload-log" not in service.predictor_command("folder")
    command = service.transformer_command("folder")
    first = command.index("--payload-log")
    assert command[first : first + len(options)] == options
    combined = Service("eclss", "bundle", REQUEST, "digest", hosting.model_copy(update={"combined": True}))
    assert combined.predictor_command("folder")[-len(options) - 1 :] == [*options, "--combined"]
