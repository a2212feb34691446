"""Warnings that a polling loop logs only once."""

import logging
from collections.abc import Hashable


class WarnOnce:
    """Logs each warning only the first time.

    Args:
        logger: Logger of the module that warns.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._logged: set[Hashable] = set()

    def __call__(self, warning: object, key: Hashable = None) -> None:
        """Log a warning.

        Args:
            warning: Object whose text is logged.
            key: Warnings with the same key are the same; the default is the text.
        """
        key = str(warning) if key is None else key
        if key not in self._logged:
            self._logger.warning("%s", warning)
            self._logged.add(key)
