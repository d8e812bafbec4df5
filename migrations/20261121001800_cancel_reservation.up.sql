-- Cancelling: by the customer, under the provider's policy, or by the provider, for all of the money.

-- The smallest step of amounts that Stripe takes, in minor units: three-decimal amounts end in 0, and ISK and UGX, which
-- have no decimals, in 00 (https://docs.stripe.com/currencies#special-cases).
create function kitloop.currency_step(p_currency text) returns bigint
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select case
        when p_currency in ('BHD', 'JOD', 'KWD', 'OMR', 'TND') then 10
        when p_currency in ('ISK', 'UGX') then 100
        else 1
    end
$$;

-- A share of an amount, rounded up (in the customer's favour) to the currency's step.
create function kitloop.share_minor(p_amount_minor bigint, p_percent integer, p_currency text) returns bigint
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select (p_amount_minor * p_percent + 100 * step - 1) / (100 * step) * step
    from kitloop.currency_step(p_currency) step
$$;

-- What share a customer gets back who cancels at p_now: of the first step of the policy that is early enough.
create function kitloop.refund_percent(p_policy jsonb, p_start timestamptz, p_now timestamptz) returns integer
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select coalesce(max((step ->> 'refund_percent')::numeric::integer), 0)
    from jsonb_array_elements(p_policy) step
    where extract(epoch from p_start - p_now) >= (step ->> 'hours_before')::numeric * 3600
$$;

-- Why a reservation cannot be cancelled, as an outcome; null when it can.
create function kitloop.cancellation_refusal(
    p_reservation public.reservations, p_payment public.payments, p_now timestamptz
) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select case
        when p_reservation.status = 'cancelled' then 'already_cancelled'
        when p_reservation.status = 'active' then 'rental_started'
        when p_reservation.status in ('completed', 'no_show') then 'reservation_over'
        when p_reservation.status = 'confirmed' and upper(p_reservation.period) <= p_now then 'reservation_over'
        when p_payment.status = 'capturing' then 'capture_in_progress'
    end
$$;

-- Cancels, and has the money seen to: a refund of p_refund_minor, of which the rest is kept, or the intent called off;
-- what is still under way goes back when it lands. The caller holds reservation and payment.
create function kitloop.carry_out_cancellation(
    p_reservation_id uuid, p_payment public.payments, p_cancel_reason text, p_note text, p_refund_minor bigint
) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    update public.reservations r
    set status = 'cancelled', cancel_reason = p_cancel_reason, cancel_note = p_note
    where r.id = p_reservation_id;
    if p_payment.status = 'succeeded' then
        perform kitloop.refund_payment(p_payment.id, p_refund_minor, 'cancellation');
        update public.payments p set kept_minor = p.captured_minor - p.credited_minor where p.id = p_payment.id;
    elsif p_payment.payment_intent_id is not null then
        perform kitloop.enqueue_job('cancel_payment_intent', p_payment.id);
    end if;
    perform kitloop.notify(p_reservation_id, 'cancellation');
end
$$;

-- The operation. p_note: what the caller says of it, or null. p_is_preview: says the same without effect.
-- refund_percent: of what was paid; what lands after the cancellation goes back in full. refund_minor: of what has been
-- paid so far, capped at what is left of it.
-- Outcomes: cancelled; reservation_not_found, already_cancelled, rental_started, reservation_over, capture_in_progress.
-- Locks, in order: reservation, payment, job; at the commit the counter of credit notes.
create function kitloop.cancel_reservation(
    p_user_id uuid, p_is_admin boolean, p_reservation_id uuid, p_note text, p_is_preview boolean,
    out outcome text, out refund_minor bigint, out refund_percent integer, out currency text
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_role text := kitloop.role_for_reservation(p_reservation_id, p_user_id, p_is_admin);
    v_reservation public.reservations;
    v_payment public.payments;
    v_now timestamptz;
begin
    if v_role is null then
        outcome := 'reservation_not_found';
        return;
    end if;
    v_reservation := kitloop.lock_reservation(p_reservation_id, false);
    v_payment := kitloop.lock_current_payment(p_reservation_id);
    v_now := clock_timestamp();
    outcome := kitloop.cancellation_refusal(v_reservation, v_payment, v_now);
    if outcome is not null then
        return;
    end if;
    outcome := 'cancelled';
    currency := v_reservation.currency;
    select case
        when v_role = 'staff' or v_reservation.status <> 'confirmed' then 100
        else kitloop.refund_percent(p.cancellation_policy, lower(v_reservation.period), v_now)
    end into refund_percent
    from public.providers p
    where p.id = v_reservation.provider_id;
    refund_minor := coalesce(least(
        kitloop.share_minor(v_payment.captured_minor, refund_percent, currency), kitloop.refundable_minor(v_payment)
    ), 0);
    if p_is_preview then
        return;
    end if;
    perform kitloop.carry_out_cancellation(
        p_reservation_id, v_payment, case v_role when 'staff' then 'provider' else 'customer' end, p_note, refund_minor
    );
    insert into public.audit_logs (actor, action, provider_id, reservation_id, details)
    values (
        'user:' || p_user_id, 'reservation_cancel', v_reservation.provider_id, p_reservation_id,
        jsonb_build_object('refund_minor', refund_minor, 'refund_percent', refund_percent)
    );
end
$$;

grant execute on function kitloop.cancel_reservation(uuid, boolean, uuid, text, boolean) to kitloop_app;
