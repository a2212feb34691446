import logging
import re

import pytest

from container_component_src.backends.kubernetes.tuning_watch import Watch
from container_component_src.cluster.access import Cluster


def test_the_log_says_when_the_other_trials_will_have_ended(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    watch = Watch(cluster, "tuning", trial_timeout=60, trial_count=3)
    # One trial ended before this process came, so it says nothing about the time that a trial takes.
    for names in (["a"], ["a", "b"], ["a", "b", "c"]):
        status = {"succeededTrialList": names, "trialsSucceeded": len(names)}
        watch.check({"status": status}, ended=True)
        watch.check({"status": status}, ended=True)
    first, second, third = [record.message for record in caplog.records if record.name == Watch.__module__]
    assert (first, third) == ("trials: 0 running, 1 succeeded", "trials: 0 running, 3 succeeded")
    assert re.fullmatch(r"trials: 0 running, 2 succeeded; about \d+ s left", second)
