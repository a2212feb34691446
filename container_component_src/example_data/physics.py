"""Simulation of the module by coupled balances of air, heat, carbon dioxide and water, with fans and pumps.

Every function takes a grid and its inputs, and returns signals without noise by name, each of shape [knots]. The
coefficients are plausible, not measured. A fault changes the balances, and so all signals that depend on the failed
part.
"""

import numpy as np

from container_component_src.arrays import Float64Array
from container_component_src.example_data.anomalies import DRIFTING_SENSORS, Faults
from container_component_src.example_data.grid import Grid
from container_component_src.example_data.rhythms import BETA_CYCLE_S, Drivers, drive

Signals = dict[str, Float64Array]

NOMINAL_VOLTAGE = 122.0
FAN_SPEED_RPM = 5600.0
CABIN_FLOW_M3H = 430.0
PUMP_SPEED_RPM = 8200.0
LOOP_FLOW_KGH = 210.0
WATER_HEAT_KJ_KGK = 4.18
HUNTING_PERIOD_S = 13 * 60.0
TANK_L = 6.0
# Drift of a sensor at strength 1, in the unit of the signal.
DRIFT_SCALE = {
    "po2_1": 6.0,
    "pco2_2": 1.5,
    "cabin_temp_2": 2.0,
    "humidity": 12.0,
    "loop_supply_temp": 1.8,
    "total_press_2": 4.0,
}


def simulate(grid: Grid, faults: Faults) -> Signals:
    """Simulate the module on a grid.

    Returns:
        The signals of the channel catalogue, and `cfa_unit` and `wpa_unit` (1 or 2).
    """
    drivers = drive(grid)
    signals: Signals = {"bus_voltage": drivers.bus_voltage, "payload_power": drivers.payload_power}
    signals |= _pressure(grid, faults)
    signals |= _cabin_fans(grid, faults, drivers, signals)
    signals |= _ventilation(grid, faults, drivers, signals)
    signals |= _pumps(grid, faults, drivers)
    signals |= _temperatures(grid, faults, drivers, signals)
    signals |= _gases(grid, faults, drivers, signals)
    signals |= _water(grid, faults, drivers, signals)
    signals |= _shell_heater(grid, drivers)
    for sensor in DRIFTING_SENSORS:
        signals[sensor] = signals[sensor] + DRIFT_SCALE[sensor] * faults.drift(sensor)
    return signals


def _pressure(grid: Grid, faults: Faults) -> Signals:
    """Total pressure in hPa: a slow leak, and repressurisation about once a week."""
    leak = grid.lag(faults.strength("cabin_leak"), 2400)
    slow = 2.0 * grid.noise("station_pressure", 30 * 3600)
    cycle = 5.0 * (0.5 - grid.lag(grid.ramp_with_resets("repressurisation", 8), 3000))
    total = 1011.0 + cycle + slow - 32.0 * leak
    return {"leak": leak, "total_press": total, "total_press_1": total, "total_press_2": total + 0.35}


