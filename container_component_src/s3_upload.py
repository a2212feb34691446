"""Upload of a file to an S3 store in parts, while its content is made.

Import this module only to open an S3 address: importing s3fs is slow.
"""

import asyncio
import io
from collections import deque
from concurrent.futures import Future
from typing import Any

from s3fs.core import S3File, S3FileSystem

PART_BYTES = 1 << 24  # a smaller file is one request
_PARTS_AT_ONCE = 2  # one on its way, and one whose checksums are computed meanwhile


class Upload(S3File):
    """A file that sends its parts while the caller writes; `S3File` lets the caller wait for each.

    Args:
        store: The store.
        path: Bucket and key.
    """

    buffer: io.BytesIO

    def __init__(self, store: S3FileSystem, path: str) -> None:
        super().__init__(store, path, "wb", block_size=PART_BYTES)
        self._requests: deque[Future[Any]] = deque()  # that are not finished

    def _upload_chunk(self, final: bool = False) -> bool:
        """Send what the buffer has; the last part completes the upload."""
        self._wait(0 if final else _PARTS_AT_ONCE - 1)
        if final:
            return bool(super()._upload_chunk(final=True))
        target = {"Bucket": self.bucket, "Key": self.key, "UploadId": self.mpu["UploadId"]}
        part = {"PartNumber": len(self.parts) + len(self._requests) + 1, "Body": self.buffer.getvalue()}
        request = self.fs._call_s3("upload_part", **target, **part)
        self._requests.append(asyncio.run_coroutine_threadsafe(request, self.fs.loop))
        self.offset += self.buffer.tell()
        self.buffer = io.BytesIO()
        return False  # fsspec need not empty the buffer

    def _wait(self, most: int) -> None:
        """Return when at most so many parts are on their way; raise what the oldest has raised."""
        while len(self._requests) > most:
            response = self._requests.popleft().result()
            self.parts.append({"PartNumber": len(self.parts) + 1, "ETag": response["ETag"]})

    def discard(self) -> None:
        """Abort the upload."""
        for request in self._requests:
            request.cancel()
        super().discard()
