"""Drives the stand-in with Stripe's own client, unchanged. Arguments: the base URL. Webhooks come on standard input,
one JSON object {"body", "signature", "secret"} per line. Fails with a traceback if anything is not as with Stripe."""

import json
import sys
import time

import stripe

client = stripe.StripeClient("sk_test_python", base_addresses={"api": sys.argv[1]}, max_network_retries=2)
intents = client.v1.payment_intents


def refusal_of(call, kind):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} expected")


def pay_and_refund():
    intent = intents.create(
        {"amount": 1500, "currency": "czk", "payment_method_types": ["card"], "metadata": {"reservation_id": "r1"}}
    )
    paid = intents.confirm(intent.id, {"payment_method": "pm_card_visa", "expand": ["latest_charge"]})
    assert paid.status == "succeeded" and paid.latest_charge.captured is True
    assert paid.latest_charge.metadata["reservation_id"] == "r1"
    refund = client.v1.refunds.create({"payment_intent": intent.id, "amount": 500})
    assert refund.status == "succeeded"
    too_much = {"payment_intent": intent.id, "amount": 1001}
    error = refusal_of(lambda: client.v1.refunds.create(too_much), stripe.InvalidRequestError)
    assert error.code == "amount_too_large", error.code
    assert [found.id for found in client.v1.refunds.list({"payment_intent": intent.id}).data] == [refund.id]
    assert client.v1.charges.retrieve(paid.latest_charge.id).amount_refunded == 500


def authorise_capture_and_cancel():
    manual = {"amount": 2000, "currency": "eur", "capture_method": "manual", "confirm": True,
              "payment_method": "pm_card_visa", "payment_method_types": ["card"]}
    held = intents.create(manual)
    assert held.status == "requires_capture" and held.amount_capturable == 2000
    assert intents.capture(held.id, {"amount_to_capture": 1500}).amount_received == 1500
    assert intents.cancel(intents.create(manual).id).status == "canceled"
    error = refusal_of(lambda: intents.cancel(held.id), stripe.InvalidRequestError)
    assert error.code == "payment_intent_unexpected_state"


def refusals():
    intent = intents.create({"amount": 1500, "currency": "czk"})
    declined = refusal_of(
        lambda: intents.confirm(intent.id, {"payment_method": "pm_card_chargeDeclined"}), stripe.CardError
    )
    assert declined.code == "card_declined" and declined.error.payment_intent.id == intent.id
    waiting = intents.confirm(intent.id, {"payment_method": "pm_card_authenticationRequired"})
    assert waiting.status == "requires_action"
    missing = refusal_of(lambda: intents.retrieve("pi_none"), stripe.InvalidRequestError)
    assert missing.http_status == 404 and missing.code == "resource_missing"
    stranger = stripe.StripeClient("sk_live_x", base_addresses={"api": sys.argv[1]})
    refusal_of(lambda: stranger.v1.payment_intents.list(), stripe.AuthenticationError)


def idempotency_and_pages():
    params, options = {"amount": 1500, "currency": "czk"}, {"idempotency_key": "python-1"}
    first, second = intents.create(params, options), intents.create(params, options)
    assert first.id == second.id
    assert second.last_response.headers["idempotent-replayed"] == "true"
    refusal_of(lambda: intents.create({**params, "amount": 1600}, options), stripe.IdempotencyError)
    everything = [intent.id for intent in intents.list({"limit": 2}).auto_paging_iter()]
    assert len(everything) == len(set(everything)) >= 4 and first.id in everything
    created = client.v1.events.list({"type": "payment_intent.created", "limit": 1}).data[0]
    assert client.v1.events.retrieve(created.id).data.object.object == "payment_intent"


def reconciliation():
    created = {"gte": int(time.time()) - 3600}
    dispute = client.v1.disputes.list({"created": created, "limit": 1, "expand": ["data.charge"]}).data[0]
    assert dispute.status == "needs_response" and dispute.charge.disputed is True
    listed = client.v1.disputes.list({"payment_intent": dispute.payment_intent})
    assert [found.id for found in listed.data] == [dispute.id]
    disputed = {"payment_intent": dispute.payment_intent}
    error = refusal_of(lambda: client.v1.refunds.create(disputed), stripe.InvalidRequestError)
    assert error.code == "charge_disputed", error.code
    listed = intents.list({"created": created, "limit": 1, "expand": ["data.latest_charge"]})
    assert listed.data[0].latest_charge.object == "charge"
    for delivered in (True, False):
        events = client.v1.events.list({"created": created, "delivery_success": delivered, "limit": 100}).data
        assert not delivered or all(event.pending_webhooks == 0 for event in events)


def checkout():
    sessions = client.v1.checkout.sessions
    price = {"currency": "czk", "unit_amount": 100, "product_data": {"name": "Credits"}}
    session = sessions.create({
        "mode": "payment", "line_items": [{"quantity": 15, "price_data": price}], "payment_method_types": ["card"],
        "success_url": "https://shop.example/paid?session={CHECKOUT_SESSION_ID}", "client_reference_id": "user",
        "metadata": {"credits": "15"}, "payment_intent_data": {"metadata": {"credits": "15"}},
    })
    assert (session.status, session.payment_status, session.amount_total) == ("open", "unpaid", 1500)
    assert session.payment_intent is None and session.url.startswith("https://checkout.stripe.com/c/pay/cs_test_")
    assert sessions.retrieve(session.id).metadata["credits"] == "15"
    assert sessions.expire(session.id).url is None
    error = refusal_of(lambda: sessions.expire(session.id), stripe.InvalidRequestError)
    assert error.http_status == 400
    paid = sessions.list({"status": "complete", "expand": ["data.payment_intent"]}).data[0]
    assert (paid.payment_status, paid.payment_intent.status) == ("paid", "succeeded")
    missing = refusal_of(lambda: sessions.create({"mode": "payment"}), stripe.InvalidRequestError)
    assert missing.code == "parameter_missing"


def webhooks():
    count = 0
    for line in sys.stdin:
        webhook = json.loads(line)
        event = client.construct_event(webhook["body"], webhook["signature"], webhook["secret"])
        assert event.object == "event" and event.data.object.id
        refusal_of(
            lambda: client.construct_event(webhook["body"] + " ", webhook["signature"], webhook["secret"]),
            stripe.SignatureVerificationError,
        )
        count += 1
    assert count > 0, "no webhook was given"


for part in (
    reconciliation, pay_and_refund, authorise_capture_and_cancel, refusals, idempotency_and_pages, checkout, webhooks,
):
    part()
