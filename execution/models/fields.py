"""Column types of the ledger."""

from typing import TYPE_CHECKING, Any

from django.db import models

MAX_DIGITS = 20
DECIMAL_PLACES = 8

if TYPE_CHECKING:  # the field takes type arguments in its stubs only
    DecimalColumn = models.DecimalField[Any, Any]
else:
    DecimalColumn = models.DecimalField


class AmountField(DecimalColumn):
    """Money, price or quantity: NUMERIC(20, 8), so that a fraction of a share times a price stays exact."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_digits", MAX_DIGITS)
        kwargs.setdefault("decimal_places", DECIMAL_PLACES)
        super().__init__(*args, **kwargs)
