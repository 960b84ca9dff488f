"""Who answers at the broker: pinned by the first answer, compared with every later one, before anything is sent."""

from __future__ import annotations

from datetime import datetime

import structlog
from django.conf import settings
from django.db import transaction

from execution.brokers.alpaca_modes import NETWORK_MODES
from execution.brokers.base import Broker, BrokerAccount, WrongAccount
from execution.models import Account, BrokerLink
from execution.services.broker_link import link_of, note_account

log = structlog.get_logger(__name__)
PAPER_PREFIX = "PA"
LONGEST_PROBLEM = 300
SHOWN = 12
"""Characters of a key's fingerprint that are shown."""


def verify_identity(*, account: Account, broker: Broker, wall_now: datetime) -> BrokerAccount | None:
    """Ask the broker who we are there, and compare with the account's mode and with who answered first.

    The first good answer is pinned: account id, account number and the key's fingerprint. What is wrong is kept on the
    link until a later answer is right. Returns the answer, None for a mode without a broker on a network. Lock: the
    link, after the broker was asked.
    :raises WrongAccount: one clear line; nothing may be sent
    :raises BrokerUnavailable: nobody could be asked
    """
    if account.mode not in NETWORK_MODES:
        return None
    told = broker.account()
    problem = mode_problem(
        mode=account.mode, account_number=told.account_number, live_account=str(settings.LIVE_TRADING_ACCOUNT)
    ) or _pin(account, told, wall_now)
    _note_problem(account, problem)
    if problem:
        raise WrongAccount(f"account {account.name}: {problem}", code="wrong_account")
    note_account(
        account_id=account.pk, wall_now=wall_now, trading_blocked=told.trading_blocked, suspended=told.suspended
    )
    return told


def mode_problem(*, mode: str, account_number: str, live_account: str) -> str:
    """Say why an account of this number must not be traded in this mode; empty when it may."""
    if mode == Account.Mode.ALPACA_PAPER and not account_number.startswith(PAPER_PREFIX):
        return f"mode {mode} reached account {account_number}, which is no paper account ({PAPER_PREFIX}…)"
    if mode == Account.Mode.ALPACA_LIVE and account_number != live_account:
        return f"mode {mode} reached account {account_number}, but LIVE_TRADING_ACCOUNT is {live_account or 'not set'}"
    return ""


@transaction.atomic
def _pin(account: Account, told: BrokerAccount, wall_now: datetime) -> str:
    """Pin who answered first, or say how this answer differs from it."""
    link_of(account)
    link = BrokerLink.objects.select_for_update().get(account=account)
    if link.pinned_at is None:
        link.pinned_account_id, link.pinned_account_number = told.account_id, told.account_number
        link.pinned_key, link.pinned_at = told.key_fingerprint, wall_now
        link.save(update_fields=["pinned_account_id", "pinned_account_number", "pinned_key", "pinned_at"])
        Account.objects.filter(pk=account.pk).update(account_number=told.account_number)
        log.info("broker_account_pinned", account=account.name, number=told.account_number, broker_id=told.account_id)
        return ""
    return pin_problem(link, told)


def pin_problem(link: BrokerLink, told: BrokerAccount) -> str:
    """Say how an answer differs from who was pinned; empty when it does not."""
    since = f"since {link.pinned_at:%Y-%m-%d %H:%M} UTC"
    if told.account_number != link.pinned_account_number:
        return f"the broker answers for account {told.account_number}; it was {link.pinned_account_number} {since}"
    if told.account_id != link.pinned_account_id:
        return (
            f"account {told.account_number} has the id {told.account_id}; it was {link.pinned_account_id} {since}: "
            "the broker has made it anew"
        )
    if told.key_fingerprint != link.pinned_key:
        return (
            f"another key is in use (SHA-256 {told.key_fingerprint[:SHOWN]}…); it was {link.pinned_key[:SHOWN]}… "
            f"{since}: accept it with manage.py accept_broker_key"
        )
    return ""


def _note_problem(account: Account, problem: str) -> None:
    link = link_of(account)
    if link.identity_problem == problem[:LONGEST_PROBLEM]:
        return
    BrokerLink.objects.filter(pk=link.pk).update(identity_problem=problem[:LONGEST_PROBLEM])
    if problem:
        log.error("broker_identity_wrong", account=account.name, problem=problem)


def accept_key(*, account: Account, broker: Broker, operator: str, reason: str) -> str:
    """Pin the key in use instead of the one before, for the same account; returns the new fingerprint.

    Lock: the link, after the broker was asked.
    :raises WrongAccount: the key belongs to another account, or none is pinned
    :raises BrokerUnavailable: nobody could be asked
    """
    told = broker.account()
    with transaction.atomic():
        link = BrokerLink.objects.select_for_update().filter(account=account, pinned_at__isnull=False).first()
        if link is None:
            raise WrongAccount(f"account {account.name}: no key is pinned yet", code="nothing_pinned")
        same = (told.account_id, told.account_number) == (link.pinned_account_id, link.pinned_account_number)
        if not same:
            raise WrongAccount(f"account {account.name}: {pin_problem(link, told)}", code="wrong_account")
        before, link.pinned_key, link.identity_problem = link.pinned_key, told.key_fingerprint, ""
        link.save(update_fields=["pinned_key", "identity_problem"])
    log.warning(
        "broker_key_accepted",
        account=account.name,
        operator=operator,
        reason=reason,
        before=before[:SHOWN],
        after=told.key_fingerprint[:SHOWN],
    )
    return told.key_fingerprint
