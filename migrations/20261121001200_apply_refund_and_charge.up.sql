-- What Stripe says of refunds, charges and disputes. None of them moves a reservation.

-- Money of a payment that went back or is on its way, in minor units.
create function kitloop.refunded_minor(p_payment_id uuid) returns bigint
language sql stable set search_path = pg_catalog, pg_temp as $$
    select coalesce(sum(r.amount_minor), 0)::bigint from public.refunds r
    where r.payment_id = p_payment_id and r.status in ('pending', 'requires_action', 'succeeded')
$$;

-- Whether the money of a payment has to go back as far as it has not: another payment took its place, or there is no
-- booking for it. What was captured of somebody who then did not come is a kept fee.
create function kitloop.must_go_back(p_payment public.payments) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
    select p_payment.captured_minor > kitloop.refunded_minor(p_payment.id) and (
        p_payment.superseded or exists (
            select from public.reservations r
            where r.id = p_payment.reservation_id and r.status = 'cancelled'
        )
    )
$$;

-- How many refunds of a payment failed; after three a person has to look.
create function kitloop.failed_refunds(p_payment_id uuid) returns bigint
language sql stable set search_path = pg_catalog, pg_temp as $$
    select count(*) from public.refunds r where r.payment_id = p_payment_id and r.status in ('failed', 'canceled')
$$;

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

-- Applies a fact about a refund: {refund_id, payment_intent_id, amount_minor, currency, status}. Money that should have
-- gone back and did not is sent again by another job, until three refunds of the payment have failed. Decisions:
-- refunded, partially_refunded, refund_failed, unmatched, stale. Locks, in order: reservation, payment, refund, job.
create function kitloop.apply_refund(p_fact jsonb, out decision text, out reservation_id uuid)
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
    insert into public.refunds as r (id, payment_id, amount_minor, currency, status)
    values (
        p_fact ->> 'refund_id', v_payment.id, (p_fact ->> 'amount_minor')::bigint, p_fact ->> 'currency',
        p_fact ->> 'status'
    )
    on conflict (id) do update set status = excluded.status, updated_at = clock_timestamp()
    where kitloop.refund_rank(excluded.status) >= kitloop.refund_rank(r.status);
    decision := case
        when not found then 'stale'
        when p_fact ->> 'status' in ('failed', 'canceled') then 'refund_failed'
        when kitloop.refunded_minor(v_payment.id) >= greatest(v_payment.captured_minor, 1) then 'refunded'
        else 'partially_refunded'
    end;
    if decision = 'refund_failed' and kitloop.must_go_back(v_payment) and kitloop.failed_refunds(v_payment.id) < 3 then
        perform kitloop.enqueue_job('refund_payment', v_payment.id);
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

-- Applies a fact about a dispute: {payment_intent_id, status}. One that is over stays so, whatever comes late.
-- Decisions: disputed, unmatched, stale. Locks, in order: reservation, payment.
create function kitloop.apply_dispute(p_fact jsonb, out decision text, out reservation_id uuid)
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_payment public.payments;
begin
    v_payment := kitloop.lock_payment_of_intent(p_fact ->> 'payment_intent_id');
    reservation_id := v_payment.reservation_id;
    update public.payments p
    set dispute_status = p_fact ->> 'status', updated_at = clock_timestamp(),
        disputed = p_fact ->> 'status' not in ('won', 'warning_closed', 'prevented')
    where p.id = v_payment.id
        and (p.dispute_status is null or not kitloop.is_dispute_over(p.dispute_status)
            or kitloop.is_dispute_over(p_fact ->> 'status'));
    decision := case when found then 'disputed' when v_payment.id is null then 'unmatched' else 'stale' end;
end
$$;
