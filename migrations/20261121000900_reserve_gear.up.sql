-- Takes a timed hold on gear: all lines or none.

-- The lines asked for, two lines of one item added up.
create function kitloop.requested_lines(p_gear_ids uuid[], p_quantities integer[])
returns table (gear_id uuid, quantity bigint)
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select line.gear_id, sum(line.quantity)
    from unnest(p_gear_ids, p_quantities) as line (gear_id, quantity)
    group by line.gear_id
$$;

-- Days that a rental is charged for: started days of 24 h on the wall clock of the provider, at least one, so that
-- the hour a clock change gives or takes costs nothing.
create function kitloop.charged_days(p_start timestamptz, p_end timestamptz, p_time_zone text) returns bigint
language sql stable set search_path = pg_catalog, pg_temp as $$
    select greatest(
        ceil(extract(epoch from (p_end at time zone p_time_zone) - (p_start at time zone p_time_zone)) / 86400), 1
    )::bigint
$$;

-- The provider's rules that a period breaks, as an outcome; null when it keeps them all.
create function kitloop.broken_rule(p_provider public.providers, p_start timestamptz, p_end timestamptz, p_now timestamptz)
returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
    select case
        when p_start < p_now + make_interval(mins => p_provider.lead_minutes) then 'lead_time_too_short'
        when p_start > p_now + make_interval(days => p_provider.horizon_days) then 'beyond_horizon'
        when p_end - p_start < make_interval(mins => p_provider.min_duration_minutes) then 'duration_too_short'
        when p_end - p_start > make_interval(mins => p_provider.max_duration_minutes) then 'duration_too_long'
    end
$$;

-- What the caller is told of a new hold.
create function kitloop.reservation_answer(p_reservation public.reservations) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
    select jsonb_build_object(
        'reservation_id', p_reservation.id,
        'status', p_reservation.status,
        'reserved_until', p_reservation.reserved_until,
        'amount_total_minor', p_reservation.amount_total_minor,
        'currency', p_reservation.currency,
        'lines', (
            select jsonb_agg(
                jsonb_build_object(
                    'gear_id', l.gear_id, 'quantity', l.quantity, 'unit_price_minor', l.unit_price_minor
                ) order by l.gear_id
            )
            from public.reservation_lines l
            where l.reservation_id = p_reservation.id
        )
    )
$$;

-- The user's own customer row, locked and brought up to date.
create function kitloop.lock_customer(p_user_id uuid, p_profile jsonb) returns uuid
language sql set search_path = pg_catalog, pg_temp as $$
    insert into public.customers as c (user_id, name, email, phone)
    values (p_user_id, p_profile ->> 'name', p_profile ->> 'email', p_profile ->> 'phone')
    on conflict (user_id) do update set
        name = coalesce(excluded.name, c.name),
        email = coalesce(excluded.email, c.email),
        phone = coalesce(excluded.phone, c.phone)
    returning c.id
$$;

-- The lines that do not fit, with what would: [{gear_id, requested, available}]. The caller holds the gear rows.
create function kitloop.short_lines(
    p_gear_ids uuid[], p_quantities integer[], p_start timestamptz, p_end timestamptz, p_now timestamptz
) returns setof jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
    select jsonb_build_object(
        'gear_id', l.gear_id, 'requested', l.quantity, 'available', greatest(g.quantity_total - use.peak, 0)
    )
    from kitloop.requested_lines(p_gear_ids, p_quantities) l
    join public.gear_items g on g.id = l.gear_id
    cross join lateral (
        select kitloop.peak_use(l.gear_id, kitloop.blocked_range(p_start, p_end, g.buffer_minutes), p_now) as peak
    ) use
    where use.peak + l.quantity > g.quantity_total
    order by l.gear_id
$$;

-- Why a hold cannot be taken, as an outcome with details; null when it can. The caller holds the gear rows and the
-- customer (null for a walk-in, who has no holds yet), and read p_now after that.
create function kitloop.hold_refusal(
    p_provider public.providers, p_customer_id uuid, p_gear_ids uuid[], p_quantities integer[], p_start timestamptz,
    p_end timestamptz, p_now timestamptz,
    out outcome text, out answer jsonb
)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
    v_open_holds bigint;