def _cabin_fans(grid: Grid, faults: Faults, drivers: Drivers, signals: Signals) -> Signals:
    """Two redundant cabin fans on one duct: speed, pressure rise, flow, current and motor temperature."""
    unit = grid.levels("cfa_unit", 16, (1.0, 2.0))
    running = grid.lag(unit, 240) - 1  # weight of unit 2, while one fan stops and the other starts
    bearing = faults.strength("fan_degradation")
    clogging = grid.lag(faults.strength("filter_clogging"), 600)
    command = grid.levels("cfa_command", 2.5, (0.90, 1.0, 1.0, 1.12))
    loading = 0.5 * grid.ramp_with_resets("filter_loading", 26) + 1.1 * clogging
    speed = FAN_SPEED_RPM * grid.lag(command, 180) * (1 - 0.06 * bearing) + 14 * grid.noise("cfa_speed", 400)
    density = signals["total_press"] / 1011.0
    ratio = speed / FAN_SPEED_RPM
    flow = CABIN_FLOW_M3H * ratio * (1 - 0.16 * loading) * (1 + 0.006 * grid.noise("cfa_flow", 900))
    head = 520 * density * ratio**2 * (1 + 0.10 * loading)
    torque = ratio**3 * density * (0.82 + 0.18 * flow / CABIN_FLOW_M3H) * (1 + 0.45 * bearing)
    current = 0.32 + 1.05 * torque * NOMINAL_VOLTAGE / drivers.bus_voltage
    heating = 9.5 * grid.lag(current**2 * (1 + 0.6 * bearing), 2400)
    result: Signals = {
        "cfa_unit": unit,
        "cabin_flow": flow,
        "fan_heat": current * drivers.bus_voltage * 0.8,
        "filter_dp": 85 * density * (flow / CABIN_FLOW_M3H) ** 2 * (1 + 1.3 * loading),
    }
    for number, share in ((1, 1 - running), (2, running)):
        wear = 1.0 if number == 1 else 1.07  # the second unit has a slightly higher current
        result[f"cfa{number}_speed"] = speed * share
        result[f"cfa{number}_current"] = current * share * wear
        result[f"cfa{number}_dp"] = head * share**2
        result[f"cfa{number}_heating"] = heating * grid.lag(share, 2400)
    return result


def _ventilation(grid: Grid, faults: Faults, drivers: Drivers, signals: Signals) -> Signals:
    """Exchange of air with the adjacent module by a supply fan and a return fan."""
    blocked = faults.strength("imv_blockage")
    command = grid.lag(grid.levels("imv_command", 9, (0.85, 1.0, 1.0)), 240)
    result: Signals = {}
    for name, rng_name in (("isfa", "isfa_speed"), ("irfa", "irfa_speed")):
        ratio = command * (1 + 0.06 * blocked) * (1 + 0.0025 * grid.noise(rng_name, 500))
        # Less air moved means less torque.
        torque = ratio**3 * (1 - 0.30 * blocked)
        result[f"{name}_speed"] = 4100.0 * ratio
        result[f"{name}_current"] = 0.18 + 0.52 * torque * NOMINAL_VOLTAGE / drivers.bus_voltage
    # Stowage sometimes covers part of the hatch, a normal change of the flow.
    stowage = grid.lag(grid.levels("stowage", 4, (1.0, 1.0, 0.94, 0.97)), 300)
    ratio = 0.5 * (result["isfa_speed"] + result["irfa_speed"]) / 4100.0
    coupling = 1 + 0.04 * (signals["cabin_flow"] / CABIN_FLOW_M3H - 1)
    result["imv_flow"] = (
        228.0 * ratio * stowage * coupling * (1 - 0.55 * blocked) * (1 + 0.008 * grid.noise("imv_flow", 700))
    )
    return result


def _pumps(grid: Grid, faults: Faults, drivers: Drivers) -> Signals:
    """Two redundant water pumps on one loop: speed, pressure rise, flow and current."""
    unit = grid.levels("wpa_unit", 27, (1.0, 2.0))
    running = grid.lag(unit, 240) - 1
    trip = grid.lag(faults.strength("pump_trip"), 240)
    gas = grid.lag(faults.strength("coolant_flow_loss"), 900)
    command = grid.lag(grid.levels("wpa_command", 5, (0.94, 1.0, 1.06)), 240)
    ratio = command * (1 - 0.85 * trip) * (1 + 0.002 * grid.noise("wpa_speed", 400))
    # Open branches of the payload racks reduce the resistance of the loop.
    branches = grid.lag(grid.levels("rack_branches", 1.3, (0.0, 1.0, 2.0, 3.0)), 240)
    bubbles = 1 - gas * (0.35 + 0.05 * grid.noise("bubbles", 240))
    flow = LOOP_FLOW_KGH * ratio * (1 + 0.035 * branches) * bubbles * (1 + 0.004 * grid.noise("loop_flow", 600))
    head = 96.0 * ratio**2 * (1 - 0.05 * branches) * (1 - 0.30 * gas)
    torque = head / 96.0 * flow / LOOP_FLOW_KGH
    current = 0.28 + 1.35 * torque * NOMINAL_VOLTAGE / drivers.bus_voltage * (1 + 0.05 * trip)
    result: Signals = {"wpa_unit": unit, "loop_flow": flow, "loop_dp": head, "gas": gas}
    for number, share in ((1, 1 - running), (2, running)):
        result[f"wpa{number}_speed"] = PUMP_SPEED_RPM * ratio * share
        result[f"wpa{number}_current"] = current * share
    return result


