"""The catalogue of channels: names, measured signals, and properties of the sensors."""

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True)
class Channel:
    """One float column of an archive.

    Attributes:
        name: Column name, which ends with the unit.
        signal: Measured signal.
        noise: Standard deviation of the white noise of the sensor, in the unit of the channel.
        wander: Standard deviation of the slow drift of the sensor (over hours), same unit.
        resolution: Resolution of the converter, same unit.
        dtype: Data type in the archive.
        rack: Number of the rack; channels of racks 2 and up measure the same signals with other sensors.
    """

    name: str
    signal: str
    noise: float
    wander: float
    resolution: float
    dtype: Literal["float32", "float64"] = "float32"
    rack: int = 1


CATALOGUE = (
    Channel("ECLSS_CABIN_TOTAL_PRESS_1_HPA", "total_press_1", 0.12, 0.08, 0.05, "float64"),
    Channel("ECLSS_CABIN_TOTAL_PRESS_2_HPA", "total_press_2", 0.12, 0.08, 0.05, "float64"),
    Channel("ECLSS_PPOS1_O2_PARTIAL_PRESS_HPA", "po2_1", 0.25, 0.15, 0.1, "float64"),
    Channel("ECLSS_PPOS2_O2_PARTIAL_PRESS_HPA", "po2_2", 0.25, 0.15, 0.1, "float64"),
    Channel("ECLSS_PPCS1_CO2_PARTIAL_PRESS_HPA", "pco2_1", 0.05, 0.03, 0.02),
    Channel("ECLSS_PPCS2_CO2_PARTIAL_PRESS_HPA", "pco2_2", 0.05, 0.03, 0.02),
    Channel("ECLSS_CABIN_TEMP_1_DEGC", "cabin_temp_1", 0.05, 0.04, 0.02),
    Channel("ECLSS_CABIN_TEMP_2_DEGC", "cabin_temp_2", 0.05, 0.04, 0.02),
    Channel("ECLSS_HUMS1_REL_HUMIDITY_PCT", "humidity", 0.35, 0.25, 0.1),
    Channel("ECLSS_CABIN_DEW_POINT_DEGC", "dew_point", 0.10, 0.08, 0.05),
    Channel("ECLSS_CFA1_FAN_SPEED_RPM", "cfa1_speed", 9.0, 3.0, 2.0),
    Channel("ECLSS_CFA1_FAN_CURRENT_A", "cfa1_current", 0.012, 0.005, 0.004),
    Channel("ECLSS_CFA1_DELTA_PRESS_PA", "cfa1_dp", 5.0, 2.0, 1.0),
    Channel("ECLSS_CFA1_MOTOR_TEMP_DEGC", "cfa1_motor_temp", 0.15, 0.10, 0.05),
    Channel("ECLSS_CFA2_FAN_SPEED_RPM", "cfa2_speed", 9.0, 3.0, 2.0),
    Channel("ECLSS_CFA2_FAN_CURRENT_A", "cfa2_current", 0.012, 0.005, 0.004),
    Channel("ECLSS_CFA2_DELTA_PRESS_PA", "cfa2_dp", 5.0, 2.0, 1.0),
    Channel("ECLSS_CFA2_MOTOR_TEMP_DEGC", "cfa2_motor_temp", 0.15, 0.10, 0.05),
    Channel("ECLSS_CABIN_AIR_FLOW_M3H", "cabin_flow", 4.0, 1.5, 1.0),
    Channel("ECLSS_HEPA_FILTER_DELTA_PRESS_PA", "filter_dp", 1.5, 0.7, 0.5),
    Channel("ECLSS_ISFA_FAN_SPEED_RPM", "isfa_speed", 7.0, 2.0, 2.0),
    Channel("ECLSS_ISFA_FAN_CURRENT_A", "isfa_current", 0.007, 0.003, 0.002),
    Channel("ECLSS_IRFA_FAN_SPEED_RPM", "irfa_speed", 7.0, 2.0, 2.0),
    Channel("ECLSS_IRFA_FAN_CURRENT_A", "irfa_current", 0.007, 0.003, 0.002),
    Channel("ECLSS_IMV_AIR_FLOW_M3H", "imv_flow", 2.5, 1.0, 0.5),
    Channel("ECLSS_CHX_AIR_OUTLET_TEMP_DEGC", "chx_outlet_temp", 0.08, 0.05, 0.02),
    Channel("ECLSS_CWSA1_SEPARATOR_SPEED_RPM", "cwsa_speed", 8.0, 2.0, 2.0),
    Channel("ECLSS_CWSA1_SEPARATOR_CURRENT_A", "cwsa_current", 0.010, 0.005, 0.004),
    Channel("ECLSS_CWSA_CONDENSATE_RATE_MLH", "condensate_rate", 2.5, 1.0, 0.5),
    Channel("ECLSS_CONDENSATE_TANK_LEVEL_PCT", "tank_level", 0.3, 0.2, 0.1),
    Channel("TCS_WPA1_PUMP_SPEED_RPM", "wpa1_speed", 12.0, 3.0, 4.0),
    Channel("TCS_WPA1_PUMP_CURRENT_A", "wpa1_current", 0.014, 0.005, 0.004),
    Channel("TCS_WPA2_PUMP_SPEED_RPM", "wpa2_speed", 12.0, 3.0, 4.0),
    Channel("TCS_WPA2_PUMP_CURRENT_A", "wpa2_current", 0.014, 0.005, 0.004),
    Channel("TCS_LOOP_DELTA_PRESS_KPA", "loop_dp", 0.6, 0.3, 0.2),
    Channel("TCS_LOOP_FLOW_KGH", "loop_flow", 1.5, 0.6, 0.5),
    Channel("TCS_LOOP_SUPPLY_TEMP_DEGC", "loop_supply_temp", 0.05, 0.03, 0.02),
    Channel("TCS_LOOP_RETURN_TEMP_DEGC", "loop_return_temp", 0.05, 0.03, 0.02),
    Channel("TCS_ACCUMULATOR_LEVEL_PCT", "accumulator", 0.25, 0.15, 0.1),
    Channel("TCS_TCV_POSITION_PCT", "valve_position", 0.4, 0.2, 0.1),
    Channel("TCS_TCV_COMMAND_PCT", "valve_command", 0.05, 0.0, 0.1),
    Channel("EPDS_MAIN_BUS_VOLTAGE_V", "bus_voltage", 0.10, 0.05, 0.05),
    Channel("EPDS_PAYLOAD_POWER_W", "payload_power", 8.0, 3.0, 2.0, "float64"),
    Channel("TCS_SHELL_HEATER_CURRENT_A", "heater_current", 0.012, 0.004, 0.004),
)

MAX_CHANNELS = 5 * len(CATALOGUE)


def select_channels(count: int) -> list[Channel]:
    """Return the first `count` channels of the catalogue, repeated for further racks (`ECLSS_RACK2_…`)."""
    chosen = []
    for index in range(count):
        rack, position = divmod(index, len(CATALOGUE))
        channel = CATALOGUE[position]
        if rack:
            subsystem, rest = channel.name.split("_", 1)
            channel = replace(channel, name=f"{subsystem}_RACK{rack + 1}_{rest}", rack=rack + 1)
        chosen.append(channel)
    return chosen
