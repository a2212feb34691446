"""Types of pipeline parameters, as KFP reads them from annotations."""

from typing import Any

ArchiveList = list[dict[str, str]]  # of {"uri": …, "fingerprint": …}
JsonList = list[Any]
