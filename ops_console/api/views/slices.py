"""Orders that are worked in slices: preview, place, list, show, pause, resume, cancel."""

from rest_framework.request import Request
from rest_framework.response import Response

from execution.errors import PlanRefused
from execution.models import Account, ParentOrder
from execution.parent_orders import Progress, progress, progress_of
from execution.services.slices import (
    cancel_parent,
    create_parent,
    pause_parent,
    preview_parent,
    resume_parent,
)
from execution.slicing.states import PARENT_LIVE, PARENT_OVER, ParentStatus
from marketdata.clock import wall_now
from ops_console.api import fields
from ops_console.api.answers.slices import (
    ParentDetailSerializer,
    ParentPageSerializer,
    ParentPreviewSerializer,
    detail_answer,
    parent_answer,
    preview_answer,
)
from ops_console.api.base import ApiView, body_of, caller_of, query_of
from ops_console.api.codes import FieldError, ProblemCode
from ops_console.api.desk import desk, order_account
from ops_console.api.openapi import documented
from ops_console.api.order_input import IDEMPOTENCY_KEY, key_from
from ops_console.api.pagination import PAGE_FIELDS, newest_first
from ops_console.api.problems import Problem, denied, invalid_fields
from ops_console.api.slice_input import SLICE_EXAMPLE, SLICE_FIELDS, parent_wish
from ops_console.api.throttling import Rate
from ops_console.api.views.orders import CANCEL_FIELDS, ORDER_ID, ORDER_PROBLEMS
from ops_console.scopes import Scope

ADDRESS = "/api/v1/orders/"
NEWEST_EVENTS = 100
LIVE_OR_OVER = {"open": sorted(PARENT_LIVE), "closed": sorted(PARENT_OVER)}
STATUSES = (*LIVE_OR_OVER, *ParentStatus.values)
LIST_FIELDS: dict[str, fields.Field] = {
    "status": fields.pattern(
        f"^({'|'.join(STATUSES)})$", f"one of {', '.join(STATUSES)}", "open, closed, or one status.", "open"
    ),
    "symbol": fields.symbol(),
    "strategy": fields.strategy(),
    **PAGE_FIELDS,
}
STEER_PROBLEMS = (ProblemCode.NOT_FOUND, ProblemCode.ORDER_NOT_OPEN)

NO_FIELDS: dict[str, fields.Field] = {}


class ParentsView(ApiView):
    """Place an order that is worked in slices, and list them."""

    scopes = {"GET": Scope.READ, "POST": Scope.TRADE}
    rates = {"POST": Rate.ORDERS}

    @documented(
        "slices_place",
        "Place an order that is worked in slices",
        description=(
            "The order and its whole plan are stored before the answer comes; each slice passes every check anew when "
            "it is due. What the gate would refuse as a whole, or as its largest slice, is not stored: 409, or 503 "
            "when the kill switch is engaged."
        ),
        body=SLICE_FIELDS,
        example=SLICE_EXAMPLE,
        headers=[IDEMPOTENCY_KEY],
        answers={201: ParentDetailSerializer, 200: ParentDetailSerializer},
        problems=ORDER_PROBLEMS,
    )
    def post(self, request: Request) -> Response:
        """Answer 201 with a new order and its plan, 200 with the same order again."""
        wish = parent_wish(body_of(request), caller=caller_of(request), idempotency_key=key_from(request.META))
        try:
            result = create_parent(wish=wish, account=order_account(), wall_now=wall_now())
        except PlanRefused as refusal:
            raise unplannable(refusal) from refusal
        if result.parent is None:
            raise denied(result.denials, decision_id=None, client_order_id=None)
        response = shown(result.parent, status=201 if result.created else 200)
        response.headers["Location"] = f"{ADDRESS}{result.parent.client_order_id}/slices"
        return response

    @documented(
        "slices_list",
        "List orders that are worked in slices, newest first",
        query=LIST_FIELDS,
        answers={200: ParentPageSerializer},
    )
    def get(self, request: Request) -> Response:
        """Return one page; three queries."""
        wanted = query_of(request, LIST_FIELDS)
        found = ParentOrder.objects.filter(account=desk().account).select_related("strategy", "instrument")
        if wanted["status"]:
            found = found.filter(status__in=LIVE_OR_OVER.get(wanted["status"], [wanted["status"]]))
        if wanted["symbol"]:
            found = found.filter(instrument__symbol=wanted["symbol"])
        if wanted["strategy"]:
            found = found.filter(strategy__name=wanted["strategy"])
        page = newest_first(found, limit=wanted["limit"], cursor=wanted["cursor"])
        done = progress_of(parent.pk for parent in page.rows)
        return Response(page.body(lambda parent: parent_answer(parent, done.get(parent.pk, Progress()))))


