import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from marketdata.lake import BarLake
from marketdata.models import CorporateAction, Feed, QuarantinedBar, UnreadableFrame
from marketdata.services.feeds import ensure_main_feed
from marketdata.services.gaps import keep_frames
from marketdata.services.sample import import_sample
from tests.marketdata.factories import WALL, make_feed, make_instrument, make_quote

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.marketdata.admin_urls")]
REASON = "checked against another source"
LIVE = ["marketsubscription", "tradingstatus", "feedgap", "unreadableframe"]
MODELS = ["instrument", "feed", "quote", "corporateaction", "barimport", "quarantinedbar", *LIVE]


def page(model: str) -> str:
    return reverse(f"admin:marketdata_{model}_changelist")


def decide(client: Client, action: str, reason: str) -> str:
    bars = [str(bar.pk) for bar in QuarantinedBar.objects.all()]
    form = {"action": action, "reason": reason, "_selected_action": bars}
    return client.post(page("quarantinedbar"), form, follow=True).content.decode()


@pytest.fixture
def kept(lake: BarLake) -> QuarantinedBar:
    import_sample(wall_now=WALL, symbols=["AAPL"])
    return QuarantinedBar.objects.get()


@pytest.mark.parametrize("model", MODELS)
def test_every_list_answers_and_searches(admin_client: Client, kept: QuarantinedBar, model: str) -> None:
    make_quote(make_feed())
    assert admin_client.get(page(model)).status_code == 200
    assert admin_client.get(page(model), {"q": "AAPL"}).status_code == 200


@pytest.mark.parametrize("model", ["feed", "quote", "barimport", "quarantinedbar", *LIVE])
def test_facts_are_neither_added_nor_changed_nor_deleted(
    admin_client: Client, kept: QuarantinedBar, model: str
) -> None:
    make_quote(make_feed())
    assert admin_client.get(reverse(f"admin:marketdata_{model}_add")).status_code == 403
    managers = {"feed": Feed.objects, "quarantinedbar": QuarantinedBar.objects}
    row = managers.get(model)
    if row is not None:
        first = row.first()
        assert first is not None
        assert admin_client.post(reverse(f"admin:marketdata_{model}_change", args=[first.pk]), {}).status_code == 403
        assert admin_client.post(reverse(f"admin:marketdata_{model}_delete", args=[first.pk]), {}).status_code == 403


def test_md3_an_operator_releases_a_bar_with_a_reason(admin_client: Client, kept: QuarantinedBar) -> None:
    assert "AAPL 2000-09-29: released" in decide(admin_client, "release", REASON)
    kept.refresh_from_db()
    assert (kept.status, kept.decided_by, kept.reason) == ("released", "admin", REASON)


def test_md3_an_operator_rejects_a_bar_with_a_reason(admin_client: Client, kept: QuarantinedBar) -> None:
    assert "AAPL 2000-09-29: rejected" in decide(admin_client, "reject", REASON)


def test_a_decision_without_a_reason_is_refused_with_words(admin_client: Client, kept: QuarantinedBar) -> None:
    assert "reason of 10 to 500 characters is needed" in decide(admin_client, "release", "")
    kept.refresh_from_db()
    assert kept.status == "quarantined"


def test_someone_who_may_only_look_decides_nothing(client: Client, kept: QuarantinedBar) -> None:
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_quarantinedbar"))
    client.force_login(viewer)
    decide(client, "release", REASON)
    kept.refresh_from_db()
    assert kept.status == "quarantined"


def test_corporate_actions_can_be_entered_and_corrected(admin_client: Client) -> None:
    instrument = make_instrument()
    form = {"instrument": instrument.pk, "kind": "split", "ex_date": "2012-06-14", "ratio": "2", "source": "manual"}
    answer = admin_client.post(reverse("admin:marketdata_corporateaction_add"), form)
    assert answer.status_code == 302
    assert CorporateAction.objects.get().ratio == 2
    wrong = admin_client.post(
        reverse("admin:marketdata_corporateaction_add"), {**form, "ex_date": "2012-06-15", "ratio": ""}
    )
    assert wrong.status_code == 200
    assert CorporateAction.objects.count() == 1


def test_a_replay_is_paused_and_goes_on_from_the_admin(admin_client: Client) -> None:
    feed = ensure_main_feed(wall_now=WALL)
    form = {"action": "pause", "_selected_action": [str(feed.pk)]}
    assert "paused" in admin_client.post(page("feed"), form, follow=True).content.decode()
    feed.refresh_from_db()
    assert feed.paused_at is not None
    admin_client.post(page("feed"), {**form, "action": "resume"}, follow=True)
    feed.refresh_from_db()
    assert feed.paused_at is None


def test_steering_what_is_no_replay_is_refused_with_words(admin_client: Client) -> None:
    form = {"action": "pause", "_selected_action": [str(make_feed().pk)]}
    assert "only a replay" in admin_client.post(page("feed"), form, follow=True).content.decode()


def test_a_longer_list_of_quotes_takes_no_more_queries(admin_client: Client) -> None:
    feed = make_feed()

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            admin_client.get(page("quote"))
        return len(captured)

    make_quote(feed, "AAPL")
    queries()
    few = queries()
    for number in range(30):
        make_quote(feed, f"S{number}")
    assert queries() == few


def test_the_symbol_of_an_instrument_stays(admin_client: Client) -> None:
    instrument = make_instrument()
    text = admin_client.get(reverse("admin:marketdata_instrument_change", args=[instrument.pk])).content.decode()
    assert 'name="symbol"' not in text
    assert 'name="symbol"' in admin_client.get(reverse("admin:marketdata_instrument_add")).content.decode()


def test_an_unreadable_frame_shows_how_it_begins(admin_client: Client) -> None:
    keep_frames(feed=make_feed(), source="test", frames=[(b"\xc1<b>", "no msgpack")], received_at=WALL)
    frame = UnreadableFrame.objects.get()
    html = admin_client.get(reverse("admin:marketdata_unreadableframe_change", args=[frame.pk])).content.decode()
    assert "\\xc1&lt;b&gt;" in html
