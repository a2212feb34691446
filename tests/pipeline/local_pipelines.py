"""Small pipelines of container components, and the script that their steps run."""

# mypy: disable-error-code="untyped-decorator, no-untyped-def, valid-type, no-any-return"
# kfp reads the signatures of these functions in its own way and returns other objects.

from pathlib import Path
from typing import Any

from kfp import compiler, dsl

SCRIPT = """
import json, os, signal, subprocess, sys, time
from pathlib import Path

action, executor_input, *arguments = sys.argv[1:]
outputs = json.loads(executor_input)["outputs"]
with open("calls.txt", "a") as calls:
    print(action, *arguments, file=calls)

def path(name):
    return outputs["artifacts"][name]["artifacts"][0]["uri"]

def finish(parameters=None, **metadata):
    entries = {}
    for name, values in metadata.items():
        entry = outputs["artifacts"][name]["artifacts"][0]
        entries[name] = {"artifacts": [{**entry, "metadata": values}]}
    for name, value in (parameters or {}).items():
        text = value if isinstance(value, str) else json.dumps(value)
        Path(outputs["parameters"][name]["outputFile"]).write_text(text)
    Path(outputs["outputFile"]).write_text(json.dumps({"artifacts": entries}))

if action == "list":
    finish({"archives": [{"uri": f"{arguments[0]}/{year}", "fingerprint": f"f{year}"} for year in (2021, 2022)]})
elif action == "split":
    Path(path("parts")).mkdir()
    Path(path("parts"), "rows.txt").write_text(" ".join(arguments))
    finish({"uri": path("parts")}, parts={"rows": 3})
elif action == "train":
    Path(path("model")).write_text(str([Path(part, "rows.txt").read_text() for part in json.loads(arguments[0])]))
    Path(path("report")).write_text("<html>report</html>")
    finish({"f1": float(arguments[1])}, model={}, report={}, metrics={"f1": float(arguments[1])})
elif action == "deploy":
    print("deploying", Path(arguments[0]).read_text())
    finish()
elif action == "fail":
    print("an early line")
    Path(path("model")).write_text("partial")
    print("error: no channel in the archive: choose another", file=sys.stderr, flush=True)
    print("a late line")
    sys.exit(2)
elif action == "forget":
    finish()
elif action == "hang":
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    strayed = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    time.sleep(1)  # for the sampling of descendants
    Path(f"pids_{arguments[0].replace('/', '_')}.txt").write_text(f"{os.getpid()} {strayed.pid}")
    time.sleep(600)
else:
    finish()
"""


_compiled: dict[str, str] = {}  # YAML by the pipeline's name


def _spec(action: str, *arguments: Any) -> dsl.ContainerSpec:
    return dsl.ContainerSpec(
        image="example/image:1",
        command=["python"],
        args=["container_component_src/step.py", action, "{{$}}", *arguments],
    )


@dsl.container_component
def list_archives(prefix: str, archives: dsl.OutputPath(list[dict[str, str]])):
    return _spec("list", prefix)


@dsl.container_component
def split_parquet_file(
    path: str,
    fingerprint: str,
    parts: dsl.Output[dsl.Dataset],
    uri: dsl.OutputPath(str),
):
    return _spec("split", path, fingerprint)


@dsl.container_component
def train(
    paths: list[str],
    wanted_f1: float,
    model: dsl.Output[dsl.Model],
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
    f1: dsl.OutputPath(float),
):
    return _spec("train", paths, wanted_f1)


@dsl.container_component
def deploy_to_kserve(model: dsl.Input[dsl.Model]):
    return _spec("deploy", model.path)


@dsl.container_component
def clean_up(run_id: str):
    return _spec("clean_up")


@dsl.container_component
def fail(model: dsl.Output[dsl.Model]):
    return _spec("fail")


@dsl.container_component
def forget(number: dsl.OutputPath(int)):
    return _spec("forget")


@dsl.container_component
def hang(name: str):
    return _spec("hang", name)


