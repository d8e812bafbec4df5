-- What operators see and do. Documents for people: ids, counts and decisions, nothing of customers. Each list comes in
-- pages, newest first: {items, next_cursor}, where the cursor is the id of the last item, or null at the end.

create index stripe_webhook_events_by_time on public.stripe_webhook_events (created_at, id);
create index reservations_by_time on public.reservations (created_at);

-- A page of at most p_limit items, given up to one more, each with its `id`.
create function kitloop.ops_page(p_items jsonb [], p_limit integer) returns jsonb
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select jsonb_build_object(
        'items', to_jsonb(p_items[:p_limit]),
        'next_cursor', case when cardinality(p_items) > p_limit then p_items[p_limit] ->> 'id' end
    )
$$;

-- A share of a whole to four digits; null where there is nothing to share.
create function kitloop.ops_share(p_part bigint, p_whole bigint) returns numeric
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select round(p_part::numeric / nullif(p_whole, 0), 4)
$$;

-- What went wrong, without the e-mail addresses that others may have put into their words.
create function kitloop.ops_masked(p_text text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select regexp_replace(p_text, '[^[:space:]<>"'']+@[^[:space:]<>"'']+', '***', 'g')
$$;

-- The jobs: how many wait and run, how many were given up, and how many of those nobody has had run again.
create function kitloop.ops_job_metrics(p_now timestamptz) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
    select jsonb_build_object(
        'queue_depth', (
            select jsonb_build_object(
                'queued', count(*) filter (where j.status = 'queued'),
                'running', count(*) filter (where j.status = 'running'),
                'due', count(*) filter (where j.status = 'queued' and j.run_after <= p_now)
            )
            from public.jobs j
            where j.status in ('queued', 'running')
        ),
        'jobs_failed_last_hour', count(*) filter (where l.died_at > p_now - interval '1 hour'),
        'dead_letters_last_24h', count(*) filter (where l.replayed_at is null)
    )
    from public.job_dead_letters l
    where l.died_at > p_now - interval '24 hours'
$$;

-- The holds of the last 24 hours: how many are open, lapsed, and became bookings (of those that are no hold any more).
create function kitloop.ops_hold_metrics(p_now timestamptz) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
    select jsonb_build_object(
        'open', (select count(*) from public.reservations o where o.status = 'hold' and o.reserved_until > p_now),
        'created_last_24h', count(*),
        'expired_last_24h', count(*) filter (where r.status = 'expired'),
        'conversion_last_24h', kitloop.ops_share(
            count(*) filter (where r.paid_at is not null or r.status = 'authorized'),
            count(*) filter (where r.status <> 'hold')
        )
    )
    from public.reservations r
    where r.created_at > p_now - interval '24 hours'
$$;

-- Stripe's events: how many failed here, and how the attempts to pay went that they tell of.
create function kitloop.ops_event_metrics(p_now timestamptz) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
    select jsonb_build_object(
        'webhook_failed_last_hour',
        count(*) filter (where e.status = 'failed' and e.created_at > p_now - interval '1 hour'),
        'payments', jsonb_build_object(
            'succeeded_last_24h', count(*) filter (where e.type = 'payment_intent.succeeded'),
            'failed_last_24h', count(*) filter (where e.type = 'payment_intent.payment_failed'),
            'success_rate_last_24h', kitloop.ops_share(
                count(*) filter (where e.type = 'payment_intent.succeeded'),
                count(*) filter (where e.type in ('payment_intent.succeeded', 'payment_intent.payment_failed'))
            )
        )
    )
    from public.stripe_webhook_events e
    where e.created_at > p_now - interval '24 hours'
$$;

-- Each schedule of p_schedules, {name: seconds after which its last success is too long ago}, and how its runs went.
create function kitloop.ops_cron_metrics(p_schedules jsonb, p_now timestamptz) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
    select jsonb_object_agg(s.key, jsonb_build_object(
        'ok', coalesce(success.finished_at > p_now - make_interval(secs => s.value::integer), false),
        'last_status', latest.status, 'last_started_at', latest.started_at, 'last_succeeded_at', success.finished_at
    ))
    from jsonb_each_text(p_schedules) s
    left join lateral (
        select c.status, c.started_at from public.cron_runs c
        where c.name = s.key
        order by c.started_at desc
        limit 1
    ) latest on true
    left join lateral (
        select c.finished_at from public.cron_runs c
        where c.name = s.key and c.status = 'succeeded'
        order by c.started_at desc
        limit 1
    ) success on true
$$;

-- The operation: how the product is doing. p_worker_silence: the seconds after which a worker is taken for dead.
create function kitloop.ops_metrics(p_worker_silence integer, p_schedules jsonb) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_now timestamptz := clock_timestamp();
    v_beat_at timestamptz := (select max(w.beat_at) from public.worker_heartbeats w);
begin
    return jsonb_build_object(
        'checked_at', v_now,
        'worker_ok', coalesce(v_beat_at > v_now - make_interval(secs => p_worker_silence), false),
        'worker_last_heartbeat', v_beat_at,
        'recovered_last_summary', (
            select c.result - 'findings' || jsonb_build_object('finished_at', c.finished_at) from public.cron_runs c
            where c.name = 'reconcile_payments' and c.status = 'succeeded'
            order by c.started_at desc
            limit 1
        ),
        'holds', kitloop.ops_hold_metrics(v_now),
        'cron', kitloop.ops_cron_metrics(p_schedules, v_now)
    ) || kitloop.ops_job_metrics(v_now) || kitloop.ops_event_metrics(v_now);
end
$$;

-- The operation: Stripe's events, of one status, type or reservation where given. Null for a cursor that is no event.
create function kitloop.ops_webhook_events(
    p_status text, p_type text, p_reservation_id uuid, p_cursor text, p_limit integer
) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select kitloop.ops_page(array(
        select jsonb_build_object(
            'id', e.id, 'type', e.type, 'status', e.status, 'decision', e.decision, 'attempts', e.attempts,
            'replay_count', e.replay_count, 'last_replayed_at', e.last_replayed_at,
            'last_error', kitloop.ops_masked(e.last_error), 'object_id', e.payload #>> '{data,object,id}',
            'reservation_id', e.reservation_id, 'created_at', e.created_at, 'processed_at', e.processed_at
        )
        from public.stripe_webhook_events e
        where (p_status is null or e.status = p_status)
            and (p_type is null or e.type = p_type)
            and (p_reservation_id is null or e.reservation_id = p_reservation_id)
            and (p_cursor is null or (e.created_at, e.id) < (
                select c.created_at, c.id from public.stripe_webhook_events c where c.id = p_cursor
            ))
        order by e.created_at desc, e.id desc
        limit p_limit + 1
    ), p_limit)
    where p_cursor is null or exists (select from public.stripe_webhook_events c where c.id = p_cursor)
$$;

-- The operation: who did what, of one action or reservation where given.
create function kitloop.ops_audit(p_action text, p_reservation_id uuid, p_cursor bigint, p_limit integer) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select kitloop.ops_page(array(
        select jsonb_build_object(
            'id', a.id, 'at', a.at, 'actor', a.actor, 'action', a.action, 'provider_id', a.provider_id,
            'reservation_id', a.reservation_id, 'details', a.details
        )
        from public.audit_logs a
        where (p_action is null or a.action = p_action)
            and (p_reservation_id is null or a.reservation_id = p_reservation_id)
            and (p_cursor is null or a.id < p_cursor)
        order by a.id desc
        limit p_limit + 1
    ), p_limit)
$$;

-- The operation: how many of everything there are, of one provider where given. Null for a provider that there is not.
create function kitloop.ops_counts(p_provider_id uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    with ours as (
        select r.id, r.status, r.customer_id from public.reservations r
        where p_provider_id is null or r.provider_id = p_provider_id
    ), paid as (
        select p.id, p.status from public.payments p join ours o on o.id = p.reservation_id
    )
    select jsonb_build_object(
        'provider_id', p_provider_id,
        'gear_items', (
            select count(*) from public.gear_items g
            where g.archived_at is null and (p_provider_id is null or g.provider_id = p_provider_id)
        ),
        'customers', (select count(distinct o.customer_id) from ours o),
        'reservations', (
            select coalesce(jsonb_object_agg(s.status, s.count), '{}')
            from (select o.status, count(*) from ours o group by o.status) s
        ),
        'payments', (
            select coalesce(jsonb_object_agg(s.status, s.count), '{}')
            from (select p.status, count(*) from paid p group by p.status) s
        ),
        'refunds', (
            select coalesce(jsonb_object_agg(s.status, s.count), '{}')
            from (
                select f.status, count(*) from public.refunds f join paid p on p.id = f.payment_id group by f.status
            ) s
        )
    )
    where p_provider_id is null or exists (select from public.providers p where p.id = p_provider_id)
$$;

-- The operation: what became of the reservations that were made in the last p_days days, of one provider where given.
-- Null for a provider that there is not.
create function kitloop.ops_reservation_stats(p_provider_id uuid, p_days integer) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    with made as (
        select r.status, r.cancel_reason, r.paid_at from public.reservations r
        where r.created_at > clock_timestamp() - make_interval(days => p_days)
            and (p_provider_id is null or r.provider_id = p_provider_id)
    )
    select jsonb_build_object(
        'provider_id', p_provider_id, 'days', p_days,
        'created', (select count(*) from made),
        'paid', (select count(*) from made m where m.paid_at is not null),
        'conversion', (
            select kitloop.ops_share(
                count(*) filter (where m.paid_at is not null or m.status = 'authorized'),
                count(*) filter (where m.status <> 'hold')
            )
            from made m
        ),
        'by_status', (
            select coalesce(jsonb_object_agg(s.status, s.count), '{}')
            from (select m.status, count(*) from made m group by m.status) s
        ),
        'by_cancel_reason', (
            select coalesce(jsonb_object_agg(s.cancel_reason, s.count), '{}')
            from (
                select m.cancel_reason, count(*) from made m where m.cancel_reason is not null group by m.cancel_reason
            ) s
        )
    )
    where p_provider_id is null or exists (select from public.providers p where p.id = p_provider_id)
$$;

-- The operation: notes that an operator has an event run again, and gives it back as it was logged. What is processed
-- already is counted where it is answered, in claim_stripe_event. Outcomes: requested; event_not_found.
-- Locks: the event's row.
create function kitloop.request_event_replay(
    p_event_id text, p_operator text, out outcome text, out payload jsonb
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_event public.stripe_webhook_events;
begin
    select * into v_event from public.stripe_webhook_events e where e.id = p_event_id for update;
    if not found then
        outcome := 'event_not_found';
        return;
    end if;
    update public.stripe_webhook_events e
    set replay_count = e.replay_count + 1, last_replayed_at = clock_timestamp()
    where e.id = p_event_id and (e.status = 'failed' or e.decision = 'unmatched');
    insert into public.audit_logs (actor, action, reservation_id, details)
    values (
        'operator:' || p_operator, 'webhook_event_replay', v_event.reservation_id,
        jsonb_build_object('event_id', p_event_id, 'status', v_event.status)
    );
    outcome := 'requested';
    payload := v_event.payload;
end
$$;

-- The operation: an operator has money moved that should move and for which no job is under way, of at most p_limit
-- payments: {payments: [{payment_id, reservation_id, decision}]}. Locks: those of mend_money.
create function kitloop.ops_repair(p_operator text, p_limit integer) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_payments jsonb;
begin
    select coalesce(jsonb_agg(m), '[]') into v_payments from kitloop.mend_money(p_limit) m;
    insert into public.audit_logs (actor, action, details)
    values (
        'operator:' || p_operator, 'consistency_repair',
        jsonb_build_object('payments', jsonb_array_length(v_payments))
    );
    return jsonb_build_object('payments', v_payments);
end
$$;

grant execute on function kitloop.ops_metrics(integer, jsonb) to kitloop_app;
grant execute on function kitloop.ops_webhook_events(text, text, uuid, text, integer) to kitloop_app;
grant execute on function kitloop.ops_audit(text, uuid, bigint, integer) to kitloop_app;
grant execute on function kitloop.ops_counts(uuid) to kitloop_app;
grant execute on function kitloop.ops_reservation_stats(uuid, integer) to kitloop_app;
grant execute on function kitloop.request_event_replay(text, text) to kitloop_app;
grant execute on function kitloop.ops_repair(text, integer) to kitloop_app;
