"""One flow at a time on the device: Prefect's global concurrency limit ``gpu``.

Try it: ``prefect gcl inspect gpu`` while a flow trains.
"""

from __future__ import annotations

import fcntl
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import (
    GlobalConcurrencyLimitCreate,
    GlobalConcurrencyLimitUpdate,
)
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.settings import PREFECT_HOME

from pipelines.flows.server import is_our_own

__all__ = ["LIMIT", "occupied"]

logger = logging.getLogger(__name__)

LIMIT = "gpu"
# On a server shared with others a killed holder keeps its slot this long. Prefect renews the lease
# after three quarters of it, which leaves a busy machine 30 s to get round to it.
LEASE_S = 120.0


@contextmanager
def occupied(waiting: Callable[[str], None]) -> Iterator[None]:
    """Hold the device; wait while another flow holds it, on CPU too.

    Parameters
    ----------
    waiting
        Called once with a sentence if the device is busy.

    Notes
    -----
    Two locks are held. The file ``gpu.lock`` beside Prefect's database is freed by the kernel when
    its holder dies. Whoever holds it knows that slots still taken in a database of our own belong
    to the dead, and gives them back: leases are kept in the server's memory, so no one else would.
    The slot of Prefect's limit guards the device across every machine that shares a server.
    """
    home = PREFECT_HOME.value()
    home.mkdir(parents=True, exist_ok=True)
    with (home / "gpu.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting("waiting for the flow that uses the device")
            fcntl.flock(file, fcntl.LOCK_EX)
        _prepare_limit(waiting)
        # A lost lease does not stop a training that may have run for hours; Prefect logs it.
        with concurrency(
            LIMIT,
            occupy=1,
            strict=True,
            lease_duration=LEASE_S,
            raise_on_lease_renewal_failure=False,
        ):
            yield


def _prepare_limit(waiting: Callable[[str], None]) -> None:
    with get_client(sync_client=True) as client:
        try:
            limit = client.read_global_concurrency_limit_by_name(LIMIT)
        except ObjectNotFound:
            try:
                client.create_global_concurrency_limit(
                    GlobalConcurrencyLimitCreate(name=LIMIT, limit=1)
                )
            except ObjectAlreadyExists:
                logger.debug("another flow has just created the limit %s", LIMIT)
            return
        if limit.active_slots and is_our_own():
            client.update_global_concurrency_limit(
                LIMIT, GlobalConcurrencyLimitUpdate(active_slots=0)
            )
        elif limit.active_slots >= limit.limit:
            waiting(f"waiting for Prefect's concurrency limit {LIMIT}")
