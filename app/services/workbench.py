"""Where a reviewer is in the queue: the page of pictures, the picture in hand, what comes next."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

__all__ = ["PAGE_SIZE", "Workbench"]

PAGE_SIZE = 20  # five columns of four: a screenful beside the card


@dataclass
class Workbench:
    """A reviewer's place in one queue; pages stand still while their pictures are decided.

    Attributes
    ----------
    page : item ids shown in the grid, in queue order
    current : the item in hand, None when the queue is exhausted
    """

    page: list[str] = field(default_factory=list)
    current: str | None = None

    def advance(self, queue: Sequence[str], is_done: Callable[[str], bool]) -> None:
        """Take the next open item after the current one, turning the page when it is finished."""
        place = self.page.index(self.current) + 1 if self.current in self.page else 0
        for item_id in [*self.page[place:], *self.page[:place]]:
            if not is_done(item_id):
                self.current = item_id
                return
        self.turn_page(queue, is_done)

    def turn_page(self, queue: Sequence[str], is_done: Callable[[str], bool]) -> None:
        """Fill the page with the next open items of the queue."""
        seen = set(self.page)
        page = _take(queue, lambda item_id: item_id not in seen and not is_done(item_id))
        # At the end of the queue, come back to what was left open before.
        self.page = page or _take(queue, lambda item_id: not is_done(item_id))
        self.current = self.page[0] if self.page else None

    def put_away(self, item_ids: Collection[str]) -> None:
        """Take items off the page that are no longer for this queue."""
        self.page = [item_id for item_id in self.page if item_id not in item_ids]
        if self.current in item_ids:
            self.current = None

    def pick(self, item_id: str) -> None:
        """Take an item in hand, off the page too: after an undo it may be an earlier one."""
        if item_id not in self.page:
            self.page = [item_id, *self.page[: PAGE_SIZE - 1]]
        self.current = item_id


def _take(queue: Sequence[str], wanted: Callable[[str], bool]) -> list[str]:
    page: list[str] = []
    for item_id in queue:
        if wanted(item_id):
            page.append(item_id)
            if len(page) == PAGE_SIZE:
                break
    return page
