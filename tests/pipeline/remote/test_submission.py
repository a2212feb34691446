import re

import pytest

from container_component_src.errors import InputError
from pipeline.remote.image_tag import ImageTag
from pipeline.remote.submission import as_version_name, check_version_name
from pipeline.remote.submit import RunOptions


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Columbus ECLSS: 1.0_rc", "columbus-eclss-1.0-rc"),
        ("-a.", "a"),
        ("a" * 99 + "-b", "a" * 99),
        ("\u00fc", ""),
    ],
)
def test_version_name_of_a_text(text: str, name: str) -> None:
    assert as_version_name(text) == name


@pytest.mark.parametrize(
    ("name", "proposed"), [("My run", ", such as my-run"), ("a:b", ", such as a-b"), ("\u00fc", "and '.'")]
)
def test_version_name_must_suit_both_kinds_of_store(name: str, proposed: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"--run-name '{name}' is not a valid name")) as caught:
        RunOptions("e", run_name=name, upload=True)
    assert proposed in str(caught.value)
    assert RunOptions("e", run_name=name).run_name == name  # of a run


def test_default_version_name_is_valid() -> None:
    name = RunOptions("Experiment " * 9, upload=True).name(ImageTag("V1_" * 40, ""))
    check_version_name(name)
    assert re.search(r"-\d{8}-\d{6}$", name)


def test_cron_expression_is_checked_at_once() -> None:
    with pytest.raises(InputError, match="'61' is not a valid minute"):
        RunOptions("e", cron="61 3 * * *")
