"""Models: look, train, activate, roll back, and let this process look for what is active."""

from decimal import Decimal
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from marketdata.clock import wall_now
from ops_console.api import fields
from ops_console.api.answers.jobs import JobDetailSerializer, job_detail_answer
from ops_console.api.answers.models import (
    ModelApprovalSerializer,
    ModelDetailSerializer,
    ModelPageSerializer,
    ModelReloadsSerializer,
    approval_answer,
    model_answer,
    model_detail_answer,
)
from ops_console.api.base import ApiView, body_of, caller_of, query_of
from ops_console.api.codes import ProblemCode
from ops_console.api.openapi import documented
from ops_console.api.pagination import PAGE_FIELDS, newest_first
from ops_console.api.problems import Problem
from ops_console.scopes import Scope
from signals import registry
from signals.models import ModelApproval, ModelVersion
from signals.states import ModelStatus
from signals.training.fit import MOST_SEED
from trading.services.jobs import ask

LIST_FIELDS: dict[str, fields.Field] = {
    "strategy": fields.strategy("Of this strategy."),
    "status": fields.choice(ModelStatus, "Where it stands."),
    **PAGE_FIELDS,
}
ACTIVATE_FIELDS: dict[str, fields.Field] = {
    "reason": fields.reason(),
    "approval_id": fields.whole("Another person's request, to approve it.", least=1, most=2**62),
}
REASON_FIELDS: dict[str, fields.Field] = {"reason": fields.reason(required=True)}
REJECT_FIELDS: dict[str, fields.Field] = {
    "approval_id": fields.whole("The request.", least=1, most=2**62, required=True)
}
ROLLBACK_FIELDS: dict[str, fields.Field] = {
    "strategy": fields.strategy("Whose model.", required=True),
    "reason": fields.reason(required=True),
}
NO_FIELDS: dict[str, fields.Field] = {}


def _parameters() -> fields.Field:
    """Return a field for LightGBM's parameters; names and bounds are read where their meaning is known."""

    def read(raw: Any) -> dict[str, Any]:
        if not isinstance(raw, dict) or len(raw) > 40:
            raise fields.Refused
        return {name: _plain(value) for name, value in raw.items()}

    schema = {"type": "object", "example": {"num_leaves": 63}}
    return fields.Field(read, "an object", schema, "What differs from Qlib's parameters.")


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and value.as_tuple().exponent == 0 else float(value)
    return value


TRAIN_FIELDS: dict[str, fields.Field] = {
    "strategy": fields.strategy("A strategy that scores with a model of its own.", required=True),
    "symbols": fields.symbol_list(required=True),
    "start": fields.day("First session of the data.", required=True),
    "end": fields.day("Last session of the data.", required=True),
    "seed": fields.whole("Of everything random; 7 when left out.", least=0, most=MOST_SEED),
    "embargo": fields.whole("Sessions between two splits; 5 when left out.", least=2, most=250),
    "parameters": _parameters(),
}
DECIDED = [ProblemCode.NOT_FOUND, ProblemCode.ALREADY_IN_STATE, ProblemCode.MODEL_UNUSABLE]


class ModelsView(ApiView):
    """All versions."""

    @documented("models_list", "List models, newest first", query=LIST_FIELDS, answers={200: ModelPageSerializer})
    def get(self, request: Request) -> Response:
        """Return one page."""
        query = query_of(request, LIST_FIELDS)
        found = registry.model_versions(strategy=query["strategy"], status=query["status"])
        return Response(newest_first(found, limit=query["limit"], cursor=query["cursor"]).body(model_answer))


class ModelView(ApiView):
    """One version."""

    @documented("models_get", "Get a model", answers={200: ModelDetailSerializer}, problems=[ProblemCode.NOT_FOUND])
    def get(self, request: Request, model_id: int) -> Response:
        """Return it with its parameters, steps and requests."""
        return Response(model_detail_answer(registry.model_version(model_id)))


class ModelTrainView(ApiView):
    """Ask for a training."""

    scopes = {"POST": Scope.TRADE}

    @documented(
        "models_train",
        "Train a model",
        description=(
            "Done by the process `jobs` in the background: look at the job, whose result names the version. It is a "
            "candidate then and trades only once somebody has activated it."
        ),
        body=TRAIN_FIELDS,
        example={"strategy": "alpha_baseline", "symbols": ["AAPL", "IBM"], "start": "2004-01-02", "end": "2010-12-31"},
        answers={202: JobDetailSerializer},
    )
    def post(self, request: Request) -> Response:
        """Answer 202 with the job."""
        values = fields.read_fields(body_of(request), TRAIN_FIELDS)
        now = wall_now()
        wanted = {name: value for name, value in values.items() if value is not None}
        wanted |= {name: values[name].isoformat() for name in ("start", "end")}
        job = ask("train", wanted, asked_by=caller_of(request).username, now=now)
        response = Response(job_detail_answer(job, now), status=202)
        response.headers["Location"] = f"/api/v1/jobs/{job.pk}"
        return response


