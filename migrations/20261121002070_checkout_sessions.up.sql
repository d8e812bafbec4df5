-- What Stripe says of Checkout Sessions, by which credits are bought: told by events, and found by asking.

-- Whether a fact about a Checkout Session says that exactly what was asked for is paid.
create function kitloop.is_topup_as_asked(p_topup public.credit_topups, p_fact jsonb) returns boolean
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select p_fact ->> 'payment_status' is not distinct from 'paid'
        and (p_fact ->> 'amount_minor')::bigint is not distinct from p_topup.amount_minor
        and p_fact ->> 'currency' is not distinct from p_topup.currency
$$;

-- Notes what was paid for a top-up, and what of it went back before that was known. The caller holds the intent and the
-- top-up.
create function kitloop.note_topup_payment(p_topup_id uuid, p_fact jsonb, p_status text) returns void
language sql set search_path = pg_catalog, pg_temp as $$
    update public.credit_topups t
    set status = p_status, paid_at = clock_timestamp(), payment_intent_id = p_fact ->> 'payment_intent_id',
        paid_minor = (p_fact ->> 'amount_minor')::bigint, paid_currency = p_fact ->> 'currency'
    where t.id = p_topup_id;
    select kitloop.note_topup_object(p_topup_id, e.payload #> '{data,object}')
    from public.stripe_webhook_events e
    where e.decision = 'unmatched' and e.payload #>> '{data,object,payment_intent}' = p_fact ->> 'payment_intent_id'
        and e.payload #>> '{data,object,object}' in ('refund', 'dispute')
$$;

-- Applies a fact about a Checkout Session: {checkout_session_id, topup_id (from the metadata), status, payment_status,
-- amount_minor, currency, payment_intent_id, event_id}. Credits are granted once, for the amount that was asked for and
-- only when it is paid; refunds and disputes that came before count then. Whether they were granted, the top-up says,
-- which is locked, and not the ledger's key: that names the event, or the session if Stripe was asked (event_id null).
-- Decisions: credits_granted, processing, payment_canceled, amount_mismatch (for a person to see to:
-- money_without_credits), stale, unmatched. Locks, in order: the intent, top-up, account.
create function kitloop.apply_checkout_session(p_fact jsonb) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_topup public.credit_topups;
    v_is_paid boolean := p_fact ->> 'payment_status' is not distinct from 'paid';
begin
    perform kitloop.lock_topup_intent(p_fact ->> 'payment_intent_id');
    select * into v_topup from public.credit_topups t
    where t.checkout_session_id = p_fact ->> 'checkout_session_id'
        or t.checkout_session_id is null and t.id = (p_fact ->> 'topup_id')::uuid
    for update;
    if not found then
        return 'unmatched';
    elsif v_topup.status = 'paid' or v_topup.status = 'mismatched' and not v_is_paid then
        return 'stale';
    end if;
    update public.credit_topups t set checkout_session_id = p_fact ->> 'checkout_session_id' where t.id = v_topup.id;
    if kitloop.is_topup_as_asked(v_topup, p_fact) then
        perform kitloop.note_topup_payment(v_topup.id, p_fact, 'paid');
        perform kitloop.enter_credits(
            v_topup.customer_id, v_topup.credits, 'topup',
            'stripe:' || coalesce(p_fact ->> 'event_id', p_fact ->> 'checkout_session_id') || ':topup'
        );
        perform kitloop.settle_topup(v_topup.id);
        return 'credits_granted';
    elsif v_is_paid then
        perform kitloop.note_topup_payment(v_topup.id, p_fact, 'mismatched');
        return 'amount_mismatch';
    elsif p_fact ->> 'status' = 'expired' then
        update public.credit_topups t set status = 'expired' where t.id = v_topup.id;
        return 'payment_canceled';
    end if;
    return 'processing';
end
$$;

-- How what Stripe says of a Checkout Session differs from what is known here; null when it does not, or when it is none of
-- a top-up's.
create function kitloop.checkout_session_difference(p_fact jsonb) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
    select case
        when t.checkout_session_id is null then 'unrecorded_session'
        when t.status = 'mismatched' and kitloop.is_topup_as_asked(t, p_fact) then 'status'
        when p_fact ->> 'payment_status' = 'paid' and t.status in ('open', 'expired') then 'status'
        when p_fact ->> 'status' = 'expired' and t.status = 'open' then 'status'
    end
    from public.credit_topups t
    where t.checkout_session_id = p_fact ->> 'checkout_session_id'
        or t.checkout_session_id is null and t.id = (p_fact ->> 'topup_id')::uuid
$$;

-- The operation: the sessions of top-ups that are still open here although they began before the window, in order of their
-- ids after p_cursor, at most p_limit: nobody lists them any more, so each is looked up.
create function kitloop.open_checkout_sessions(p_before timestamptz, p_cursor text, p_limit integer) returns setof text
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select t.checkout_session_id from public.credit_topups t
    where t.status = 'open' and t.created_at < p_before and t.checkout_session_id > coalesce(p_cursor, '')
    order by t.checkout_session_id
    limit p_limit
$$;

grant execute on function kitloop.open_checkout_sessions(timestamptz, text, integer) to kitloop_app;
