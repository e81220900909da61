"""Tags: what an operator says of one member that holds whoever is primary.

They are wishes about choices, never what keeps data safe.
"""

from holdfast.model.ids import MemberName
from holdfast.model.value import Value


class Tags(Value, frozen=True):
    """One member's."""

    priority: int = 0  # of equally good members the one with more is chosen
    nofailover: bool = False  # it gets the role only when an operator asks for it
    nosync: bool = False  # a database: no commit waits for it
    streams_from: MemberName | None = None  # a database: the standby that it streams from; None: the primary

    @property
    def may_acknowledge(self) -> bool:
        """Tell whether commits may wait for it: who streams from another standby is not seen by the primary."""
        return not self.nosync and self.streams_from is None