class ModelActivateView(ApiView):
    """Let a version trade."""

    scopes = {"POST": Scope.RISK}

    @documented(
        "models_activate",
        "Let a model trade in place of the active one",
        description=(
            "With `reason`: activates, 200; where two people are needed (staging, production, live) 202 with the "
            "request that another one has to approve within a day. With `approval_id`: approves another person's "
            "request, 200. The file is verified and asked its golden rows first."
        ),
        body=ACTIVATE_FIELDS,
        example={"reason": "rank IC 0.031 against 0.024 of the active one on the test split"},
        answers={200: ModelDetailSerializer, 202: ModelApprovalSerializer},
        problems=[*DECIDED, ProblemCode.SECOND_OPERATOR_REQUIRED, ProblemCode.REQUEST_NOT_PENDING],
    )
    def post(self, request: Request, model_id: int) -> Response:
        """Answer 200 with the version or 202 with the request."""
        body = body_of(request)
        approving = body.get("approval_id") is not None
        wanted = dict(ACTIVATE_FIELDS, reason=fields.reason(required=not approving))
        values = fields.read_fields(body, wanted)
        who, now = caller_of(request).username, wall_now()
        if approving:
            _require_for(values["approval_id"], model_id)
            return Response(model_detail_answer(registry.approve_activation(values["approval_id"], actor=who, now=now)))
        word: dict[str, Any] = {"actor": who, "reason": values["reason"], "now": now}
        if registry.needs_two_people():
            return Response(approval_answer(registry.request_activation(model_id, **word)), status=202)
        return Response(model_detail_answer(registry.activate(model_id, **word)))


class ModelRejectView(ApiView):
    """Turn a request down."""

    scopes = {"POST": Scope.RISK}

    @documented(
        "models_reject",
        "Turn a request to activate down",
        body=REJECT_FIELDS,
        answers={200: ModelApprovalSerializer},
        problems=[ProblemCode.NOT_FOUND, ProblemCode.REQUEST_NOT_PENDING],
    )
    def post(self, request: Request, model_id: int) -> Response:
        """Answer with the request, closed; who asked may take it back so."""
        values = fields.read_fields(body_of(request), REJECT_FIELDS)
        _require_for(values["approval_id"], model_id)
        who = caller_of(request).username
        return Response(approval_answer(registry.reject_activation(values["approval_id"], actor=who, now=wall_now())))


class ModelShadowView(ApiView):
    """Score without trading."""

    scopes = {"POST": Scope.RISK}

    @documented(
        "models_shadow",
        "Let a model score every run without trading",
        body=REASON_FIELDS,
        answers={200: ModelDetailSerializer},
        problems=DECIDED,
    )
    def post(self, request: Request, model_id: int) -> Response:
        """Answer with the version."""
        return Response(_moved(registry.shadow, request, model_id))


class ModelRetireView(ApiView):
    """Take a version out of use."""

    scopes = {"POST": Scope.RISK}

    @documented(
        "models_retire",
        "Take a model out of use",
        description="An active one leaves its strategy without a model; to go back to the one before, roll back.",
        body=REASON_FIELDS,
        answers={200: ModelDetailSerializer},
        problems=DECIDED,
    )
    def post(self, request: Request, model_id: int) -> Response:
        """Answer with the version."""
        return Response(_moved(registry.retire, request, model_id))


class ModelRollbackView(ApiView):
    """The version that was active before."""

    scopes = {"POST": Scope.RISK}

    @documented(
        "models_rollback",
        "Roll back to the model that was active before",
        description="One person is enough: what comes back was approved when it was activated.",
        body=ROLLBACK_FIELDS,
        answers={200: ModelDetailSerializer},
        problems=DECIDED,
    )
    def post(self, request: Request) -> Response:
        """Answer with the version that is active now."""
        values = fields.read_fields(body_of(request), ROLLBACK_FIELDS)
        who = caller_of(request).username
        version = registry.rollback(values["strategy"], actor=who, reason=values["reason"], now=wall_now())
        return Response(model_detail_answer(version))


class ModelReloadView(ApiView):
    """Look now."""

    scopes = {"POST": Scope.RISK}

    @documented(
        "models_reload",
        "Look for what is active, now",
        description=(
            "Every process looks each second by itself; this one looks at once, also where a load has failed. What it "
            "does not use is verified, not loaded, and nothing is loaded again that has not changed."
        ),
        body=NO_FIELDS,
        answers={200: ModelReloadsSerializer},
    )
    def post(self, request: Request) -> Response:
        """Answer with what this process uses of every strategy."""
        fields.read_fields(body_of(request), NO_FIELDS)
        return Response({"results": [found.as_dict() for found in registry.look_now()]})


def _moved(step: Any, request: Request, model_id: int) -> dict[str, Any]:
    values = fields.read_fields(body_of(request), REASON_FIELDS)
    version: ModelVersion = step(model_id, actor=caller_of(request).username, reason=values["reason"], now=wall_now())
    return model_detail_answer(version)


def _require_for(approval_id: int, model_id: int) -> None:
    asked = ModelApproval.objects.filter(pk=approval_id).first()
    if asked is not None and asked.version_id != model_id:
        raise Problem(ProblemCode.REQUEST_NOT_PENDING, f"request {approval_id} is for model {asked.version_id}")
