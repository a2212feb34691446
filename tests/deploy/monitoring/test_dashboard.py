"""The layout and the variables of the dashboard."""

import re

from tests.deploy.monitoring.files import dashboard, panel_queries

COLUMNS = 24
OF_GRAFANA = {"__rate_interval"}


def test_panels_lie_side_by_side() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = [(place["x"] + column, place["y"] + line) for column in range(place["w"]) for line in range(place["h"])]
        assert {taken[cell] for cell in cells if cell in taken} == set(), panel["title"]
        assert max(column for column, _ in cells) < COLUMNS
        taken |= dict.fromkeys(cells, panel["title"])


def test_panels_and_queries_have_ids_of_their_own() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        references = [target["refId"] for target in panel.get("targets", ())]
        assert len(set(references)) == len(references)


def test_variables_are_declared_and_used() -> None:
    declared = {variable["name"] for variable in dashboard()["templating"]["list"]}
    used = {name for _, query in panel_queries() for name in re.findall(r"\$(\w+)", query)}
    assert used | {"datasource"} == declared | OF_GRAFANA
    sources = {panel["datasource"]["uid"] for panel in dashboard()["panels"] if "targets" in panel}
    assert sources == {"${datasource}"}
