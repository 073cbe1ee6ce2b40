"""What parameter files deploy, according to one process of the compiler.

It answers JSON-RPC over its standard input and output. One process takes a quarter of the time of one for each file.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from release.bicep import Compiler

SUBSCRIPTION_ID: Final = "22222222-2222-2222-2222-222222222222"
TENANT_ID: Final = "33333333-3333-3333-3333-333333333333"
RESOURCE_GROUP: Final = "tickets"
LOCATION: Final = "westeurope"

type Json = dict[str, Any]


class SnapshotError(Exception):
    """The compiler refuses a parameter file; the text is what it says."""


class Snapshots:
    """A conversation with the compiler."""

    def __init__(self, requests: IO[bytes], answers: IO[bytes]) -> None:
        self._requests = requests
        self._answers = answers

    def of(self, parameters: Path, *, deployment_name: str = "main") -> Json:
        """Return all resources and outputs that a parameter file deploys, with modules and conditions expanded.

        Raises:
            SnapshotError: The file does not compile, or contradicts itself.
        """
        place = {
            "tenantId": TENANT_ID,
            "subscriptionId": SUBSCRIPTION_ID,
            "resourceGroup": RESOURCE_GROUP,
            "location": LOCATION,
            "deploymentName": deployment_name,
        }
        wanted = {"path": str(parameters), "metadata": place, "externalInputs": None}
        request = {"jsonrpc": "2.0", "id": 1, "method": "bicep/getSnapshot", "params": wanted}
        body = json.dumps(request).encode()
        self._requests.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._requests.flush()
        answer = self._answer()
        if "error" in answer:
            raise SnapshotError(answer["error"]["message"])
        snapshot: Json = json.loads(answer["result"]["snapshot"])
        return snapshot

    def _answer(self) -> Json:
        length = 0
        while header := self._answers.readline().strip():
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        answer: Json = json.loads(self._answers.read(length))
        return answer


@contextmanager
def snapshots(compiler: Compiler) -> Iterator[Snapshots]:
    """Keep the compiler running for the duration of the block."""
    command = [str(compiler.program), "jsonrpc", "--stdio"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=compiler.environment()
    ) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield Snapshots(process.stdin, process.stdout)
        finally:
            process.kill()
