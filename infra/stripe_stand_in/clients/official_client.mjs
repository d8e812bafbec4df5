// Drives the stand-in with Stripe's own client, unchanged. Arguments: the base URL and the folder of node modules.
// Webhooks come on standard input, one JSON object {"body", "signature", "secret"} per line. Fails if anything is not
// as with Stripe.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const [baseUrl, modules] = process.argv.slice(2);
const loaded = createRequire(resolve(modules, "x"))("stripe");
const Stripe = loaded.default ?? loaded;
const { hostname: host, port } = new URL(baseUrl);
const stripe = new Stripe("sk_test_node", { host, port, protocol: "http" });

async function payAndRefund() {
  const intent = await stripe.paymentIntents.create({
    amount: 1500, currency: "czk", payment_method_types: ["card"], metadata: { reservation_id: "r1" },
  });
  const paid = await stripe.paymentIntents.confirm(intent.id, {
    payment_method: "pm_card_visa", expand: ["latest_charge"],
  });
  assert.equal(paid.status, "succeeded");
  assert.equal(paid.latest_charge.metadata.reservation_id, "r1");
  const refund = await stripe.refunds.create({ payment_intent: intent.id, amount: 500 });
  const tooMuch = stripe.refunds.create({ payment_intent: intent.id, amount: 1001 });
  await assert.rejects(tooMuch, { type: "StripeInvalidRequestError", code: "amount_too_large" });
  const { data } = await stripe.refunds.list({ payment_intent: intent.id });
  assert.deepEqual(data.map(({ id }) => id), [refund.id]);
}

async function authoriseCaptureAndCancel() {
  const manual = {
    amount: 2000, currency: "eur", capture_method: "manual", confirm: true, payment_method: "pm_card_visa",
    payment_method_types: ["card"],
  };
  const held = await stripe.paymentIntents.create(manual);
  assert.equal(held.status, "requires_capture");
  const captured = await stripe.paymentIntents.capture(held.id, { amount_to_capture: 1500 });
  assert.equal(captured.amount_received, 1500);
  const other = await stripe.paymentIntents.create(manual);
  assert.equal((await stripe.paymentIntents.cancel(other.id)).status, "canceled");
  await assert.rejects(stripe.paymentIntents.cancel(held.id), { code: "payment_intent_unexpected_state" });
}

async function refusals() {
  const intent = await stripe.paymentIntents.create({ amount: 1500, currency: "czk" });
  const declined = stripe.paymentIntents.confirm(intent.id, { payment_method: "pm_card_chargeDeclined" });
  await assert.rejects(declined, { type: "StripeCardError", code: "card_declined", statusCode: 402 });
  const waiting = await stripe.paymentIntents.confirm(intent.id, { payment_method: "pm_card_authenticationRequired" });
  assert.equal(waiting.status, "requires_action");
  await assert.rejects(stripe.paymentIntents.retrieve("pi_none"), { statusCode: 404, code: "resource_missing" });
  const browser = new Stripe("pk_test_node", { host, port, protocol: "http" });
  const paid = await browser.paymentIntents.confirm(intent.id, {
    payment_method: "pm_card_visa", client_secret: intent.client_secret,
  });
  assert.equal(paid.status, "succeeded");
}

async function idempotencyAndPages() {
  const params = { amount: 1500, currency: "czk" };
  const options = { idempotencyKey: "node-1" };
  const first = await stripe.paymentIntents.create(params, options);
  const second = await stripe.paymentIntents.create(params, options);
  assert.equal(first.id, second.id);
  const reused = stripe.paymentIntents.create({ ...params, amount: 1600 }, options);
  await assert.rejects(reused, { type: "StripeIdempotencyError" });
  const everything = await stripe.paymentIntents.list({ limit: 2 }).autoPagingToArray({ limit: 1000 });
  assert.equal(new Set(everything.map(({ id }) => id)).size, everything.length);
  assert.ok(everything.some(({ id }) => id === first.id));
  const events = await stripe.events.list({ type: "payment_intent.created", limit: 1 });
  assert.equal((await stripe.events.retrieve(events.data[0].id)).data.object.object, "payment_intent");
}

async function reconciliation() {
  const created = { gte: Math.floor(Date.now() / 1000) - 3600 };
  const [dispute] = (await stripe.disputes.list({ created, limit: 1, expand: ["data.charge"] })).data;
  assert.equal(dispute.status, "needs_response");
  assert.equal(dispute.charge.disputed, true);
  const { data } = await stripe.disputes.list({ payment_intent: dispute.payment_intent });
  assert.deepEqual(data.map(({ id }) => id), [dispute.id]);
  const refused = stripe.refunds.create({ payment_intent: dispute.payment_intent });
  await assert.rejects(refused, { type: "StripeInvalidRequestError", code: "charge_disputed" });
  const intents = await stripe.paymentIntents.list({ created, limit: 1, expand: ["data.latest_charge"] });
  assert.equal(intents.data[0].latest_charge.object, "charge");
  for (const delivery_success of [true, false]) {
    const events = await stripe.events.list({ created, delivery_success, limit: 100 });
    assert.ok(events.data.every(({ pending_webhooks }) => delivery_success ? pending_webhooks === 0 : true));
  }
}

async function checkout() {
  const { sessions } = stripe.checkout;
  const price_data = { currency: "czk", unit_amount: 100, product_data: { name: "Credits" } };
  const session = await sessions.create({
    mode: "payment", line_items: [{ quantity: 15, price_data }], payment_method_types: ["card"],
    success_url: "https://shop.example/paid?session={CHECKOUT_SESSION_ID}", client_reference_id: "user",
    metadata: { credits: 15 }, payment_intent_data: { metadata: { credits: 15 } },
  });
  assert.deepEqual([session.status, session.payment_status, session.amount_total], ["open", "unpaid", 1500]);
  assert.equal(session.payment_intent, null);
  assert.equal((await sessions.retrieve(session.id)).metadata.credits, "15");
  assert.equal((await sessions.expire(session.id)).url, null);
  await assert.rejects(sessions.expire(session.id), { type: "StripeInvalidRequestError", statusCode: 400 });
  const [paid] = (await sessions.list({ status: "complete", expand: ["data.payment_intent"] })).data;
  assert.deepEqual([paid.payment_status, paid.payment_intent.status], ["paid", "succeeded"]);
  await assert.rejects(sessions.create({ mode: "payment" }), { code: "parameter_missing" });
}

function webhooks() {
  const lines = readFileSync(0, "utf8").split("\n").filter(Boolean);
  assert.ok(lines.length > 0, "no webhook was given");
  for (const line of lines) {
    const { body, signature, secret } = JSON.parse(line);
    assert.equal(stripe.webhooks.constructEvent(body, signature, secret).object, "event");
    const forged = () => stripe.webhooks.constructEvent(`${body} `, signature, secret);
    assert.throws(forged, { type: "StripeSignatureVerificationError" });
  }
}

await reconciliation();
await payAndRefund();
await authoriseCaptureAndCancel();
await refusals();
await idempotencyAndPages();
await checkout();
webhooks();
