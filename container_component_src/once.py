"""Warnings that are logged once, however often a waiting loop comes upon them."""

import logging
from collections.abc import Hashable


class WarnOnce:
    """Logs each warning the first time only.

    Args:
        logger: Of the module that warns.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._said: set[Hashable] = set()

    def __call__(self, warning: object, key: Hashable = None) -> None:
        """Log a warning.

        Args:
            warning: Its text is logged.
            key: What makes it the same as an earlier one; its text by default.
        """
        key = str(warning) if key is None else key
        if key not in self._said:
            self._logger.warning("%s", warning)
            self._said.add(key)
