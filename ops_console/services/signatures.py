"""Signed requests: `t=<unix seconds>,v1=<HMAC-SHA256 of "t.body">`, good for five minutes, once.

Several `v1` may stand in one header, so that a sender can change its secret without a gap.
"""

import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta

from django.db import IntegrityError, transaction

from ops_console.models import SeenSignature

WINDOW = timedelta(minutes=5)
HEADER = re.compile(r"t=(?P<t>[0-9]{1,12})(?P<signatures>(?:,v1=[0-9a-f]{64}){1,4})", re.ASCII)
FORM = "t=<unix seconds>,v1=<64 hexadecimal digits>"


class SignatureRefused(Exception):
    """The request is not signed by somebody who knows the secret, or not now."""


class SignatureUsed(Exception):
    """A request under this signature was accepted before."""


def sign(*, secret: str, body: bytes, at: datetime) -> str:
    """Return the header of a body that is sent now."""
    moment = int(at.timestamp())
    return f"t={moment},v1={_digest(secret, moment, body)}"


def verify(*, header: str, secret: str, body: bytes, wall_now: datetime) -> str:
    """Return the one signature that matches; comparing takes as long whatever was sent.

    :raises SignatureRefused: no such header, another secret or body, or signed more than five minutes from now
    """
    found = HEADER.fullmatch(header)
    if found is None:
        raise SignatureRefused(f"the header must be {FORM}")
    moment = int(found["t"])
    wanted = _digest(secret, moment, body)
    given = found["signatures"].removeprefix(",v1=").split(",v1=")
    matches = [hmac.compare_digest(wanted, signature) for signature in given]
    if not any(matches):
        raise SignatureRefused("no signature of this time and body with our secret")
    age = abs(wall_now - datetime.fromtimestamp(min(moment, 2**33), UTC))
    if age > WINDOW:
        allowed = int(WINDOW.total_seconds())
        raise SignatureRefused(f"signed {int(age.total_seconds())} s from now, {allowed} s are allowed")
    return wanted


def use_once(*, signature: str, wall_now: datetime) -> None:
    """Note that something is accepted under the signature, in the caller's transaction; old notes go.

    Two at once with the same signature: the second waits for the first and is refused when that one is committed.
    :raises SignatureUsed: it was accepted before
    """
    SeenSignature.objects.filter(at__lt=wall_now - 2 * WINDOW).delete()
    try:
        with transaction.atomic():
            SeenSignature.objects.create(digest=signature, at=wall_now)
    except IntegrityError:
        raise SignatureUsed("this very request was accepted before; nothing was done again") from None


def _digest(secret: str, moment: int, body: bytes) -> str:
    return hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