@dsl.pipeline
def split_all(archives: list[dict[str, str]]) -> list[str]:
    with dsl.ParallelFor(archives, parallelism=2) as archive:
        split = split_parquet_file(path=archive.uri, fingerprint=archive.fingerprint)
    return dsl.Collected(split.outputs["uri"])


@dsl.pipeline
def gate(f1: float, threshold: float, model: dsl.Input[dsl.Model]):
    with dsl.If(f1 >= threshold):
        deploy_to_kserve(model=model).set_caching_options(False)


@dsl.pipeline(name="whole")
def whole(prefix: str = "archives", wanted_f1: float = 0.75, threshold: float = 0.5):
    cleaning = clean_up(run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER)
    cleaning.set_caching_options(False)
    with dsl.ExitHandler(cleaning):
        listing = list_archives(prefix=prefix)
        listing.set_caching_options(False)
        parts = split_all(archives=listing.outputs["archives"])
        trained = train(paths=parts.output, wanted_f1=wanted_f1)
        gate(f1=trained.outputs["f1"], threshold=threshold, model=trained.outputs["model"])


@dsl.pipeline(name="failing")
def failing():
    cleaning = clean_up(run_id="id")
    with dsl.ExitHandler(cleaning):
        failed = fail()
        deploy_to_kserve(model=failed.outputs["model"])


@dsl.pipeline(name="forgetful")
def forgetful():
    forget()


@dsl.pipeline(name="direct-condition")
def direct_condition():
    trained = train(paths=[], wanted_f1=0.9)
    with dsl.If(trained.outputs["f1"] >= 0.5):
        deploy_to_kserve(model=trained.outputs["model"])


@dsl.pipeline
def against_whole_number(f1: float, model: dsl.Input[dsl.Model]):
    with dsl.If(f1 >= 0):
        deploy_to_kserve(model=model)


@dsl.pipeline(name="whole-number")
def whole_number():
    trained = train(paths=[], wanted_f1=0.9)
    against_whole_number(f1=trained.outputs["f1"], model=trained.outputs["model"])


@dsl.pipeline
def hang_all(archives: list[dict[str, str]]):
    with dsl.ParallelFor(archives, parallelism=2) as archive:
        hang(name=archive.uri)


@dsl.pipeline(name="hanging")
def hanging():
    cleaning = clean_up(run_id="id")
    with dsl.ExitHandler(cleaning):
        listing = list_archives(prefix="a")
        hang_all(archives=listing.outputs["archives"])


@dsl.pipeline(name="twice")
def twice(archives: list[dict[str, str]]):
    split_all(archives=archives)
    split_all(archives=archives)


@dsl.pipeline(name="retrying")
def retrying():
    fail().set_retry(2, backoff_duration="0s")


@dsl.pipeline
def hoard(archives: list[dict[str, str]]):
    with dsl.ParallelFor(archives) as archive:
        clean_up(run_id=archive.uri).set_caching_options(False)
        clean_up(run_id=archive.fingerprint)


@dsl.pipeline(name="half-cached")
def half_cached():
    hoard(archives=list_archives(prefix="a").outputs["archives"])


def compiled(pipeline: Any, directory: Path) -> Path:
    """Write a compiled pipeline into a directory; each one is compiled once per test session."""
    path = directory / f"{pipeline.name}.yaml"
    if pipeline.name not in _compiled:
        compiler.Compiler().compile(pipeline, str(path))
        _compiled[pipeline.name] = path.read_text()
    path.write_text(_compiled[pipeline.name])
    return path


def make_project(directory: Path) -> Path:
    """Create a project whose only source is the script of the steps."""
    source = directory / "project" / "container_component_src"
    source.mkdir(parents=True)
    (source / "step.py").write_text(SCRIPT)
    (source.parent / "requirements.txt").write_text("kfp\n")
    return source.parent


def calls(project: Path) -> list[str]:
    """Return the actions that ran since the last call."""
    log = project / "calls.txt"
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return [line.split()[0] for line in lines]