begin
    outcome := case
        when not kitloop.is_plan_active(p_provider, p_now) then 'plan_inactive'
        else kitloop.broken_rule(p_provider, p_start, p_end, p_now)
    end;
    if outcome is not null then
        return;
    end if;
    select count(*) into v_open_holds from public.reservations r
    where r.customer_id = p_customer_id and r.provider_id = p_provider.id and r.status = 'hold'
        and r.reserved_until > p_now;
    if v_open_holds >= p_provider.max_open_holds then
        outcome := 'too_many_open_holds';
        answer := jsonb_build_object('max_open_holds', p_provider.max_open_holds);
        return;
    end if;
    select 'insufficient_availability', jsonb_build_object('lines', jsonb_agg(short)) into outcome, answer
    from kitloop.short_lines(p_gear_ids, p_quantities, p_start, p_end, p_now) short
    having count(*) > 0;
end
$$;

-- Writes a hold that was decided on, with the price of its lines.
create function kitloop.write_hold(
    p_provider public.providers, p_customer_id uuid, p_gear_ids uuid[], p_quantities integer[], p_start timestamptz,
    p_end timestamptz, p_now timestamptz, p_notes text, p_staff_id uuid, p_staff_price_minor bigint
) returns public.reservations
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_price bigint;
    v_reservation public.reservations;
begin
    select sum(l.quantity * g.day_price_minor) * kitloop.charged_days(p_start, p_end, p_provider.time_zone) into v_price
    from kitloop.requested_lines(p_gear_ids, p_quantities) l
    join public.gear_items g on g.id = l.gear_id;
    insert into public.reservations (
        provider_id, customer_id, period, reserved_until, amount_total_minor, currency, notes
    ) values (
        p_provider.id, p_customer_id, tstzrange(p_start, p_end, '[)'),
        p_now + make_interval(mins => p_provider.hold_minutes), coalesce(p_staff_price_minor, v_price),
        p_provider.currency, p_notes
    ) returning * into v_reservation;
    insert into public.reservation_lines (reservation_id, gear_id, quantity, unit_price_minor, blocked)
    select v_reservation.id, l.gear_id, l.quantity, g.day_price_minor,
        kitloop.blocked_range(p_start, p_end, g.buffer_minutes)
    from kitloop.requested_lines(p_gear_ids, p_quantities) l
    join public.gear_items g on g.id = l.gear_id;
    if p_staff_price_minor <> v_price then
        insert into public.audit_logs (actor, action, provider_id, reservation_id, details)
        values (
            'user:' || p_staff_id, 'price_override', p_provider.id, v_reservation.id,
            jsonb_build_object('computed_minor', v_price, 'amount_total_minor', p_staff_price_minor)
        );
    end if;
    return v_reservation;
end
$$;

-- Decides on a hold and takes it. Refusals are outcomes with details.
-- Locks, in order: gear rows by id, customer. The clock is read after them.
create function kitloop.take_hold(
    p_user_id uuid, p_profile jsonb, p_is_admin boolean, p_provider_id uuid, p_gear_ids uuid[], p_quantities integer[],
    p_start timestamptz, p_end timestamptz, p_walk_in jsonb, p_notes text, p_amount_total_minor bigint,
    out outcome text, out answer jsonb
)
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_provider public.providers;
    v_is_staff boolean;
    v_found bigint;
    v_customer_id uuid;
    v_now timestamptz;
    v_reservation public.reservations;
begin
    select * into v_provider from public.providers p where p.id = p_provider_id;
    if not found then
        outcome := 'provider_not_found';
        return;
    end if;
    v_is_staff := p_is_admin or kitloop.is_member(p_provider_id, p_user_id);
    if p_walk_in is not null and not v_is_staff then
        outcome := 'forbidden';
        return;
    end if;

    perform from public.gear_items g
    where g.id = any(p_gear_ids) and g.provider_id = p_provider_id and g.archived_at is null
    order by g.id
    for update;
    get diagnostics v_found = row_count;
    if v_found < (select count(*) from kitloop.requested_lines(p_gear_ids, p_quantities)) then
        outcome := 'gear_not_found';
        return;
    end if;
    if p_walk_in is null then
        v_customer_id := kitloop.lock_customer(p_user_id, p_profile);
    end if;
    v_now := clock_timestamp();

    select r.outcome, r.answer into outcome, answer
    from kitloop.hold_refusal(v_provider, v_customer_id, p_gear_ids, p_quantities, p_start, p_end, v_now) r;
    if outcome is not null then
        return;
    end if;
    if p_walk_in is not null then
        insert into public.customers (provider_id, name, email, phone)
        values (p_provider_id, p_walk_in ->> 'name', p_walk_in ->> 'email', p_walk_in ->> 'phone')
        returning id into v_customer_id;
    end if;
    v_reservation := kitloop.write_hold(
        v_provider, v_customer_id, p_gear_ids, p_quantities, p_start, p_end, v_now, p_notes, p_user_id,
        case when v_is_staff then p_amount_total_minor end
    );
    outcome := 'reserved';
    answer := kitloop.reservation_answer(v_reservation);
