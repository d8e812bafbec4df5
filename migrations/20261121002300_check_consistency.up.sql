-- The promises, computed: an empty result means that all of them hold.

-- Items promised beyond their stock: at the start of some line that is not over, use exceeds quantity_total.
create function kitloop.overbooked_gear(p_now timestamptz) returns setof jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
    select jsonb_build_object('gear_id', g.id, 'quantity_total', g.quantity_total, 'use', max(use.peak))
    from public.reservation_lines l
    join public.gear_items g on g.id = l.gear_id
    cross join lateral (select kitloop.peak_use(l.gear_id, l.blocked, p_now) as peak) use
    where l.blocks_until > p_now and upper(l.blocked) > p_now and use.peak > g.quantity_total
    group by g.id
$$;

-- Captured money that is neither for a live reservation, nor a kept fee, nor credited to the customer.
create function kitloop.money_without_booking() returns setof jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
    select jsonb_build_object(
        'payment_id', p.id, 'reservation_id', r.id, 'status', r.status, 'captured_minor', p.captured_minor,
        'credited_minor', p.credited_minor, 'kept_minor', p.kept_minor
    )
    from public.payments p
    join public.reservations r on r.id = p.reservation_id
    where p.captured_minor > p.credited_minor + case when p.superseded then 0 else p.kept_minor end
        -- What is captured of somebody who then does not come is a kept fee.
        and (p.superseded or r.status not in ('confirmed', 'active', 'completed', 'no_show'))
$$;

-- What was refunded of each payment or is on its way, in minor units: kitloop.refunded_minor for all of them at once.
create function kitloop.refund_totals() returns table (payment_id uuid, refunded_minor bigint)
language sql stable set search_path = pg_catalog, pg_temp as $$
    select r.payment_id, sum(r.amount_minor)::bigint from public.refunds r
    where r.status in ('pending', 'requires_action', 'succeeded')
    group by r.payment_id
$$;

-- Money that a customer is credited with and that is not on its way by card: every refund of it failed, or the job that
-- should make it is gone. What was paid at the counter is handed back there.
create function kitloop.refunds_owed() returns setof jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
    select jsonb_build_object(
        'payment_id', p.id, 'reservation_id', p.reservation_id, 'owed_minor', kitloop.owed_minor(p), 'currency', p.currency
    )
    from public.payments p
    left join kitloop.refund_totals() t on t.payment_id = p.id
    where p.method = 'card'
        and least(p.credited_minor, p.captured_minor) > coalesce(t.refunded_minor, 0) + p.lost_minor
    union all
    select jsonb_build_object(
        'payment_id', p.id, 'reservation_id', p.reservation_id, 'owed_minor', f.amount_minor, 'currency', p.currency,
        'refund_id', f.id
    )
    from public.refunds f
    join public.payments p on p.id = f.payment_id
    where f.status = 'pending' and f.stripe_refund_id is null and not exists (
        select from public.jobs j where j.refund_id = f.id and j.status in ('queued', 'running')
    )
$$;

-- Receipts that are missing, too many, or do not add up; numbers with gaps.
create function kitloop.wrong_receipts() returns setof jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
    select jsonb_build_object('reservation_id', r.id, 'paid_at', r.paid_at)
    from public.reservations r
    where (r.paid_at is not null) <> exists (select from public.orders o where o.reservation_id = r.id)
    union all
    select jsonb_build_object(
        'order_id', o.id, 'amount_minor', o.amount_minor, 'captured_minor', p.captured_minor,
        'credited_minor', p.credited_minor
    )
    from public.orders o
    join public.payments p on p.id = o.payment_id
    where o.amount_minor <> p.captured_minor
        or o.amount_minor is distinct from (
            select sum(l.amount_minor) from public.order_lines l where l.order_id = o.id
        )
        or p.credited_minor <> (
            select coalesce(sum(n.amount_minor), 0) from public.credit_notes n where n.order_id = o.id
        )
    union all
    select jsonb_build_object('provider_id', n.provider_id, 'numbers', count(*), 'last_number', max(n.number))
    from (
        select o.provider_id, 'order' as kind, o.number from public.orders o
        union all
        select c.provider_id, 'credit_note', c.number from public.credit_notes c
    ) n
    group by n.provider_id, n.kind
    having max(n.number) <> count(*) or min(n.number) <> 1
$$;

