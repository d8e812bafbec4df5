-- Starting to pay: who may, what is asked for, and who creates the intent at Stripe.

-- Locks a reservation, and the gear of its lines by id where its use of stock is decided on.
create function kitloop.lock_reservation(p_id uuid, p_with_gear boolean) returns public.reservations
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_reservation public.reservations;
begin
    select * into v_reservation from public.reservations r where r.id = p_id for update;
    if p_with_gear then
        perform from public.gear_items g
        where g.id in (select l.gear_id from public.reservation_lines l where l.reservation_id = p_id)
        order by g.id
        for update;
    end if;
    return v_reservation;
end
$$;

-- Locks the one payment of a reservation; all null when there is none. The caller holds the reservation.
create function kitloop.lock_current_payment(p_reservation_id uuid) returns public.payments
language sql set search_path = pg_catalog, pg_temp as $$
    select p.* from public.payments p
    where p.reservation_id = p_reservation_id and not p.superseded
    for update
$$;

-- What the user is to a reservation: staff, customer, or null (who then may not learn that it exists).
create function kitloop.role_for_reservation(p_reservation_id uuid, p_user_id uuid, p_is_admin boolean) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
    select case
        when p_is_admin or kitloop.is_member(r.provider_id, p_user_id) then 'staff'
        when c.user_id = p_user_id then 'customer'
    end
    from public.reservations r
    join public.customers c on c.id = r.customer_id
    where r.id = p_reservation_id
$$;

-- Why a reservation cannot be paid for now, as an outcome; null when it can.
create function kitloop.payment_refusal(p_reservation public.reservations, p_now timestamptz) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select case
        when p_reservation.status in ('authorized', 'confirmed', 'active', 'completed') then 'already_paid'
        when p_reservation.cancel_reason = 'conflict' then 'cancelled_conflict'
        when p_reservation.status in ('cancelled', 'no_show') then 'reservation_over'
        when p_reservation.status = 'expired' or p_reservation.reserved_until <= p_now then 'hold_expired'
        when p_reservation.amount_total_minor = 0 then 'nothing_to_pay'
    end
$$;

-- Adds a job that cancels or captures a payment. If one of its kind is open, that one serves: but by an update, which waits for a worker that
-- is about to end it as obsolete for reasons that were true a moment ago, and then inserts after all.
create function kitloop.enqueue_job(p_kind text, p_payment_id uuid) returns void
language sql set search_path = pg_catalog, pg_temp as $$
    insert into public.jobs as jobs (kind, payment_id, run_after)
    values (p_kind, p_payment_id, clock_timestamp())
    on conflict (kind, payment_id) where refund_id is null and status in ('queued', 'running')
    do update set run_after = least(jobs.run_after, excluded.run_after)
$$;

-- Starts the one payment of a reservation, with the claim to create its intent.
create function kitloop.insert_payment(p_reservation public.reservations, p_claimed_until timestamptz)
returns public.payments
language sql set search_path = pg_catalog, pg_temp as $$
    insert into public.payments (reservation_id, capture_method, amount_minor, currency, claimed_until)
    select p_reservation.id, p.capture_method, p_reservation.amount_total_minor, p_reservation.currency, p_claimed_until
    from public.providers p
    where p.id = p_reservation.provider_id
    returning *
$$;

