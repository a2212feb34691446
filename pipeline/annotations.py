"""Types of pipeline parameters, as KFP reads them from annotations."""

from typing import Any

ArchiveList = list[dict[str, str]]  # of {"uri": …, "fingerprint": …}
JsonDict = dict[str, Any]
JsonList = list[Any]
