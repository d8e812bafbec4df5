-- Staff sends money of a reservation back: by card, in full or in part, or hands it over at the counter.

-- The payment of a reservation that a refund is of, all of them locked: the one whose refunds failed, when money is
-- handed over at the counter, else the one payment. All null when there is none. The caller holds the reservation.
create function kitloop.lock_refunded_payment(p_reservation_id uuid, p_is_offline boolean) returns public.payments
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_payment public.payments;
begin
    perform from public.payments p where p.reservation_id = p_reservation_id order by p.id for update;
    select * into v_payment from public.payments p
    where p.reservation_id = p_reservation_id
        and (not p.superseded or (p_is_offline and kitloop.owed_minor(p) > 0))
    order by p_is_offline and kitloop.owed_minor(p) > 0 desc, p.id
    limit 1;
    return v_payment;
end
$$;

-- Why an amount of a payment cannot be refunded, as an outcome; null when it can. p_amount_minor null is all of it.
create function kitloop.refund_refusal(p_payment public.payments, p_amount_minor bigint, p_is_offline boolean)
returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
    select case
        when p_payment.id is null or p_payment.captured_minor = 0 then 'not_paid'
        when kitloop.is_in_dispute(p_payment.id) then 'payment_disputed'
        when kitloop.refundable_minor(p_payment) = 0 then 'already_refunded'
        when p_amount_minor > kitloop.refundable_minor(p_payment) then 'refund_exceeds_payment'
        when p_payment.method = 'offline' and not p_is_offline then 'paid_offline'
        when p_amount_minor <= 0 or p_amount_minor % kitloop.currency_step(p_payment.currency) <> 0
            then 'invalid_refund_amount'
    end
$$;

-- Writes a refund that was decided on. The caller holds the payment.
create function kitloop.write_requested_refund(
    p_payment public.payments, p_amount_minor bigint, p_note text, p_is_offline boolean
) returns public.refunds
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_refund public.refunds;
begin
    if not p_is_offline then
        return kitloop.refund_payment(p_payment.id, p_amount_minor, 'requested', p_note);
    end if;
    insert into public.refunds (payment_id, amount_minor, currency, status, reason, note, is_offline)
    values (p_payment.id, p_amount_minor, p_payment.currency, 'succeeded', 'requested', p_note, true)
    returning * into v_refund;
    perform kitloop.credit(p_payment.id, 0);
    return v_refund;
end
$$;

-- Decides on a refund and writes it. Refusals are outcomes with details.
-- Locks, in order: reservation, payments by id, job; at the commit the counter of credit notes.
create function kitloop.decide_refund(
    p_user_id uuid, p_is_admin boolean, p_reservation_id uuid, p_amount_minor bigint, p_note text, p_is_offline boolean,
    out outcome text, out answer jsonb
)
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_role text := kitloop.role_for_reservation(p_reservation_id, p_user_id, p_is_admin);
    v_reservation public.reservations;
    v_payment public.payments;
    v_refund public.refunds;
begin
    if v_role is distinct from 'staff' then
        outcome := case when v_role is null then 'reservation_not_found' else 'forbidden' end;
        return;
    end if;
    v_reservation := kitloop.lock_reservation(p_reservation_id, false);
    v_payment := kitloop.lock_refunded_payment(p_reservation_id, p_is_offline);
    outcome := kitloop.refund_refusal(v_payment, p_amount_minor, p_is_offline);
    if outcome is not null then
        answer := jsonb_build_object(
            'refundable_minor', coalesce(kitloop.refundable_minor(v_payment), 0), 'currency', v_reservation.currency,
            'step_minor', kitloop.currency_step(v_reservation.currency)
        );
        return;
    end if;
    v_refund := kitloop.write_requested_refund(
        v_payment, coalesce(p_amount_minor, kitloop.refundable_minor(v_payment)), p_note, p_is_offline
    );
    insert into public.audit_logs (actor, action, provider_id, reservation_id, details)
    values (
        'user:' || p_user_id, 'reservation_refund', v_reservation.provider_id, p_reservation_id,
        jsonb_build_object(
            'refund_id', v_refund.id, 'amount_minor', v_refund.amount_minor, 'is_offline', p_is_offline
        )
    );
    outcome := 'refunding';
    answer := jsonb_build_object(
        'refund_id', v_refund.id, 'status', v_refund.status, 'amount_minor', v_refund.amount_minor,
        'currency', v_refund.currency
    );
end
$$;

-- The operation: idempotency around decide_refund, for callers who send a key (p_idempotency_key null: none).
-- p_amount_minor: null is all that is left. p_note: why, for the books.
-- Outcomes: refunding; reservation_not_found, forbidden, not_paid, payment_disputed, already_refunded,
-- refund_exceeds_payment, paid_offline, invalid_refund_amount, idempotency_key_reused, request_in_flight.
-- Locks, in order: idempotency row, reservation, payments by id, job; at the commit the counter of credit notes.
create function kitloop.refund_reservation(
    p_caller text, p_idempotency_key text, p_request_hash text, p_user_id uuid, p_is_admin boolean,
    p_reservation_id uuid, p_amount_minor bigint, p_note text, p_is_offline boolean,
    out outcome text, out replayed boolean, out answer jsonb
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    replayed := false;
    if p_idempotency_key is not null then
        select not c.is_claimed, c.outcome, c.answer into replayed, outcome, answer
        from kitloop.claim_idempotency_key(p_caller, 'refund_reservation', p_idempotency_key, p_request_hash) c;
        if replayed then
            return;
        end if;
    end if;
    select d.outcome, d.answer into outcome, answer
    from kitloop.decide_refund(p_user_id, p_is_admin, p_reservation_id, p_amount_minor, p_note, p_is_offline) d;
    perform kitloop.store_answer(p_caller, 'refund_reservation', p_idempotency_key, outcome, answer)
    where p_idempotency_key is not null;
end
$$;

grant execute on function kitloop.refund_reservation(text, text, text, uuid, boolean, uuid, bigint, text, boolean)
to kitloop_app;
