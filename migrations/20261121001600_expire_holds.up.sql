-- Housekeeping: what nobody paid for or answered. A lapsed hold stopped blocking the moment it lapsed; this only says so.

-- Expires at most p_limit lapsed holds and enqueues the cancelling of their open intents.
-- Locks: reservations in order of their deadline, skipping those that others hold.
create function kitloop.expire_lapsed(p_limit integer) returns integer
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_id uuid;
    v_count integer := 0;
begin
    for v_id in
        select r.id from public.reservations r
        where r.status = 'hold' and r.reserved_until <= clock_timestamp()
        order by r.reserved_until
        limit p_limit
        for update skip locked
    loop
        update public.reservations r set status = 'expired' where r.id = v_id;
        perform kitloop.enqueue_job('cancel_payment_intent', p.id) from public.payments p
        where p.reservation_id = v_id and p.payment_intent_id is not null and p.status not in ('succeeded', 'canceled');
        v_count := v_count + 1;
    end loop;
    return v_count;
end
$$;

-- When an authorisation is released if nobody answers it: after 24 h, or 12 h before the card's window ends.
create function kitloop.answer_by(p_payment public.payments) returns timestamptz
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select least(p_payment.authorized_at + interval '24 hours', p_payment.capture_before - interval '12 hours')
$$;

-- Cancels at most p_limit reservations whose authorisation nobody answered, and enqueues the cancelling of the intents.
-- Locks, in order: reservation (skipping those that others hold), payment; what is not being captured is decided after.
create function kitloop.release_unanswered(p_limit integer) returns integer
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_id uuid;
    v_payment public.payments;
    v_count integer := 0;
begin
    for v_id in
        select r.id from public.reservations r
        join public.payments p on p.reservation_id = r.id and not p.superseded and p.status = 'requires_capture'
        where r.status = 'authorized' and kitloop.answer_by(p) <= clock_timestamp()
        limit p_limit
        for update of r skip locked
    loop
        select * into v_payment from public.payments p
        where p.reservation_id = v_id and not p.superseded and p.status = 'requires_capture'
        for update;
        if found then
            update public.reservations r set status = 'cancelled', cancel_reason = 'unanswered' where r.id = v_id;
            perform kitloop.send_back(v_payment, 'cancellation');
            perform kitloop.notify(v_id, 'declined');
            v_count := v_count + 1;
        end if;
    end loop;
    return v_count;
end
$$;

-- The operation: one batch of both. Call it again while `expired` or `released` reaches p_limit.
create function kitloop.expire_holds(p_limit integer, out expired integer, out released integer)
language sql security definer set search_path = pg_catalog, pg_temp as $$
    select kitloop.expire_lapsed(p_limit), kitloop.release_unanswered(p_limit)
$$;

-- The operation: says that a scheduled run began, before it does anything. The log of a schedule goes back ninety days.
create function kitloop.start_cron_run(p_name text) returns uuid
language sql security definer set search_path = pg_catalog, pg_temp as $$
    delete from public.cron_runs c where c.name = p_name and c.started_at < clock_timestamp() - interval '90 days';
    insert into public.cron_runs (name) values (p_name) returning id
$$;

-- The operation: says how a scheduled run ended; p_error null is success.
create function kitloop.finish_cron_run(p_id uuid, p_result jsonb, p_error text) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
    update public.cron_runs c
    set status = case when p_error is null then 'succeeded' else 'failed' end, finished_at = clock_timestamp(),
        result = p_result, error = p_error
    where c.id = p_id
$$;

grant execute on function kitloop.expire_holds(integer) to kitloop_app;
grant execute on function kitloop.start_cron_run(text) to kitloop_app;
grant execute on function kitloop.finish_cron_run(uuid, jsonb, text) to kitloop_app;
