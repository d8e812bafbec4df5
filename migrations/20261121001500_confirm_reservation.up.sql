-- Confirming and declining: by staff (offline payment, capture, decline) and by the customer ("I have paid").

-- Staff takes cash: the hold becomes firm, and an open intent is cancelled so that nobody pays twice.
create function kitloop.confirm_offline(p_reservation_id uuid, p_payment public.payments, p_now timestamptz)
returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    update public.reservations r set status = 'confirmed', paid_at = p_now where r.id = p_reservation_id;
    if p_payment.id is not null then
        update public.payments p set superseded = true where p.id = p_payment.id;
        perform kitloop.enqueue_job('cancel_payment_intent', p_payment.id);
    end if;
    insert into public.payments (
        reservation_id, method, status, capture_method, amount_minor, captured_minor, currency, status_at
    )
    select r.id, 'offline', 'succeeded', 'automatic', r.amount_total_minor, r.amount_total_minor, r.currency, p_now
    from public.reservations r
    where r.id = p_reservation_id;
    perform kitloop.notify(p_reservation_id, 'confirmation');
end
$$;

-- Staff takes an authorised payment: the payment is being captured from now on, by the caller, or by a worker when the
-- caller's lease runs out.
create function kitloop.start_capture(p_payment_id uuid, p_worker text, p_lease_seconds integer) returns public.jobs
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_job public.jobs;
begin
    update public.payments p set status = 'capturing', updated_at = clock_timestamp() where p.id = p_payment_id;
    insert into public.jobs (kind, status, payment_id, attempts, fencing_token, locked_by, run_after, lease_until)
    values (
        'capture_payment_intent', 'running', p_payment_id, 1, 1, p_worker, clock_timestamp(),
        clock_timestamp() + make_interval(secs => p_lease_seconds)
    ) returning * into v_job;
    return v_job;
end
$$;

-- What a reservation that can no longer be confirmed or declined answers; null when it still can.
create function kitloop.confirmation_refusal(p_reservation public.reservations, p_is_decline boolean) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select case
        when p_reservation.status in ('confirmed', 'active', 'completed')
            then case when p_is_decline then 'already_paid' else 'answered' end
        when p_is_decline and p_reservation.cancel_reason = 'declined' then 'answered'
        when p_reservation.cancel_reason = 'conflict' then 'cancelled_conflict'
        when p_reservation.status in ('cancelled', 'no_show') then 'reservation_over'
    end
$$;

-- What is to be done about a reservation that is still open, as an outcome; locks and writes nothing.
create function kitloop.confirmation_step(
    p_reservation public.reservations, p_payment public.payments, p_is_staff boolean, p_is_decline boolean,
    p_payment_intent_id text, p_now timestamptz
) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select case
        when p_payment.payment_intent_id <> p_payment_intent_id then 'payment_intent_mismatch'
        when p_is_decline and p_payment.status = 'capturing' then 'capture_in_progress'
        when p_is_decline and p_reservation.status = 'expired' then 'hold_expired'
        when p_is_decline then 'decline'
        when not p_is_staff or (p_payment_intent_id is not null and p_reservation.status <> 'authorized') then case
            when coalesce(p_payment.payment_intent_id, p_payment_intent_id) is not null then 'look_up'
            when p_reservation.status = 'expired' or p_reservation.reserved_until <= p_now then 'hold_expired'
            else 'payment_required'
        end
        when p_payment.status = 'capturing' then 'capture_in_progress'
        when p_reservation.status = 'authorized' then 'capture'
        when p_reservation.status = 'expired' or p_reservation.reserved_until <= p_now then 'hold_expired'
        else 'offline'
    end
$$;

-- The operation. p_action: confirm or decline. p_payment_intent_id: the intent the caller says is paid, or null.
-- p_worker, p_lease_seconds: who captures, when capturing is what is to be done.
-- Outcomes: answered (status and paid_at say it all), look_up (ask Stripe for payment_intent_id, then
-- settle_payment_intent), capture (the caller holds the job); reservation_not_found, forbidden, already_paid,
-- cancelled_conflict, reservation_over, payment_intent_mismatch, capture_in_progress, hold_expired, payment_required.
-- Locks, in order: reservation, gear rows by id, payment.
create function kitloop.confirm_reservation(
    p_user_id uuid, p_is_admin boolean, p_reservation_id uuid, p_action text, p_payment_intent_id text, p_worker text,
    p_lease_seconds integer,
    out outcome text, out status text, out paid_at timestamptz, out payment_intent_id text,
    out amount_minor bigint, out job_id uuid, out fencing_token bigint, out generation integer
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_role text := kitloop.role_for_reservation(p_reservation_id, p_user_id, p_is_admin);
    v_reservation public.reservations;
    v_payment public.payments;
    v_job public.jobs;
    v_now timestamptz;
begin
    if v_role is null or (p_action = 'decline' and v_role <> 'staff') then
        outcome := case when v_role is null then 'reservation_not_found' else 'forbidden' end;
        return;
    end if;
    v_reservation := kitloop.lock_reservation(p_reservation_id, true);
    v_payment := kitloop.lock_current_payment(p_reservation_id);
    v_now := clock_timestamp();
    outcome := coalesce(
        kitloop.confirmation_refusal(v_reservation, p_action = 'decline'),
        kitloop.confirmation_step(
            v_reservation, v_payment, v_role = 'staff', p_action = 'decline', p_payment_intent_id, v_now
        )
    );
    if outcome = 'capture' then
        v_job := kitloop.start_capture(v_payment.id, p_worker, p_lease_seconds);
    elsif outcome = 'offline' then
        perform kitloop.confirm_offline(p_reservation_id, v_payment, v_now);
    elsif outcome = 'decline' then
        update public.reservations r set status = 'cancelled', cancel_reason = 'declined' where r.id = p_reservation_id;
        perform kitloop.send_back(v_payment, 'cancellation') where v_payment.id is not null;
        perform kitloop.notify(p_reservation_id, 'declined');
    end if;
    if outcome in ('capture', 'offline', 'decline') then
        insert into public.audit_logs (actor, action, provider_id, reservation_id)
        values ('user:' || p_user_id, 'reservation_' || outcome, v_reservation.provider_id, p_reservation_id);
        outcome := case outcome when 'capture' then 'capture' else 'answered' end;
    end if;
    select r.status, r.paid_at into confirm_reservation.status, confirm_reservation.paid_at from public.reservations r
    where r.id = p_reservation_id;
    payment_intent_id := coalesce(v_payment.payment_intent_id, p_payment_intent_id);
    amount_minor := v_payment.amount_minor;
    job_id := v_job.id;
    fencing_token := v_job.fencing_token;
    generation := v_job.generation;
end
$$;

grant execute on function kitloop.confirm_reservation(uuid, boolean, uuid, text, text, text, integer) to kitloop_app;
