"""Parts that answers are made of."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

DECIMAL_SCHEMA = {"type": "string", "format": "decimal", "pattern": r"^-?[0-9]+(\.[0-9]+)?$", "example": "150.25"}
NULLABLE_DECIMAL_SCHEMA = {**DECIMAL_SCHEMA, "type": ["string", "null"]}

Answer = dict[str, Any]
Shape = serializers.Serializer[Any]


@extend_schema_field(DECIMAL_SCHEMA)
class DecimalText(serializers.CharField):
    """Money, a price or a quantity as a plain decimal string."""


@extend_schema_field(NULLABLE_DECIMAL_SCHEMA)
class NullableDecimalText(serializers.CharField):
    """The same, or null."""


class Instant(serializers.DateTimeField):
    """A time in UTC with its offset."""


def names_of(shape: type[Shape]) -> tuple[str, ...]:
    """Return the names that a shape declares, in their order."""
    return tuple(shape().get_fields())


def page_of(shape: type[Shape], name: str) -> type[Shape]:
    """Return the shape of one page of a list."""
    return type(
        name,
        (serializers.Serializer,),
        {
            "__doc__": "One page; `next_cursor` is null on the last.",
            "results": shape(many=True),
            "next_cursor": serializers.CharField(allow_null=True),
        },
    )


def list_of(shape: type[Shape], name: str) -> type[Shape]:
    """Return the shape of a whole list."""
    return type(name, (serializers.Serializer,), {"__doc__": "The whole list.", "results": shape(many=True)})
