"""The groups that people are put in; what each may do follows from the group's name (`ops_console.scopes`)."""

from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.db.models import Q

from ops_console.scopes import ROLE_SCOPES, Scope

OUR_APPS = ("marketdata", "signals", "risk", "execution", "trading", "ops_console")
PEOPLE = Q(content_type__app_label="auth", content_type__model__in=["user", "group"])
# Acts in the admin, under the names of Django's permissions: the apps that offer them know no roles.
ACTS: dict[Scope, tuple[str, ...]] = {
    Scope.TRADE: ("execution.change_order", "risk.add_killswitchevent", "risk.add_breakerevent", "risk.change_alert"),
    Scope.RISK: (
        "execution.change_strategy",
        "marketdata.change_feed",
        "marketdata.change_instrument",
        "marketdata.change_quarantinedbar",
        "risk.add_limit",
        "risk.add_restrictedinstrument",
        "risk.change_breakerevent",
        "risk.change_limit",
        "risk.change_releaserequest",
        "risk.change_restrictedinstrument",
        "risk.delete_limit",
    ),
    Scope.ADMIN: ("admin.view_logentry", "django_q.view_failure", "django_q.view_success"),
}


@transaction.atomic
def ensure_roles() -> list[str]:
    """Make the four groups with their rights in the admin; what was added by hand stays. Returns their names.

    Everybody may look; acts are given by scope (`ACTS`), each of them a call of a service; the admin role also keeps
    people and API tokens.
    """
    look = list(Permission.objects.filter(content_type__app_label__in=OUR_APPS, codename__startswith="view_"))
    tokens = Q(content_type__app_label="ops_console", content_type__model="apitoken")
    keep = list(Permission.objects.filter((PEOPLE & ~Q(codename__startswith="delete_")) | tokens))
    for name, held in ROLE_SCOPES.items():
        group, _created = Group.objects.get_or_create(name=name)
        group.permissions.add(*look, *_acts(held), *(keep if name == "admin" else []))
    return list(ROLE_SCOPES)


def _acts(held: Scope) -> list[Permission]:
    wanted = Q(pk=None)
    for scope, names in ACTS.items():
        for app, codename in (name.split(".") for name in names if held.covers(scope)):
            wanted |= Q(content_type__app_label=app, codename=codename)
    return list(Permission.objects.filter(wanted))