-- Accounts whose balance is not the sum of their entries. Below 0 it cannot be: the table refuses that.
create function kitloop.wrong_balances() returns setof jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
    select jsonb_build_object('customer_id', customer_id, 'balance', a.balance, 'entries', l.entries)
    from public.credit_accounts a
    full join (
        select l.customer_id, sum(l.amount) as entries from public.credit_ledger l group by l.customer_id
    ) l using (customer_id)
    where coalesce(a.balance, 0) <> coalesce(l.entries, 0)
$$;

-- Paid jobs that the ledger tells otherwise of than they do themselves: credits are held while a job is open, spent once it
-- has succeeded, back when it has failed.
create function kitloop.wrong_job_credits() returns setof jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
    select jsonb_build_object(
        'job_id', j.id, 'status', j.status, 'credits', j.credits, 'entered', l.entered, 'consumed', l.consumed
    )
    from public.jobs j
    left join (
        select l.job_id, sum(l.amount) as entered, count(*) filter (where l.entry_type = 'consume') as consumed
        from public.credit_ledger l
        where l.job_id is not null
        group by l.job_id
    ) l on l.job_id = j.id
    where j.customer_id is not null and (
        coalesce(l.entered, 0) <> case when j.status = 'failed' then 0 else -j.credits end
        or coalesce(l.consumed, 0) <> (j.status = 'succeeded')::integer
    )
$$;

-- Top-ups that the ledger tells otherwise of than they do themselves: what was sold, what was taken back and is owed, and
-- the share of the credits that belongs to the money that went back.
create function kitloop.wrong_topups() returns setof jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
    select jsonb_build_object(
        'customer_id', c.id, 'owed', a.owed, 'sold', t.sold, 'taken_back', t.taken_back, 'entered', l.entered,
        'refunded', l.refunded
    )
    from public.customers c
    left join public.credit_accounts a on a.customer_id = c.id
    left join (
        select t.customer_id, sum(t.credits) as sold, sum(t.taken_back) as taken_back
        from public.credit_topups t
        where t.status = 'paid'
        group by t.customer_id
    ) t on t.customer_id = c.id
    left join (
        select l.customer_id, sum(l.amount) filter (where l.entry_type = 'topup') as entered,
            sum(l.amount) filter (where l.entry_type = 'refund') as refunded
        from public.credit_ledger l
        group by l.customer_id
    ) l on l.customer_id = c.id
    where coalesce(t.sold, 0) <> coalesce(l.entered, 0)
        or coalesce(l.refunded, 0) <> coalesce(a.owed, 0) - coalesce(t.taken_back, 0)
    union all
    select jsonb_build_object(
        'topup_id', t.id, 'status', t.status, 'taken_back', t.taken_back, 'gone_minor', gone.amount_minor
    )
    from public.credit_topups t
    cross join lateral (
        select least(coalesce(sum(l.amount_minor), 0), t.amount_minor) as amount_minor
        from public.credit_topup_losses l
        where l.topup_id = t.id and l.is_gone
    ) gone
    where t.taken_back <> case t.status
        when 'paid' then ceil(t.credits * gone.amount_minor::numeric / t.amount_minor)
        else 0
    end
$$;

