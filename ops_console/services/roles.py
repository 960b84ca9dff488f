"""The groups that people are put in; what each may do follows from the group's name (`ops_console.scopes`)."""

from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.db.models import Q

from ops_console.scopes import ROLE_SCOPES

OUR_APPS = ("marketdata", "signals", "risk", "execution", "trading", "ops_console")
PEOPLE = Q(content_type__app_label="auth", content_type__model__in=["user", "group"])


@transaction.atomic
def ensure_roles() -> list[str]:
    """Make the four groups with their rights in the admin; what was added by hand stays. Returns their names.

    Everybody may look; the admin role also keeps people and API tokens. Whatever the admin changes beyond that goes
    through services, which ask for the role themselves.
    """
    look = list(Permission.objects.filter(content_type__app_label__in=OUR_APPS, codename__startswith="view_"))
    tokens = Q(content_type__app_label="ops_console", content_type__model="apitoken")
    keep = list(Permission.objects.filter((PEOPLE & ~Q(codename__startswith="delete_")) | tokens))
    for name in ROLE_SCOPES:
        group, _created = Group.objects.get_or_create(name=name)
        group.permissions.add(*look, *(keep if name == "admin" else []))
    return list(ROLE_SCOPES)
