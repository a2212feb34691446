import numpy as np
import pytest

from container_component_src.example_data.anomalies import KINDS, NS_PER_S, Event, Faults, Kind
from container_component_src.example_data.channels import CATALOGUE
from container_component_src.example_data.grid import SETTLING_S, Grid
from container_component_src.example_data.physics import Signals, dew_point, saturation_pressure, simulate
from container_component_src.example_data.sensors import interpolate

START_S = 1_650_000_000.0
DAY_S = 86_400.0
FAULT_START_S, FAULT_END_S = START_S + DAY_S, START_S + DAY_S + 6 * 3600


def event(kind: Kind, sensor: str = "po2_1") -> Event:
    start, end = int(FAULT_START_S) * NS_PER_S, int(FAULT_END_S) * NS_PER_S
    return Event(kind, start, end, 1.0, onset=0.1, recovery=0.1, ripple=0.0, ripple_period_s=900, sensor=sensor)


def run(events: list[Event]) -> tuple[Grid, Signals]:
    grid = Grid(42, 2022, START_S, START_S + 2 * DAY_S)
    return grid, simulate(grid, Faults(events, grid.time_s))


HEALTHY = run([])[1]

# Signals that must rise (+) or fall (-) on the average of the second half of a fault.
EFFECTS = {
    "cabin_leak": {"total_press_1": -1, "po2_1": -1, "po2_2": -1},
    "fan_degradation": {"cabin_flow": -1, "fan_heat": 1, "filter_dp": -1},
    "sensor_drift": {"po2_1": 1},
    "pump_trip": {"loop_flow": -1, "loop_dp": -1, "loop_return_temp": 1},
    "coolant_flow_loss": {"loop_flow": -1, "accumulator": -1, "loop_return_temp": 1},
    "co2_removal_loss": {"pco2_1": 1, "pco2_2": 1},
    "separator_flooding": {"cwsa_current": 1, "humidity": 1, "cwsa_speed": -1},
    "imv_blockage": {"imv_flow": -1, "isfa_current": -1, "pco2_1": 1},
    "filter_clogging": {"filter_dp": 1, "cabin_flow": -1},
}


@pytest.mark.parametrize(("name", "effects"), EFFECTS.items(), ids=EFFECTS)
def test_fault_changes_the_signals(name: str, effects: dict[str, int]) -> None:
    kind = next(kind for kind in KINDS if kind.name == name)
    grid, faulty = run([event(kind)])
    late = (grid.time_s > (FAULT_START_S + FAULT_END_S) / 2) & (grid.time_s < FAULT_END_S - 3600)
    for signal, direction in effects.items():
        assert direction * (faulty[signal] - HEALTHY[signal])[late].mean() > 0, signal


@pytest.mark.parametrize("name", ["stuck_valve", "valve_hunting"])
def test_valve_fault_separates_position_and_command(name: str) -> None:
    kind = next(kind for kind in KINDS if kind.name == name)
    grid, faulty = run([event(kind)])
    during = (grid.time_s > FAULT_START_S + 3600) & (grid.time_s < FAULT_END_S - 3600)
    gap = np.abs(faulty["valve_position"] - faulty["valve_command"])
    assert gap[during].mean() > 1
    assert gap[grid.time_s < FAULT_START_S].max() == 0
    assert not np.allclose(faulty["cabin_temp_1"][during], HEALTHY["cabin_temp_1"][during])


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_fault_does_not_change_earlier_values(kind: Kind) -> None:
    grid, faulty = run([event(kind)])
    before = grid.time_s < FAULT_START_S
    changed = [name for name, values in faulty.items() if not np.array_equal(values, HEALTHY[name])]
    assert changed
    assert all(np.array_equal(values[before], HEALTHY[name][before]) for name, values in faulty.items())


def test_drift_changes_one_sensor_only() -> None:
    kind = next(kind for kind in KINDS if kind.name == "sensor_drift")
    _, faulty = run([event(kind, sensor="humidity")])
    assert [name for name in faulty if not np.array_equal(faulty[name], HEALTHY[name])] == ["humidity"]


def test_every_channel_has_a_signal() -> None:
    assert {channel.signal for channel in CATALOGUE} <= set(HEALTHY)
    assert len({channel.name for channel in CATALOGUE}) == len(CATALOGUE) == 44
    assert all(np.isfinite(HEALTHY[channel.signal]).all() for channel in CATALOGUE)


def test_strength_rises_holds_and_falls() -> None:
    fault = event(KINDS[0])
    times = FAULT_START_S + np.array([-1, 0, 0.05, 0.1, 0.5, 0.9, 0.95, 1.0, 1.1]) * (FAULT_END_S - FAULT_START_S)
    assert fault.strength(times) == pytest.approx([0, 0, 0.5, 1, 1, 1, 0.5, 0, 0], abs=1e-9)


def test_vapour_formulas() -> None:
    temperature = np.array([0.0, 20.0])
    assert saturation_pressure(temperature) == pytest.approx([6.112, 23.33], abs=0.02)
    assert dew_point(saturation_pressure(temperature)) == pytest.approx(temperature)


def test_grid_lag_approaches_a_step_exponentially() -> None:
    grid = Grid(42, 2022, START_S, START_S + DAY_S)
    step = (grid.time_s >= START_S).astype(float)
    lagged = grid.lag(step, 1200.0)
    assert lagged[grid.time_s == START_S + 1200 - 120] == pytest.approx(1 - np.exp(-1))
    assert grid.time_s[0] == START_S - SETTLING_S


def test_grid_noise_has_unit_variance() -> None:
    grid = Grid(42, 2022, START_S, START_S + 300 * DAY_S)
    assert grid.noise("any", 600).std() == pytest.approx(1, abs=0.03)


def test_levels_take_the_values_given_and_change() -> None:
    grid = Grid(42, 2022, START_S, START_S + 100 * DAY_S)
    assert set(grid.levels("any", 2, (1.0, 2.0, 4.0))) == {1.0, 2.0, 4.0}


def test_interpolation_is_linear() -> None:
    knots = np.array([[0, 10, 30], [5, 5, 1]], dtype=np.float32)
    assert interpolate(knots, np.array([0.5, 1.0, 1.25])).tolist() == [[5, 10, 15], [5, 5, 4]]
