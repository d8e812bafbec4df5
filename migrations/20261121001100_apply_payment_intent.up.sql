-- What Stripe says of a payment intent becomes what holds here: the one place where money moves a reservation.
--
-- The webhook, the customer's "I have paid", the jobs and the reconciliation all come through apply_payment_intent with
-- a fact: {payment_intent_id, status, amount_minor, amount_received_minor, currency, capture_method,
-- capture_before, reservation_id, provider_id, payment_id, generation, at}; the four ids are what we put into the intent's
-- metadata. Facts count, not their order (https://docs.stripe.com/webhooks#event-ordering).

-- How far a payment has come; news of a lower rank is stale.
create function kitloop.payment_rank(p_status text) returns integer
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select case
        when p_status in ('succeeded', 'canceled') then 3
        when p_status in ('requires_capture', 'capturing') then 2
        else 1
    end
$$;

-- Whether a fact is older than what is known of the payment.
create function kitloop.is_stale(p_payment public.payments, p_fact jsonb) returns boolean
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select case kitloop.payment_rank(p_fact ->> 'status') - kitloop.payment_rank(p_payment.status)
        when 0 then case
            when p_payment.status in ('succeeded', 'canceled') then p_fact ->> 'status' <> p_payment.status
            when p_payment.status in ('requires_capture', 'capturing') then false
            else coalesce((p_fact ->> 'at')::timestamptz < p_payment.status_at, false)
        end
        else kitloop.payment_rank(p_fact ->> 'status') < kitloop.payment_rank(p_payment.status)
    end
$$;

-- Whether the money of a fact is this much: what was received, or authorised.
create function kitloop.is_amount(p_fact jsonb, p_amount_minor bigint, p_currency text) returns boolean
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select p_currency = p_fact ->> 'currency' and p_amount_minor = (
        p_fact ->> case p_fact ->> 'status' when 'succeeded' then 'amount_received_minor' else 'amount_minor' end
    )::bigint
$$;

-- The payment that a fact is about, locked: the one with its intent; else the one that the metadata names, whose intent is
-- being created at this moment, or was by somebody who died before it was recorded; else, for money only, a new one. That
-- takes the place of an unpaid one if the money is what the reservation costs, and is superseded from the start if it is
-- not, or if there is money or cash already.
-- All null for news without money of an intent that is not the reservation's. The caller holds the reservation.
create function kitloop.lock_payment(p_reservation public.reservations, p_fact jsonb) returns public.payments
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_payment public.payments;
    v_is_spare boolean;
begin
    select * into v_payment from public.payments p
    where p.payment_intent_id = p_fact ->> 'payment_intent_id'
    for update;
    if found then
        return v_payment;
    end if;
    update public.payments p
    set payment_intent_id = p_fact ->> 'payment_intent_id'
    where p.id = (p_fact ->> 'payment_id')::uuid and p.generation = (p_fact ->> 'generation')::integer
        and p.reservation_id = p_reservation.id and p.payment_intent_id is null
    returning * into v_payment;
    if found then
        return v_payment;
    elsif p_fact ->> 'status' not in ('requires_capture', 'succeeded') then
        return null;
    end if;
    v_payment := kitloop.lock_current_payment(p_reservation.id);
    v_is_spare := p_reservation.paid_at is not null
        or coalesce(v_payment.status in ('requires_capture', 'capturing', 'succeeded'), false)
        or not kitloop.is_amount(p_fact, p_reservation.amount_total_minor, p_reservation.currency);
    if v_payment.id is not null and not v_is_spare then
        update public.payments p set superseded = true where p.id = v_payment.id;
        perform kitloop.enqueue_job('cancel_payment_intent', v_payment.id);
    end if;
    insert into public.payments (
        reservation_id, payment_intent_id, capture_method, amount_minor, currency, superseded
    ) values (
        p_reservation.id, p_fact ->> 'payment_intent_id', coalesce(p_fact ->> 'capture_method', 'automatic'),
        p_reservation.amount_total_minor, p_reservation.currency, v_is_spare
    ) returning * into v_payment;
    return v_payment;
end
$$;

-- Sends all money of a payment back: a refund of what was captured, else the release of what was authorised.
create function kitloop.send_back(p_payment public.payments, p_reason text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if p_payment.status = 'succeeded' then
        perform kitloop.refund_payment(p_payment.id, p_payment.captured_minor, p_reason);
    else
        perform kitloop.enqueue_job('cancel_payment_intent', p_payment.id);
    end if;
end
$$;

-- Whether the lines of a reservation fit beside what others use. The caller holds the gear rows.
create function kitloop.is_still_free(p_reservation public.reservations, p_now timestamptz) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
    select upper(p_reservation.period) > p_now and not exists (
        select
        from public.reservation_lines l
        join public.gear_items g on g.id = l.gear_id
        where l.reservation_id = p_reservation.id
            and (
                g.archived_at is not null
                or kitloop.peak_use(l.gear_id, l.blocked, p_now, p_reservation.id) + l.quantity > g.quantity_total
            )
    )
$$;

-- Decides what money means for a reservation, as a decision. The caller holds reservation, gear rows and payment, and
-- has written the fact to the payment.
create function kitloop.settle_money(p_reservation public.reservations, p_payment public.payments, p_fact jsonb)
returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_now timestamptz := clock_timestamp();
    v_is_captured boolean := p_payment.status = 'succeeded';
begin
    if not kitloop.is_amount(p_fact, p_payment.amount_minor, p_payment.currency) then
        update public.payments p set superseded = true where p.id = p_payment.id;
        perform kitloop.send_back(p_payment, 'amount_mismatch');
        if p_reservation.status = 'authorized' and not p_payment.superseded then
            update public.reservations r
            set status = 'cancelled', cancel_reason = 'payment_canceled'
            where r.id = p_reservation.id;
            perform kitloop.notify(p_reservation.id, 'cancellation');
        end if;
        return 'amount_mismatch';
    end if;
    if p_payment.superseded then
        perform kitloop.send_back(p_payment, 'duplicate_payment');
        return 'duplicate_payment';
    end if;
    if p_reservation.status in ('confirmed', 'active', 'completed') then
        return 'already_confirmed';
    end if;
    if p_reservation.status in ('cancelled', 'no_show') then
        perform kitloop.send_back(p_payment, 'late_payment');
        return 'refund_late_payment';
    end if;
    if p_reservation.status = 'authorized'
        or (p_reservation.status = 'hold' and p_reservation.reserved_until > v_now)
        or kitloop.is_still_free(p_reservation, v_now)
    then
        update public.reservations r
        set status = case when v_is_captured then 'confirmed' else 'authorized' end,
            paid_at = case when v_is_captured then v_now end
        where r.id = p_reservation.id;
        perform kitloop.notify(p_reservation.id, 'confirmation') where v_is_captured;
        return case when v_is_captured then 'confirmed' else 'authorized' end;
    end if;
    update public.reservations r
    set status = 'cancelled', cancel_reason = 'conflict'
    where r.id = p_reservation.id;
    perform kitloop.send_back(p_payment, 'conflict');
    perform kitloop.notify(p_reservation.id, kind) from unnest(array['conflict_apology', 'conflict_notice']) kind;
    return 'cancelled_conflict';
end
$$;

-- Decides on a fact that repeats what is known, as a decision without effect; null when it is news.
create function kitloop.repeated_decision(p_reservation public.reservations, p_payment public.payments, p_status text)
returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select case
        when p_status = 'canceled' and p_payment.status = 'canceled' then 'payment_canceled'
        when p_status = 'succeeded' and p_payment.status = 'succeeded' then case
            when not p_payment.superseded and p_reservation.status in ('confirmed', 'active', 'completed')
                then 'already_confirmed'
            else 'stale'
        end
        when p_status = 'requires_capture' and p_payment.status in ('requires_capture', 'capturing') then case
            when not p_payment.superseded and p_reservation.status = 'authorized' then 'authorized' else 'stale'
        end
    end
$$;

-- Writes a fact to its payment. What went back before we heard that it came in is credited now.
create function kitloop.write_payment_fact(p_payment_id uuid, p_fact jsonb) returns public.payments
language sql set search_path = pg_catalog, pg_temp as $$
    update public.payments p
    set status = p_fact ->> 'status',
        status_at = coalesce((p_fact ->> 'at')::timestamptz, clock_timestamp()),
        captured_minor = case p_fact ->> 'status'
            when 'succeeded' then (p_fact ->> 'amount_received_minor')::bigint
            else p.captured_minor
        end,
        credited_minor = case p_fact ->> 'status'
            when 'succeeded' then least(p.credited_minor, (p_fact ->> 'amount_received_minor')::bigint)
            else p.credited_minor
        end,
        authorized_at = case p_fact ->> 'status'
            when 'requires_capture' then clock_timestamp()
            else p.authorized_at
        end,
        capture_before = coalesce((p_fact ->> 'capture_before')::timestamptz, p.capture_before),
        claimed_until = null,
        updated_at = clock_timestamp()
    where p.id = p_payment_id
    returning p.*
$$;

-- The decision on a fact without money.
create function kitloop.moneyless_decision(p_status text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select case p_status
        when 'requires_payment_method' then 'payment_failed'
        when 'processing' then 'processing'
        when 'requires_action' then 'requires_action'
        when 'canceled' then 'payment_canceled'
        when 'requires_confirmation' then 'ignored'
    end
$$;

-- Applies a fact about a payment intent. Decisions: confirmed, already_confirmed, authorized, cancelled_conflict,
-- refund_late_payment, duplicate_payment, amount_mismatch, payment_canceled, payment_failed, processing,
-- requires_action, ignored, unmatched, stale. Locks, in order: reservation, gear rows by id (money only), payment, job.
create function kitloop.apply_payment_intent(p_fact jsonb, out decision text, out reservation_id uuid)
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_status text := p_fact ->> 'status';
    v_reservation public.reservations;
    v_payment public.payments;
begin
    select p.reservation_id into reservation_id from public.payments p
    where p.payment_intent_id = p_fact ->> 'payment_intent_id';
    if not found then
        select r.id into reservation_id from public.reservations r
        where r.id = (p_fact ->> 'reservation_id')::uuid and r.provider_id = (p_fact ->> 'provider_id')::uuid;
    end if;
    if reservation_id is null then
        decision := 'unmatched';
        return;
    end if;
    v_reservation := kitloop.lock_reservation(reservation_id, v_status in ('requires_capture', 'succeeded'));
    v_payment := kitloop.lock_payment(v_reservation, p_fact);
    decision := case
        -- An intent that is not the reservation's: true, and without effect.
        when v_payment.id is null then kitloop.moneyless_decision(v_status)
        when kitloop.is_stale(v_payment, p_fact) then 'stale'
        else kitloop.repeated_decision(v_reservation, v_payment, v_status)
    end;
    if decision is not null then
        update public.payments p
        set capture_before = (p_fact ->> 'capture_before')::timestamptz
        where p.id = v_payment.id and p.status in ('requires_capture', 'capturing')
            and p.capture_before is distinct from (p_fact ->> 'capture_before')::timestamptz
            and p_fact ->> 'capture_before' is not null;
        return;
    end if;
    v_payment := kitloop.write_payment_fact(v_payment.id, p_fact);
    -- A dispute that was heard of before its payment takes what has come in now.
    perform kitloop.book_disputes(v_payment)
    where v_status = 'succeeded' and exists (select from public.disputes d where d.payment_id = v_payment.id);
    decision := coalesce(
        kitloop.moneyless_decision(v_status), kitloop.settle_money(v_reservation, v_payment, p_fact)
    );
    if decision = 'payment_canceled' and not v_payment.superseded then
        update public.reservations r
        set status = 'cancelled', cancel_reason = 'payment_canceled'
        where r.id = reservation_id and r.status in ('hold', 'authorized');
        perform kitloop.notify(reservation_id, 'cancellation') where v_reservation.status = 'authorized';
    end if;
end
$$;

-- The operation for those who looked an intent up at Stripe: the fact applied, and where the reservation stands now.
create function kitloop.settle_payment_intent(
    p_fact jsonb, out decision text, out reservation_id uuid, out status text, out paid_at timestamptz,
    out cancel_reason text
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    select a.decision, a.reservation_id into decision, reservation_id from kitloop.apply_payment_intent(p_fact) a;
    select r.status, r.paid_at, r.cancel_reason into status, paid_at, cancel_reason from public.reservations r
    where r.id = reservation_id;
end
$$;

grant execute on function kitloop.settle_payment_intent(jsonb) to kitloop_app;