end
$$;

-- Claims an idempotency key for the work that follows, or finds the answer of whoever claimed it before (is_claimed
-- false). The claim commits with the work; a second request with the same key waits here for the first one's answer.
-- Outcomes: the stored one, idempotency_key_reused, request_in_flight. Locks: the idempotency row.
create function kitloop.claim_idempotency_key(
    p_caller text, p_operation text, p_key text, p_request_hash text,
    out is_claimed boolean, out outcome text, out answer jsonb
)
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_row public.idempotency_keys;
begin
    is_claimed := false;
    begin
        insert into public.idempotency_keys (caller, operation, key, request_hash)
        values (p_caller, p_operation, p_key, p_request_hash)
        on conflict do nothing;
        is_claimed := found;
    exception when lock_not_available then
        outcome := 'request_in_flight';
        return;
    end;
    if is_claimed then
        return;
    end if;
    select * into strict v_row from public.idempotency_keys k
    where k.caller = p_caller and k.operation = p_operation and k.key = p_key;
    if v_row.request_hash <> p_request_hash then
        outcome := 'idempotency_key_reused';
        return;
    end if;
    outcome := v_row.response ->> 'outcome';
    answer := nullif(v_row.response -> 'answer', 'null');
end
$$;

-- Stores the answer of whoever claimed the key.
create function kitloop.store_answer(p_caller text, p_operation text, p_key text, p_outcome text, p_answer jsonb)
returns void
language sql set search_path = pg_catalog, pg_temp as $$
    update public.idempotency_keys k
    set response = jsonb_build_object('outcome', p_outcome, 'answer', p_answer)
    where k.caller = p_caller and k.operation = p_operation and k.key = p_key
$$;

-- The operation: idempotency around take_hold.
--
-- p_caller: whose key it is. p_profile: {name, email, phone} of the user. p_walk_in: the same of the person staff
-- books for, or null. p_amount_total_minor: the price staff sets, in minor units; ignored for customers.
-- Outcomes: reserved; provider_not_found, forbidden, gear_not_found, plan_inactive, lead_time_too_short, beyond_horizon,
-- duration_too_short, duration_too_long, too_many_open_holds, insufficient_availability, idempotency_key_reused,
-- request_in_flight. Locks, in order: idempotency row, gear rows by id, customer.
create function kitloop.reserve_gear(
    p_caller text, p_idempotency_key text, p_request_hash text, p_user_id uuid, p_profile jsonb, p_is_admin boolean,
    p_provider_id uuid, p_gear_ids uuid[], p_quantities integer[], p_start timestamptz, p_end timestamptz,
    p_walk_in jsonb, p_notes text, p_amount_total_minor bigint,
    out outcome text, out replayed boolean, out answer jsonb
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    select not c.is_claimed, c.outcome, c.answer into replayed, outcome, answer
    from kitloop.claim_idempotency_key(p_caller, 'reserve_gear', p_idempotency_key, p_request_hash) c;
    if replayed then
        return;
    end if;
    select h.outcome, h.answer into outcome, answer
    from kitloop.take_hold(
        p_user_id, p_profile, p_is_admin, p_provider_id, p_gear_ids, p_quantities, p_start, p_end, p_walk_in, p_notes,
        p_amount_total_minor
    ) h;
    if outcome <> 'reserved' then
        -- A refusal that a crash forgets is decided again; waiting for the disk here would keep the others, who queue
        -- for the same item, waiting too.
        perform set_config('synchronous_commit', 'off', true);
    end if;
    perform kitloop.store_answer(p_caller, 'reserve_gear', p_idempotency_key, outcome, answer);
end
$$;

grant execute on function kitloop.reserve_gear(
    text, text, text, uuid, jsonb, boolean, uuid, uuid[], integer[], timestamptz, timestamptz, jsonb, text, bigint
) to kitloop_app;
