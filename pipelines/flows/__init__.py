"""The line as Prefect flows; importing this package sets quiet, offline defaults for Prefect.

Prefect reads its settings once, when it is first imported, so they are set here, before any module
of this package can import it.
"""

from pipelines.flows.settings import set_defaults

set_defaults()