-- The operation: says whether to create the intent at Stripe (the caller has the claim for p_claim_seconds), to
-- retrieve it, or why not. The first call extends the hold, once, to at least ten minutes from now.
--
-- p_spent_payment_id, p_spent_generation: whose intent is cancelled, or whose idempotency key is spent without an intent.
-- The intent keeps its row, superseded, and another payment starts; a spent key only raises the generation.
-- Outcomes: create, retrieve; reservation_not_found, already_paid, cancelled_conflict, reservation_over, hold_expired,
-- nothing_to_pay, payment_starting. Locks, in order: reservation, gear rows by id, payment, job.
create function kitloop.start_payment(
    p_user_id uuid, p_is_admin boolean, p_reservation_id uuid, p_claim_seconds integer, p_spent_payment_id uuid,
    p_spent_generation integer,
    out outcome text, out payment_id uuid, out generation integer, out payment_intent_id text, out provider_id uuid,
    out amount_minor bigint, out currency text, out capture_method text, out reserved_until timestamptz,
    out created_at timestamptz
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_reservation public.reservations;
    v_payment public.payments;
    v_now timestamptz;
    v_claimed_until timestamptz;
begin
    if kitloop.role_for_reservation(p_reservation_id, p_user_id, p_is_admin) is null then
        outcome := 'reservation_not_found';
        return;
    end if;
    v_reservation := kitloop.lock_reservation(p_reservation_id, true);
    v_payment := kitloop.lock_current_payment(p_reservation_id);
    v_now := clock_timestamp();
    v_claimed_until := v_now + make_interval(secs => p_claim_seconds);
    outcome := kitloop.payment_refusal(v_reservation, v_now);
    if outcome is not null then
        return;
    end if;

    outcome := 'create';
    if v_payment.id is null then
        v_payment := kitloop.insert_payment(v_reservation, v_claimed_until);
        update public.reservations r
        set reserved_until = greatest(r.reserved_until, v_now + interval '10 minutes')
        where r.id = v_reservation.id
        returning * into v_reservation;
    elsif (v_payment.id, v_payment.generation) = (p_spent_payment_id, p_spent_generation) then
        if v_payment.payment_intent_id is not null then
            update public.payments p set superseded = true where p.id = v_payment.id;
            -- Whether it really is cancelled, Stripe says: the job ends at once if it is.
            perform kitloop.enqueue_job('cancel_payment_intent', v_payment.id);
            v_payment := kitloop.insert_payment(v_reservation, v_claimed_until);
        else
            update public.payments p
            set generation = p.generation + 1, claimed_until = v_claimed_until
            where p.id = v_payment.id
            returning * into v_payment;
        end if;
    elsif v_payment.payment_intent_id is not null then
        outcome := 'retrieve';
    elsif v_payment.claimed_until > v_now then
        outcome := 'payment_starting';
    else
        update public.payments p set claimed_until = v_claimed_until where p.id = v_payment.id returning * into v_payment;
    end if;
    payment_id := v_payment.id;
    generation := v_payment.generation;
    payment_intent_id := v_payment.payment_intent_id;
    provider_id := v_reservation.provider_id;
    amount_minor := v_payment.amount_minor;
    currency := v_payment.currency;
    capture_method := v_payment.capture_method;
    reserved_until := v_reservation.reserved_until;
    created_at := v_payment.created_at;
end
$$;

-- Records the intent that Stripe created for a claim, or gives the claim back (p_payment_intent_id null) so that the
-- next caller need not wait for it to lapse.
-- Outcomes: recorded, released; already_paid, hold_expired, cancelled_conflict, reservation_over (as things stand now, the
-- intent is of no use: a job cancels it); payment_starting (another caller went on, with another intent).
-- Locks, in order: reservation, payment, job.
create function kitloop.record_payment_intent(
    p_payment_id uuid, p_generation integer, p_payment_intent_id text, out outcome text
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_reservation public.reservations;
    v_payment public.payments;
begin
    v_reservation := kitloop.lock_reservation(
        (select p.reservation_id from public.payments p where p.id = p_payment_id), false
    );
    update public.payments p
    set payment_intent_id = coalesce(p.payment_intent_id, p_payment_intent_id), claimed_until = null,
        updated_at = clock_timestamp()
    where p.id = p_payment_id and p.generation = p_generation
        and (p.payment_intent_id is null or p.payment_intent_id = p_payment_intent_id)
    returning * into v_payment;
    if v_payment.id is null then
        outcome := 'payment_starting';
    elsif p_payment_intent_id is null then
        outcome := 'released';
    elsif v_payment.superseded or v_reservation.status <> 'hold' then
        perform kitloop.enqueue_job('cancel_payment_intent', p_payment_id);
        outcome := coalesce(kitloop.payment_refusal(v_reservation, clock_timestamp()), 'payment_starting');
    else
        outcome := 'recorded';
    end if;
end
$$;

grant execute on function kitloop.start_payment(uuid, boolean, uuid, integer, uuid, integer) to kitloop_app;
grant execute on function kitloop.record_payment_intent(uuid, integer, text) to kitloop_app;