-- What went back of an intent that belongs to nothing here, in minor units.
create function kitloop.unmatched_refunds_minor(p_payment_intent_id text) returns bigint
language sql stable set search_path = pg_catalog, pg_temp as $$
    select coalesce(sum(f.amount_minor), 0)::bigint
    from (
        select distinct on (e.payload #>> '{data,object,id}')
            (e.payload #>> '{data,object,amount}')::bigint as amount_minor,
            e.payload #>> '{data,object,status}' as status
        from public.stripe_webhook_events e
        where e.decision = 'unmatched' and e.payload #>> '{data,object,payment_intent}' = p_payment_intent_id
            and e.payload #>> '{data,object,object}' = 'refund'
        order by e.payload #>> '{data,object,id}', kitloop.refund_rank(e.payload #>> '{data,object,status}') desc
    ) f
    where f.status is distinct from 'failed' and f.status is distinct from 'canceled'
$$;

-- Money that was paid for a top-up, granted nothing and did not go back, and what went back of a top-up and was not heard.
create function kitloop.money_without_credits() returns setof jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
    select jsonb_build_object(
        'topup_id', t.id, 'payment_intent_id', t.payment_intent_id, 'paid_minor', t.paid_minor,
        'currency', t.paid_currency, 'asked_minor', t.amount_minor, 'asked_currency', t.currency
    )
    from public.credit_topups t
    where t.status = 'mismatched' and (
        select coalesce(sum(l.amount_minor), 0) from public.credit_topup_losses l where l.topup_id = t.id and l.is_gone
    ) < coalesce(t.paid_minor, t.amount_minor)
    union all
    select jsonb_build_object(
        'event_id', e.id, 'decision', e.decision, 'topup_id', s.session #>> '{metadata,topup_id}',
        'payment_intent_id', s.session ->> 'payment_intent'
    )
    from public.stripe_webhook_events e
    cross join lateral (select e.payload #> '{data,object}' as session) s
    where e.decision = 'unmatched' and s.session ->> 'object' = 'checkout.session'
        and s.session ->> 'payment_status' = 'paid' and s.session #>> '{metadata,topup_id}' is not null
        and not exists (
            select from public.credit_topups t where t.payment_intent_id = s.session ->> 'payment_intent'
        )
        and kitloop.unmatched_refunds_minor(s.session ->> 'payment_intent') < (s.session ->> 'amount_total')::bigint
    union all
    select jsonb_build_object('event_id', e.id, 'decision', e.decision, 'topup_id', t.id)
    from public.stripe_webhook_events e
    join public.credit_topups t on t.payment_intent_id = e.payload #>> '{data,object,payment_intent}'
    where e.decision = 'unmatched' and e.payload #>> '{data,object,object}' in ('refund', 'dispute')
        and not exists (
            select from public.credit_topup_losses l where l.id = e.payload #>> '{data,object,id}'
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

-- The operation. Violations: overbooked, money_without_booking, refund_owed, authorization_without_booking,
-- refunded_too_much, capture_without_job, confirmed_without_payment, wrong_receipt, wrong_balance, wrong_job_credits,
-- wrong_topup, money_without_credits, failed_without_dead_letter, wrong_dispute_flag, wrong_blocks_until, event_failed,
-- event_without_effect.
create function kitloop.check_consistency() returns table (violation text, details jsonb)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select 'overbooked', o from kitloop.overbooked_gear(clock_timestamp()) o
    union all
    select 'money_without_booking', m from kitloop.money_without_booking() m
    union all
    select 'refund_owed', f from kitloop.refunds_owed() f
    union all
    select 'authorization_without_booking', a from kitloop.authorization_without_booking() a
    union all
    select 'refunded_too_much', jsonb_build_object('payment_id', p.id, 'captured_minor', p.captured_minor)
    from public.payments p
    join kitloop.refund_totals() t on t.payment_id = p.id
    where p.captured_minor > 0 and t.refunded_minor > p.captured_minor
    union all
    select 'capture_without_job', jsonb_build_object('payment_id', p.id)
    from public.payments p
    where p.status = 'capturing' and not exists (
        select from public.jobs j
        where j.payment_id = p.id and j.kind = 'capture_payment_intent' and j.status in ('queued', 'running')
    )
    union all
    select 'confirmed_without_payment', jsonb_build_object('reservation_id', r.id)
    from public.reservations r
    where r.status in ('confirmed', 'active', 'completed') and (
        r.paid_at is null or not exists (
            select from public.payments p
            where p.reservation_id = r.id and not p.superseded and p.status = 'succeeded'
                and p.captured_minor = r.amount_total_minor
        )
    )
    union all
    select 'wrong_receipt', w from kitloop.wrong_receipts() w
    union all
    select 'wrong_balance', b from kitloop.wrong_balances() b
    union all
    select 'wrong_job_credits', c from kitloop.wrong_job_credits() c
    union all
    select 'wrong_topup', t from kitloop.wrong_topups() t
    union all
    select 'money_without_credits', m from kitloop.money_without_credits() m
    union all
    select 'failed_without_dead_letter', jsonb_build_object('job_id', j.id, 'kind', j.kind)
    from public.jobs j
    where j.status = 'failed' and not exists (select from public.job_dead_letters l where l.job_id = j.id)
    union all
    select 'wrong_dispute_flag', jsonb_build_object('reservation_id', r.id)
    from public.reservations r
    where r.disputed <> exists (
        select
        from public.payments p
        join public.disputes d on d.payment_id = p.id
        where p.reservation_id = r.id and not kitloop.is_dispute_favourable(d.status)
    )
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
