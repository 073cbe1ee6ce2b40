"""Starts the receivers as a part of the sandbox."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from sandbox.processes import Process, Processes


@dataclass(frozen=True)
class WebhookReceivers:
    """Running receivers.

    Attributes:
        url: Their address, and that of the page that shows what arrived; the control API is below ``/sandbox``.
    """

    process: Process
    url: str


def start_webhook_receivers(processes: Processes, *, port: int = 0) -> WebhookReceivers:
    """Start the receivers and return them when they listen.

    Args:
        processes: The group of processes that they join.
        port: 0 takes a free one.

    Raises:
        SandboxError: They did not start.
    """
    process = processes.start("Webhook receivers", [sys.executable, "-m", "sandbox.webhooks", "--port", str(port)])
    url = processes.wait_for_line(process, r"^Receivers at (\S+)$")[1]
    processes.wait_for_port(process, int(url.rpartition(":")[2]))
    return WebhookReceivers(process, url)