def _temperatures(grid: Grid, faults: Faults, drivers: Drivers, signals: Signals) -> Signals:
    """Heat balance: the control valve follows the heat load, and the cabin temperature follows the difference."""
    supply = 5.6 + 0.28 * grid.lag(drivers.sun, 1500) + 0.35 * grid.noise("supply", 20 * 3600)
    supply = supply + 0.6 * faults.strength("pump_trip")
    load = (
        260
        + 105 * drivers.metabolic
        + 0.55 * drivers.payload_power
        + signals["fan_heat"]
        + 70 * grid.lag(drivers.sun, 2400)
    )
    # The same opening cools less if less air or less water flows through the heat exchanger.
    transfer = np.sqrt(np.maximum(0.05, signals["cabin_flow"] / CABIN_FLOW_M3H * signals["loop_flow"] / LOOP_FLOW_KGH))
    needed = (load / 22.0 + 6.5 * (23.0 - drivers.set_temperature) + 3.0 * (supply - 5.6)) / transfer
    command = grid.lag(np.clip(needed + 1.2 * grid.noise("valve", 900), 8.0, 92.0), 500)
    hunting = faults.strength("valve_hunting")
    position = faults.hold("stuck_valve", command) + 24.0 * hunting * np.sin(2 * np.pi * grid.time_s / HUNTING_PERIOD_S)
    shortfall = grid.lag((needed - position) * transfer, 3000)
    cabin = drivers.set_temperature + 0.055 * shortfall + 0.10 * grid.noise("cabin_temp", 3 * 3600)
    cabin = cabin - 0.5 * signals["leak"] + 0.25 * grid.lag(drivers.metabolic - 1, 2400)
    flow = np.maximum(8.0, signals["loop_flow"])
    returned = supply + grid.lag(np.minimum(load * 3.6 / (flow * WATER_HEAT_KJ_KGK), 25.0), 700)
    mean_water = 0.5 * (supply + returned)
    drained = 2.0 * grid.ramp_with_resets("accumulator", 45) + 4.0 * grid.lag(signals["gas"], 3000)
    result: Signals = {
        "valve_command": command,
        "valve_position": position,
        "cabin_temp_1": cabin,
        "cabin_temp_2": cabin
        + 0.3
        + 0.12 * (signals["cabin_flow"] / CABIN_FLOW_M3H - 1)
        + 0.15 * (drivers.metabolic - 1),
        "loop_supply_temp": supply,
        "loop_return_temp": returned,
        "accumulator": 56 + 1.6 * (mean_water - 8) - drained,
    }
    for number in (1, 2):
        result[f"cfa{number}_motor_temp"] = grid.lag(cabin, 1800) + 3 + signals[f"cfa{number}_heating"]
    return result


