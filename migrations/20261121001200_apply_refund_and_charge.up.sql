-- What Stripe says of refunds, charges and disputes. None of them moves a reservation.

-- How far a refund has come: it may fail after it succeeded (https://docs.stripe.com/refunds#failed-refunds).
create function kitloop.refund_rank(p_status text) returns integer
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select case when p_status in ('failed', 'canceled') then 3 when p_status = 'succeeded' then 2 else 1 end
$$;

-- The payment of an intent, locked after its reservation; all null when there is none.
create function kitloop.lock_payment_of_intent(p_payment_intent_id text) returns public.payments
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_payment public.payments;
begin
    perform kitloop.lock_reservation(p.reservation_id, false) from public.payments p
    where p.payment_intent_id = p_payment_intent_id;
    select * into v_payment from public.payments p where p.payment_intent_id = p_payment_intent_id for update;
    return v_payment;
end
$$;

-- The refund that a fact is about, brought up to date: the one with Stripe's id; else ours, if the metadata names it and
-- Stripe had not got it yet; else a new one, made at Stripe by somebody else. All null when the fact is stale.
-- The caller holds the payment.
create function kitloop.write_refund_fact(p_payment public.payments, p_fact jsonb) returns public.refunds
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_refund public.refunds;
begin
    update public.refunds r
    set stripe_refund_id = p_fact ->> 'stripe_refund_id', amount_minor = (p_fact ->> 'amount_minor')::bigint,
        status = 'pending'
    where r.id = (p_fact ->> 'refund_id')::uuid and r.payment_id = p_payment.id and r.stripe_refund_id is null
        and not r.is_offline
        and not exists (select from public.refunds o where o.stripe_refund_id = p_fact ->> 'stripe_refund_id');
    insert into public.refunds as r (payment_id, stripe_refund_id, amount_minor, currency, status, reason)
    values (
        p_payment.id, p_fact ->> 'stripe_refund_id', (p_fact ->> 'amount_minor')::bigint, p_fact ->> 'currency',
        p_fact ->> 'status', 'external'
    )
    on conflict (stripe_refund_id) do update set status = excluded.status, updated_at = clock_timestamp()
    where kitloop.refund_rank(excluded.status) >= kitloop.refund_rank(r.status)
    returning * into v_refund;
    return v_refund;
end
$$;

-- Applies a fact about a refund: {stripe_refund_id, refund_id (ours, from the metadata), payment_intent_id, amount_minor,
-- currency, status}. One of ours that failed is made again, until three of the payment have failed; one that somebody
-- made elsewhere is theirs to make again. Decisions: refunded, partially_refunded, refund_failed, unmatched, stale.
-- Locks, in order: reservation, payment, refund, job.
create function kitloop.apply_refund(p_fact jsonb, out decision text, out reservation_id uuid)
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_payment public.payments;
    v_before text;
    v_refund public.refunds;
begin
    v_payment := kitloop.lock_payment_of_intent(p_fact ->> 'payment_intent_id');
    if v_payment.id is null then
        decision := 'unmatched';
        return;
    end if;
    reservation_id := v_payment.reservation_id;
    select r.status into v_before from public.refunds r where r.stripe_refund_id = p_fact ->> 'stripe_refund_id';
    v_refund := kitloop.write_refund_fact(v_payment, p_fact);
    if v_refund.reason <> 'external' then
        -- One that was given up, and made again, has arrived after all: it is not another decision.
        perform kitloop.shrink_unsent_refunds(v_payment.id, v_payment.credited_minor);
    end if;
    perform kitloop.credit(v_payment.id, 0);
    perform kitloop.shrink_unsent_refunds(v_payment.id, v_payment.captured_minor);
    decision := case
        when v_refund.id is null then 'stale'
        when v_refund.status in ('failed', 'canceled') then 'refund_failed'
        when kitloop.refunded_minor(v_payment.id) >= greatest(v_payment.captured_minor, 1) then 'refunded'
        else 'partially_refunded'
    end;
    if decision = 'refund_failed' and v_before is distinct from v_refund.status then
        perform kitloop.resend_refund(v_payment.id);
    end if;
end
$$;

-- Applies a fact about a charge: {payment_intent_id, type, captured, refunded, capture_before}. A charge never confirms:
-- an uncaptured one sends charge.succeeded too; and one that was only authorised is "refunded" when it is released,
-- without any money moving. Decisions: refunded, partially_refunded (charge.refunded; the amounts come with the refunds'
-- own events), ignored, unmatched. Locks, in order: reservation, payment.
create function kitloop.apply_charge(p_fact jsonb, out decision text, out reservation_id uuid)
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_payment public.payments;
begin
    v_payment := kitloop.lock_payment_of_intent(p_fact ->> 'payment_intent_id');
    reservation_id := v_payment.reservation_id;
    update public.payments p
    set capture_before = (p_fact ->> 'capture_before')::timestamptz
    where p.id = v_payment.id and p_fact ->> 'capture_before' is not null;
    decision := case
        when p_fact ->> 'type' <> 'charge.refunded' or not (p_fact ->> 'captured')::boolean then 'ignored'
        when v_payment.id is null then 'unmatched'
        when (p_fact ->> 'refunded')::boolean then 'refunded'
        else 'partially_refunded'
    end;
end
$$;

-- Whether a dispute is over (https://docs.stripe.com/api/disputes/object#dispute_object-status).
create function kitloop.is_dispute_over(p_status text) returns boolean
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select p_status in ('won', 'lost', 'warning_closed', 'prevented')
$$;

-- Whether a dispute leaves the money with us.
create function kitloop.is_dispute_favourable(p_status text) returns boolean
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select p_status in ('won', 'warning_closed', 'prevented')
$$;

-- Whether the bank has the money of a payment in dispute, so that Stripe refunds nothing. During an inquiry
-- (warning_…) it still does: https://docs.stripe.com/disputes/how-disputes-work#inquiries
create function kitloop.is_in_dispute(p_payment_id uuid) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
    select exists (
        select from public.disputes d
        where d.payment_id = p_payment_id and d.status in ('needs_response', 'under_review')
    )
$$;

-- Writes what a dispute is now; false when that is stale. One that is over stays so, whatever comes late, and a lost one
-- stays lost: what it took was credited, with a credit note. Should a bank ever give the money back after all, the
-- reconciliation shows the difference, for people to settle. The caller holds the payment.
create function kitloop.write_dispute_fact(p_payment_id uuid, p_fact jsonb) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_at timestamptz := coalesce((p_fact ->> 'at')::timestamptz, clock_timestamp());
begin
    insert into public.disputes as d (
        id, payment_id, amount_minor, currency, status, reason, evidence_due_by, status_at
    ) values (
        p_fact ->> 'dispute_id', p_payment_id, (p_fact ->> 'amount_minor')::bigint, p_fact ->> 'currency',
        p_fact ->> 'status', p_fact ->> 'reason', (p_fact ->> 'evidence_due_by')::timestamptz, v_at
    )
    on conflict (id) do update
    set amount_minor = excluded.amount_minor, status = excluded.status,
        reason = coalesce(excluded.reason, d.reason),
        evidence_due_by = coalesce(excluded.evidence_due_by, d.evidence_due_by), status_at = v_at,
        updated_at = clock_timestamp()
    where case
        when d.status = 'lost' then excluded.status = 'lost'
        when kitloop.is_dispute_over(d.status) then kitloop.is_dispute_over(excluded.status)
        else kitloop.is_dispute_over(excluded.status) or excluded.status_at >= d.status_at
    end;
    return found;
end
$$;

-- Carries the disputes of a payment to it and to its reservation: the flags, and what the bank took, which is booked as
-- credited. A dispute in another currency than the payment's is of all of it. The caller holds both.
create function kitloop.book_disputes(p_payment public.payments) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    update public.payments p
    set disputed = exists (
            select from public.disputes d where d.payment_id = p.id and not kitloop.is_dispute_favourable(d.status)
        ),
        lost_minor = (
            select coalesce(
                sum(case d.currency when p.currency then d.amount_minor else p.captured_minor end), 0
            )::bigint
            from public.disputes d
            where d.payment_id = p.id and d.status = 'lost'
        ),
        updated_at = clock_timestamp()
    where p.id = p_payment.id;
    perform kitloop.credit(p_payment.id, 0);
    perform kitloop.shrink_unsent_refunds(p_payment.id, p_payment.captured_minor);
    update public.reservations r
    set disputed = exists (select from public.payments p where p.reservation_id = r.id and p.disputed)
    where r.id = p_payment.reservation_id;
end
$$;

-- Applies a fact about a dispute: {dispute_id, payment_intent_id, amount_minor, currency, status, reason,
-- evidence_due_by, at}. Refunds that waited for its end go on. Decisions: disputed, unmatched, stale.
-- Locks, in order: reservation, payment, refund, job.
create function kitloop.apply_dispute(p_fact jsonb, out decision text, out reservation_id uuid)
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_payment public.payments;
begin
    v_payment := kitloop.lock_payment_of_intent(p_fact ->> 'payment_intent_id');
    if v_payment.id is null then
        decision := 'unmatched';
        return;
    end if;
    reservation_id := v_payment.reservation_id;
    if not kitloop.write_dispute_fact(v_payment.id, p_fact) then
        decision := 'stale';
        return;
    end if;
    decision := 'disputed';
    perform kitloop.book_disputes(v_payment);
    perform kitloop.notify(
        reservation_id, case when p_fact ->> 'status' like 'warning%' then 'inquiry_opened' else 'dispute_opened' end
    );
    if not kitloop.is_in_dispute(v_payment.id) then
        update public.jobs j set run_after = clock_timestamp()
        where j.payment_id = v_payment.id and j.kind = 'refund_payment' and j.status = 'queued';
    end if;
    if kitloop.is_dispute_over(p_fact ->> 'status') then
        perform kitloop.notify(reservation_id, 'dispute_closed');
    end if;
end
$$;
