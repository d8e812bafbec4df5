-- A verified Stripe event, logged, decided on and applied in one transaction.

-- Applies a fact of any kind: what the webhook, the worker and the reconciliation all come through. Decisions: those of
-- the apply_ functions, and ignored for none. Locks, in order: reservation, gear rows by id, payment, refund, job; or
-- top-up, account; or the provider.
create function kitloop.apply_fact(p_fact jsonb, out decision text, out reservation_id uuid)
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    case p_fact ->> 'kind'
        when 'payment_intent' then
            select a.decision, a.reservation_id into decision, reservation_id from kitloop.apply_payment_intent(p_fact) a;
        when 'refund' then
            decision := kitloop.apply_topup_loss(p_fact);
            if decision is null then
                select a.decision, a.reservation_id into decision, reservation_id from kitloop.apply_refund(p_fact) a;
            end if;
        when 'charge' then
            select a.decision, a.reservation_id into decision, reservation_id from kitloop.apply_charge(p_fact) a;
        when 'dispute' then
            decision := kitloop.apply_topup_loss(p_fact);
            if decision is null then
                select a.decision, a.reservation_id into decision, reservation_id from kitloop.apply_dispute(p_fact) a;
            end if;
        when 'checkout_session' then
            decision := kitloop.apply_checkout_session(p_fact);
        when 'subscription' then
            decision := kitloop.apply_subscription(p_fact);
        else
            decision := 'ignored';
    end case;
end
$$;

-- Logs an event, or finds it. Returns true when it has to run: it is new, or failed before, or was about something that
-- was not known yet. A second delivery of the same event waits here for the first. Locks: the event's row.
create function kitloop.claim_stripe_event(p_event_id text, p_type text, p_payload jsonb) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    insert into public.stripe_webhook_events (id, type, status, payload)
    values (p_event_id, p_type, 'failed', p_payload)
    on conflict do nothing;
    if found then
        return true;
    end if;
    update public.stripe_webhook_events e
    set attempts = e.attempts + 1
    where e.id = p_event_id and (e.status = 'failed' or e.decision = 'unmatched');
    if found then
        return true;
    end if;
    update public.stripe_webhook_events e
    set replay_count = e.replay_count + 1, last_replayed_at = clock_timestamp()
    where e.id = p_event_id;
    return false;
end
$$;

-- The operation. p_fact: what the event says, by kind: payment_intent, refund, charge, dispute, checkout_session,
-- subscription; null for every other
-- event. Decisions: those of the apply_ functions, and ignored, replay.
-- Locks, in order: event row, reservation, gear rows by id, payment, refund.
create function kitloop.apply_stripe_event(
    p_event_id text, p_type text, p_payload jsonb, p_fact jsonb, out decision text, out reservation_id uuid
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if not kitloop.claim_stripe_event(p_event_id, p_type, p_payload) then
        decision := 'replay';
        select e.reservation_id into reservation_id from public.stripe_webhook_events e where e.id = p_event_id;
        return;
    end if;
    select a.decision, a.reservation_id into decision, reservation_id from kitloop.apply_fact(p_fact) a;
    update public.stripe_webhook_events e
    set status = case when apply_stripe_event.decision in ('ignored', 'unmatched') then 'ignored' else 'processed' end,
        decision = apply_stripe_event.decision,
        reservation_id = apply_stripe_event.reservation_id,
        last_error = null,
        processed_at = clock_timestamp()
    where e.id = p_event_id;
end
$$;

-- Marks an event failed, with the error, unless it is already processed: a call of its own, made after the one above
-- was rolled back. Stripe tries again, and then it runs again. Locks: the event's row.
create function kitloop.fail_stripe_event(p_event_id text, p_type text, p_payload jsonb, p_error text) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
    insert into public.stripe_webhook_events as e (id, type, status, payload, last_error)
    values (p_event_id, p_type, 'failed', p_payload, p_error)
    on conflict (id) do update set last_error = excluded.last_error, attempts = e.attempts + 1
    where e.status = 'failed'
$$;

grant execute on function kitloop.apply_stripe_event(text, text, jsonb, jsonb) to kitloop_app;
grant execute on function kitloop.fail_stripe_event(text, text, jsonb, text) to kitloop_app;
