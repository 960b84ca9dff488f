"""Queries that people keep under a name of their own."""

from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction

from ops_console.models import LONGEST_SAVED_QUERY, SavedQuery

LONGEST_NAME = 80
MOST_OF_ONE = 200


class SavedQueryRefused(Exception):
    """The query cannot be kept like that; the text says why and what is allowed."""


@transaction.atomic
def save_query(*, owner: User, name: str, text: str, now: datetime) -> SavedQuery:
    """Keep a query, or replace the owner's query of that name. Locks: the owner's query.

    :raises SavedQueryRefused: no name, no text, too long, or too many
    """
    name, text = " ".join(name.split()), text.strip()
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise SavedQueryRefused(f"name {name[:LONGEST_NAME]!r} is not allowed: 1 to {LONGEST_NAME} characters are")
    if not 1 <= len(text) <= LONGEST_SAVED_QUERY or "\0" in text:
        raise SavedQueryRefused(
            f"a query of {len(text)} characters cannot be kept: 1 to {LONGEST_SAVED_QUERY} can, without null characters"
        )
    if SavedQuery.objects.filter(owner=owner).exclude(name=name).count() >= MOST_OF_ONE:
        raise SavedQueryRefused(f"{MOST_OF_ONE} queries are kept already, which is the limit: delete one first")
    query, _created = SavedQuery.objects.update_or_create(
        owner=owner,
        name=name,
        defaults={"text": text, "updated_at": now},
        create_defaults={"text": text, "created_at": now, "updated_at": now},
    )
    return query


def delete_query(*, owner: User, query_id: int) -> None:
    """Forget one of the owner's queries.

    :raises SavedQuery.DoesNotExist: it is not theirs
    """
    SavedQuery.objects.get(pk=query_id, owner=owner).delete()
