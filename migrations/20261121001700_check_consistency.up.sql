-- The promises, computed: an empty result means that all of them hold.

-- Items promised beyond their stock: at the start of some line, use now or later exceeds quantity_total.
create function kitloop.overbooked_gear(p_now timestamptz) returns setof jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
    select jsonb_build_object('gear_id', g.id, 'quantity_total', g.quantity_total, 'use', max(use.peak))
    from public.reservation_lines l
    join public.gear_items g on g.id = l.gear_id
    cross join lateral (select kitloop.peak_use(l.gear_id, l.blocked, p_now) as peak) use
    where l.blocks_until > p_now and use.peak > g.quantity_total
    group by g.id
$$;

-- Captured money that is neither for a live reservation, nor went back, nor is about to.
create function kitloop.money_without_booking() returns setof jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
    select jsonb_build_object(
        'payment_id', p.id, 'reservation_id', r.id, 'status', r.status, 'captured_minor', p.captured_minor,
        'refunded_minor', kitloop.refunded_minor(p.id)
    )
    from public.payments p
    join public.reservations r on r.id = p.reservation_id
    where p.captured_minor > kitloop.refunded_minor(p.id)
        -- What is captured of somebody who then does not come is a kept fee.
        and (p.superseded or r.status not in ('confirmed', 'active', 'completed', 'no_show'))
        and not exists (
            select from public.jobs j
            where j.payment_id = p.id and j.kind = 'refund_payment' and j.status in ('queued', 'running')
        )
$$;

-- Authorised money that waits for nobody's answer, and is not about to be released.
create function kitloop.authorization_without_booking() returns setof jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
    select jsonb_build_object('payment_id', p.id, 'reservation_id', r.id, 'status', r.status)
    from public.payments p
    join public.reservations r on r.id = p.reservation_id
    where p.status in ('requires_capture', 'capturing')
        and (p.superseded or r.status <> 'authorized')
        and not exists (
            select from public.jobs j where j.payment_id = p.id and j.status in ('queued', 'running')
        )
$$;

-- The operation. Violations: overbooked, money_without_booking, authorization_without_booking, refunded_too_much,
-- confirmed_without_payment, wrong_blocks_until, event_failed, event_without_effect.
create function kitloop.check_consistency() returns table (violation text, details jsonb)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select 'overbooked', o from kitloop.overbooked_gear(clock_timestamp()) o
    union all
    select 'money_without_booking', m from kitloop.money_without_booking() m
    union all
    select 'authorization_without_booking', a from kitloop.authorization_without_booking() a
    union all
    select 'refunded_too_much', jsonb_build_object('payment_id', p.id, 'captured_minor', p.captured_minor)
    from public.payments p
    where p.captured_minor > 0 and kitloop.refunded_minor(p.id) > p.captured_minor
    union all
    select 'confirmed_without_payment', jsonb_build_object('reservation_id', r.id)
    from public.reservations r
    where r.status in ('confirmed', 'active', 'completed') and r.paid_at is null
    union all
    select 'wrong_blocks_until', jsonb_build_object('reservation_id', r.id, 'gear_id', l.gear_id)
    from public.reservation_lines l
    join public.reservations r on r.id = l.reservation_id
    where l.blocks_until is distinct from kitloop.blocks_until(r.status, r.reserved_until)
    union all
    -- Stripe itself tries for a while.
    select 'event_failed', jsonb_build_object('event_id', e.id, 'error', e.last_error)
    from public.stripe_webhook_events e
    where e.status = 'failed' and e.created_at < clock_timestamp() - interval '1 hour'
    union all
    -- A processed event that decided something about money must have left the payment that it was about.
    select 'event_without_effect', jsonb_build_object('event_id', e.id, 'decision', e.decision)
    from public.stripe_webhook_events e
    where e.status = 'processed' and e.reservation_id is not null
        and e.decision not in ('payment_canceled', 'payment_failed', 'processing', 'requires_action')
        and not exists (select from public.payments p where p.reservation_id = e.reservation_id)
$$;

-- The operation behind /ready: the newest migration, when a worker last said that it lives, and when the sweep last ran
-- to its end (null if it never did).
create function kitloop.readiness(
    out schema_version bigint, out worker_beat_at timestamptz, out swept_at timestamptz, out checked_at timestamptz
)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
    if to_regclass('public._sqlx_migrations') is not null then
        select max(m.version) into schema_version from public._sqlx_migrations m where m.success;
    end if;
    select max(w.beat_at) into worker_beat_at from public.worker_heartbeats w;
    select c.finished_at into swept_at from public.cron_runs c
    where c.name = 'cleanup_reservation_holds' and c.status = 'succeeded'
    order by c.started_at desc
    limit 1;
    checked_at := clock_timestamp();
end
$$;

grant execute on function kitloop.check_consistency() to kitloop_app;
grant execute on function kitloop.readiness() to kitloop_app;