def _gases(grid: Grid, faults: Faults, drivers: Drivers, signals: Signals) -> Signals:
    """Partial pressures of oxygen and carbon dioxide in hPa, controlled through the adjacent module."""
    failing = faults.strength("co2_removal_loss")
    # The scrubber of the station alternates its two beds every 144 minutes; a failure reduces the amplitude.
    phase = grid.time_s / (144 * 60.0) % 1
    beds = grid.lag(0.22 * (0.5 - phase) * (1 - 0.8 * failing), 900)
    regime = grid.lag(grid.levels("scrubber", 13, (0.0, 0.0, 0.7)), 5400)
    station = 2.7 + regime + 0.5 * drivers.station_crew + beds + 0.12 * grid.noise("station_co2", 8 * 3600)
    station = station + 3.6 * grid.lag(failing, 4500)
    exchange = np.maximum(20.0, signals["imv_flow"])
    local = grid.lag(drivers.metabolic * 55.0 / exchange, 1800)
    pco2 = station + local
    supply = 0.9 * grid.noise("oxygen_supply", 40 * 3600) + 2.5 * (0.5 - grid.ramp_with_resets("oxygen", 3.5))
    po2 = 0.2085 * signals["total_press"] + grid.lag(supply, 3600) - 0.9 * local
    return {"po2_1": po2, "po2_2": po2 - 0.8, "pco2_1": pco2, "pco2_2": 0.985 * pco2 + 0.06}


def _water(grid: Grid, faults: Faults, drivers: Drivers, signals: Signals) -> Signals:
    """Vapour from the crew, which condenses on the heat exchanger and is removed by the separator."""
    flooding = grid.lag(faults.strength("separator_flooding"), 900)
    opening = signals["valve_position"] / 50.0
    outlet = (
        signals["loop_supply_temp"] + 2.2 + 2.4 * np.exp(-opening) + 0.004 * (signals["cabin_flow"] - CABIN_FLOW_M3H)
    )
    removal = signals["cabin_flow"] / CABIN_FLOW_M3H * (0.3 + 0.5 * opening) * (1 - 0.6 * flooding)
    source = 0.5 + 0.75 * drivers.metabolic
    vapour = grid.lag(saturation_pressure(outlet) + source / np.maximum(0.1, removal), 3000)
    rate = 46.0 * removal * np.maximum(0.0, vapour - saturation_pressure(outlet))
    collected = grid.lag(rate * (1 - 0.5 * flooding), 1200)
    litres = np.cumsum(collected) * (grid.time_s[1] - grid.time_s[0]) / 3.6e6 + grid.rng("tank").uniform(0, TANK_L)
    speed = 5900 * grid.lag(grid.levels("cwsa_command", 21, (1.0, 0.96)), 240)
    speed = speed * (1 - 0.03 * flooding) + (9 + 60 * flooding) * grid.noise("cwsa_speed", 300)
    load = (speed / 5900) ** 2 * (0.42 + 0.0022 * collected * (1 + 2.5 * flooding) + 0.10 * flooding)
    return {
        "humidity": 100 * vapour / saturation_pressure(signals["cabin_temp_1"]),
        "dew_point": dew_point(vapour),
        "chx_outlet_temp": outlet,
        "condensate_rate": collected,
        "tank_level": 10 + 75 * (litres / TANK_L % 1),
        "cwsa_speed": speed,
        "cwsa_current": 0.12 + load * NOMINAL_VOLTAGE / drivers.bus_voltage,
    }


def _shell_heater(grid: Grid, drivers: Drivers) -> Signals:
    """Shell heater with a thermostat: on in the cold part of the orbit, unless payloads heat the structure."""
    cold = 0.55 - grid.lag(drivers.sun, 1200) - 0.00025 * (drivers.payload_power - 500)
    cold = cold + 0.15 * np.sin(2 * np.pi * grid.time_s / BETA_CYCLE_S + 1)
    share_on = 0.5 + 0.5 * np.tanh(14 * cold)
    return {"heater_current": 1.55 * share_on * drivers.bus_voltage / NOMINAL_VOLTAGE}


def saturation_pressure(temperature: Float64Array) -> Float64Array:
    """Return the saturation vapour pressure over water in hPa at °C (Magnus formula, coefficients of WMO-No. 8)."""
    return np.asarray(6.112 * np.exp(17.62 * temperature / (243.12 + temperature)), dtype=np.float64)


def dew_point(vapour: Float64Array) -> Float64Array:
    """Return the dew point in °C of a vapour pressure in hPa: the inverse of the Magnus formula."""
    logarithm = np.log(vapour / 6.112)
    return np.asarray(243.12 * logarithm / (17.62 - logarithm), dtype=np.float64)