class ParentPreviewView(ApiView):
    """See the plan without placing anything."""

    scopes = {"POST": Scope.TRADE}
    rates = {"POST": Rate.ORDERS}

    @documented(
        "slices_preview",
        "Preview an order that is worked in slices",
        description="The plan as it would be now, and what the gate would say to it. Nothing is stored or locked.",
        body=SLICE_FIELDS,
        example=SLICE_EXAMPLE,
        headers=[IDEMPOTENCY_KEY],
        answers={200: ParentPreviewSerializer},
        problems=[ProblemCode.ORDER_CONFLICT],
    )
    def post(self, request: Request) -> Response:
        """Answer 200 whatever the gate would say."""
        wish = parent_wish(body_of(request), caller=caller_of(request), idempotency_key=key_from(request.META))
        try:
            seen = preview_parent(wish=wish, account=order_account(), wall_now=wall_now())
        except PlanRefused as refusal:
            raise unplannable(refusal) from refusal
        done = progress_of([seen.existing.pk]) if seen.existing else {}
        return Response(preview_answer(seen, done))


class SlicesView(ApiView):
    """One order that is worked in slices."""

    scopes = {"GET": Scope.READ, "DELETE": Scope.TRADE}

    @documented(
        "slices_get",
        "Get an order that is worked in slices",
        headers=[ORDER_ID],
        answers={200: ParentDetailSerializer},
        problems=[ProblemCode.NOT_FOUND],
    )
    def get(self, request: Request, client_order_id: str) -> Response:
        """Return the order with its slices and its newest events."""
        return shown(find_parent(desk().account, client_order_id))

    @documented(
        "slices_cancel",
        "Cancel an order that is worked in slices",
        description=(
            "200 when nothing of it was open and it is canceled; 202 when its open orders are being canceled. Asking "
            "again changes nothing. Never refused by the kill switch."
        ),
        headers=[ORDER_ID],
        answers={200: ParentDetailSerializer, 202: ParentDetailSerializer},
        problems=[ProblemCode.INVALID_INPUT, ProblemCode.CSRF_FAILED, *STEER_PROBLEMS],
    )
    def delete(self, request: Request, client_order_id: str) -> Response:
        """Answer with the order as it stands now."""
        if request._request.body:
            fields.read_fields(body_of(request), NO_FIELDS)
        now = desk()
        parent = find_parent(now.account, client_order_id)
        operator = caller_of(request).username
        canceled = cancel_parent(parent=parent, operator=operator, wall_now=now.wall_now)
        return shown(canceled, status=202 if canceled.is_live else 200)


class PauseView(ApiView):
    """Send nothing more for now."""

    scopes = {"POST": Scope.TRADE}

    @documented(
        "slices_pause",
        "Pause an order that is worked in slices",
        description="Its open orders are canceled, nothing more is sent until somebody resumes it.",
        headers=[ORDER_ID],
        body=CANCEL_FIELDS,
        example={"reason": "news is expected within minutes"},
        answers={200: ParentDetailSerializer},
        problems=STEER_PROBLEMS,
    )
    def post(self, request: Request, client_order_id: str) -> Response:
        """Answer with the order as it stands now."""
        values = fields.read_fields(body_of(request), CANCEL_FIELDS)
        now = desk()
        parent = find_parent(now.account, client_order_id)
        operator = caller_of(request).username
        return shown(pause_parent(parent=parent, operator=operator, wall_now=now.wall_now, reason=values["reason"]))


class ResumeView(ApiView):
    """Go on."""

    scopes = {"POST": Scope.TRADE}

    @documented(
        "slices_resume",
        "Resume an order that is worked in slices",
        description="What is left is planned anew over the time that is left, no slice beyond twice its planned size.",
        headers=[ORDER_ID],
        body={},
        answers={200: ParentDetailSerializer},
        problems=[*STEER_PROBLEMS, ProblemCode.RISK_DENIED, ProblemCode.KILL_SWITCH],
    )
    def post(self, request: Request, client_order_id: str) -> Response:
        """Answer with the order as it stands now."""
        fields.read_fields(body_of(request), {})
        now = desk()
        parent = find_parent(now.account, client_order_id)
        try:
            resumed, denials = resume_parent(parent=parent, operator=caller_of(request).username, wall_now=now.wall_now)
        except PlanRefused as refusal:
            raise Problem(ProblemCode.ORDER_NOT_OPEN, str(refusal)) from refusal
        if denials:
            raise denied(denials, decision_id=None, client_order_id=client_order_id)
        return shown(resumed)


def shown(parent: ParentOrder, *, status: int = 200) -> Response:
    """Answer with the order, its slices and its newest events."""
    slices = parent.slices.select_related("order").order_by("number")
    events = list(parent.events.order_by("-id")[:NEWEST_EVENTS])
    return Response(detail_answer(parent, progress(parent), slices, reversed(events)), status=status)


def find_parent(account: Account, client_order_id: str) -> ParentOrder:
    """Return the account's order of that id with all that answers need. One query.

    :raises Problem: there is none
    """
    found = ParentOrder.objects.filter(account=account, client_order_id=client_order_id)
    parent = found.select_related("strategy", "instrument", "account__feed").first()
    if parent is None:
        raise Problem(ProblemCode.NOT_FOUND, f"there is no order {client_order_id} that is worked in slices")
    return parent


def unplannable(refusal: PlanRefused) -> Problem:
    """Say which field would have to be another."""
    return invalid_fields([FieldError(refusal.field, "", str(refusal))])
