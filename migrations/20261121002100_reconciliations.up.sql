-- Comparing with Stripe: what never arrived is found and applied, through the same code as the webhook.

create table public.reconciliations (
    id uuid primary key default gen_random_uuid(),
    from_at timestamptz not null,
    to_at timestamptz not null check (to_at > from_at),
    is_by_hand boolean not null,
    -- What is read next, and after which object of it.
    phase text not null default 'events' check (
        phase in (
            'events', 'payment_intents', 'open_payments', 'checkout_sessions', 'open_topups', 'refunds', 'disputes', 'owed',
            'done'
        )
    ),
    cursor text,
    examined bigint not null default 0,
    lease_until timestamptz,
    created_at timestamptz not null default now(),
    finished_at timestamptz,
    check ((phase = 'done') = (finished_at is not null))
);
create index reconciliations_open on public.reconciliations (created_at) where phase <> 'done';
comment on column public.reconciliations.lease_until is 'Until when one invocation is at it.';

create table public.reconciliation_findings (
    id bigint generated always as identity primary key,
    reconciliation_id uuid not null references public.reconciliations,
    object_id text not null,
    difference text not null,
    decision text,
    reservation_id uuid references public.reservations,
    is_mended boolean not null,
    created_at timestamptz not null default now()
);
create index reconciliation_findings_by_run on public.reconciliation_findings (reconciliation_id);
comment on column public.reconciliation_findings.object_id is 'Stripe''s id, or that of our payment.';

alter table public.reconciliations enable row level security;
alter table public.reconciliation_findings enable row level security;
revoke all on public.reconciliations, public.reconciliation_findings from anon, authenticated;

-- The operation: starts a reconciliation of a window, or goes on with one that was not finished. Without a window it goes
-- on with the oldest unfinished one, or starts where the last such one ended, a day earlier since Stripe delivers late, and
-- at most thirty days back, as far as Stripe keeps events (https://docs.stripe.com/api/events/list).
-- Outcomes: started; already_running (by another invocation, whose lease has not run out).
-- Locks: the reconciliations.
create function kitloop.start_reconciliation(
    p_from timestamptz, p_to timestamptz, p_lease_seconds integer,
    out outcome text, out id uuid, out from_at timestamptz, out to_at timestamptz, out phase text, out cursor text
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_now timestamptz;
    v_run public.reconciliations;
begin
    lock table public.reconciliations in share row exclusive mode;
    v_now := clock_timestamp();
    select * into v_run from public.reconciliations r
    where r.phase <> 'done' and (p_from is null or (r.from_at, r.to_at) = (p_from, p_to))
    order by r.created_at
    limit 1;
    if v_run.lease_until > v_now then
        outcome := 'already_running';
        return;
    elsif v_run.id is null then
        insert into public.reconciliations (from_at, to_at, is_by_hand)
        select coalesce(p_from, greatest(max(d.to_at), v_now - interval '29 days') - interval '1 day'),
            coalesce(p_to, v_now), p_from is not null
        from public.reconciliations d
        where d.phase = 'done' and not d.is_by_hand
        returning * into v_run;
    end if;
    update public.reconciliations r
    set lease_until = v_now + make_interval(secs => p_lease_seconds)
    where r.id = v_run.id;
    outcome := 'started';
    id := v_run.id;
    from_at := v_run.from_at;
    to_at := v_run.to_at;
    phase := v_run.phase;
    cursor := v_run.cursor;
end
$$;

-- The operation: notes how far a reconciliation has come. p_is_released: the invocation is at its end, another may go on.
create function kitloop.advance_reconciliation(
    p_id uuid, p_phase text, p_cursor text, p_examined bigint, p_is_released boolean
) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
    update public.reconciliations r
    set phase = p_phase, cursor = p_cursor, examined = r.examined + p_examined,
        lease_until = case when p_is_released or p_phase = 'done' then null else r.lease_until end,
        finished_at = case when p_phase = 'done' then clock_timestamp() end
    where r.id = p_id
$$;

-- The operation: writes down what differed, and what was done about it.
create function kitloop.record_finding(
    p_id uuid, p_object_id text, p_difference text, p_decision text, p_reservation_id uuid, p_is_mended boolean
) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
    insert into public.reconciliation_findings (
        reconciliation_id, object_id, difference, decision, reservation_id, is_mended
    ) values (p_id, p_object_id, p_difference, p_decision, p_reservation_id, p_is_mended)
$$;

-- The operation: what a reconciliation found so far, oldest first, at most a hundred findings.
create function kitloop.reconciliation_report(
    p_id uuid, out examined bigint, out found bigint, out mended bigint, out findings jsonb
)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select r.examined,
        (select count(*) from public.reconciliation_findings f where f.reconciliation_id = r.id),
        (select count(*) from public.reconciliation_findings f where f.reconciliation_id = r.id and f.is_mended),
        (
            select coalesce(jsonb_agg(jsonb_build_object(
                'object_id', f.object_id, 'difference', f.difference, 'decision', f.decision,
                'reservation_id', f.reservation_id, 'is_mended', f.is_mended
            ) order by f.id), '[]')
            from (
                select * from public.reconciliation_findings f where f.reconciliation_id = r.id order by f.id limit 100
            ) f
        )
    from public.reconciliations r
    where r.id = p_id
$$;

-- The operation: which of these events took no effect here yet.
create function kitloop.missing_events(p_event_ids text[]) returns setof text
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select wanted.event_id from unnest(p_event_ids) wanted (event_id)
    where not exists (
        select from public.stripe_webhook_events e
        where e.id = wanted.event_id and e.status <> 'failed' and e.decision <> 'unmatched'
    )
$$;

-- How what Stripe says of an intent differs from what is known here; null when it does not.
create function kitloop.payment_intent_difference(p_fact jsonb) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
    v_payment public.payments;
begin
    select * into v_payment from public.payments p where p.payment_intent_id = p_fact ->> 'payment_intent_id';
    if not found then
        return case
            when not exists (
                select from public.reservations r
                where r.id = (p_fact ->> 'reservation_id')::uuid and r.provider_id = (p_fact ->> 'provider_id')::uuid
            ) then null
            when p_fact ->> 'status' in ('succeeded', 'requires_capture') then 'unknown_payment'
            when p_fact ->> 'status' <> 'canceled' and exists (
                select from public.payments p
                where p.id = (p_fact ->> 'payment_id')::uuid and p.payment_intent_id is null
                    and p.generation = (p_fact ->> 'generation')::integer
            ) then 'unrecorded_intent'
        end;
    end if;
    return case
        when p_fact ->> 'status' = 'succeeded' and v_payment.status = 'succeeded'
            and (p_fact ->> 'amount_received_minor')::bigint <> v_payment.captured_minor then 'captured_amount'
        when p_fact ->> 'status' = v_payment.status or v_payment.status = 'capturing'
            and p_fact ->> 'status' = 'requires_capture' then null
        -- A page that is a moment older than our news differs without meaning anything.
        when kitloop.payment_rank(v_payment.status) = 3 and kitloop.payment_rank(p_fact ->> 'status') = 3
            then 'terminal_status'
        when kitloop.payment_rank(p_fact ->> 'status') >= kitloop.payment_rank(v_payment.status) then 'status'
    end;
end
$$;

-- The operation: how what Stripe says differs from what is known here: [(position from 1, difference)] of p_facts, those
-- that do not differ left out. Facts about objects that are not ours do not. Looks, and locks nothing.
create function kitloop.differences(p_facts jsonb) returns table (fact_position bigint, difference text)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    with facts as (
        select f.position, f.fact, case f.fact ->> 'kind'
            when 'payment_intent' then kitloop.payment_intent_difference(f.fact)
            when 'refund' then case
                when p.id is null then kitloop.topup_difference(f.fact)
                when r.id is null then 'unknown_refund'
                when r.status <> f.fact ->> 'status'
                    and kitloop.refund_rank(f.fact ->> 'status') >= kitloop.refund_rank(r.status) then 'status'
            end
            when 'dispute' then case
                when p.id is null then kitloop.topup_difference(f.fact)
                when d.id is null then 'unknown_dispute'
                when d.status <> f.fact ->> 'status' and (
                    kitloop.is_dispute_over(f.fact ->> 'status') or not kitloop.is_dispute_over(d.status)
                ) then 'status'
            end
            when 'checkout_session' then kitloop.checkout_session_difference(f.fact)
        end as difference
        from jsonb_array_elements(p_facts) with ordinality f (fact, position)
        left join public.payments p on p.payment_intent_id = f.fact ->> 'payment_intent_id'
        left join public.refunds r on r.stripe_refund_id = f.fact ->> 'stripe_refund_id'
        left join public.disputes d on d.id = f.fact ->> 'dispute_id'
    )
    select f.position, f.difference from facts f where f.difference is not null order by f.position
$$;

-- The operation: applies what Stripe said when it was asked. Decisions and locks: those of apply_fact.
create function kitloop.settle_fact(p_fact jsonb, out decision text, out reservation_id uuid)
language sql security definer set search_path = pg_catalog, pg_temp as $$
    select a.decision, a.reservation_id from kitloop.apply_fact(p_fact) a
$$;

-- The operation: the intents that are still open here although they began before the window, in order of their ids after
-- p_cursor, at most p_limit: nobody lists them any more, so each is looked up.
create function kitloop.open_payment_intents(p_before timestamptz, p_cursor text, p_limit integer) returns setof text
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select p.payment_intent_id from public.payments p
    where p.status not in ('succeeded', 'canceled') and p.created_at < p_before
        and p.payment_intent_id > coalesce(p_cursor, '')
    order by p.payment_intent_id
    limit p_limit
$$;

-- Payments whose money should move and for which no job is under way: a refund that failed or that lost its job, an
-- intent that nobody waits for. Those for a person to see to come last, so that they keep no other waiting.
create function kitloop.stuck_payments(p_limit integer) returns table (payment_id uuid, reservation_id uuid)
language sql stable set search_path = pg_catalog, pg_temp as $$
    with unsettled as (
        select f.payment_id, f.status = 'pending' as is_unsent from public.refunds f
        where f.status in ('failed', 'canceled') or (f.status = 'pending' and f.stripe_refund_id is null)
        union
        select o.id, false
        from public.payments o
        join public.reservations r on r.id = o.reservation_id
        where o.status not in ('succeeded', 'canceled') and o.payment_intent_id is not null
            and (o.superseded or r.status in ('expired', 'cancelled', 'no_show'))
    )
    select p.id, p.reservation_id
    from public.payments p
    join unsettled u on u.payment_id = p.id
    where (u.is_unsent or p.status not in ('succeeded', 'canceled') or kitloop.owed_minor(p) > 0)
        and not exists (select from public.jobs j where j.payment_id = p.id and j.status in ('queued', 'running'))
    group by p.id
    order by kitloop.takes_a_person(p.id), p.reservation_id, p.id
    limit p_limit
$$;

-- Sends again what is owed of one payment, or releases what nobody waits for. Decisions: refund_resent,
-- cancel_resent, owed (a person has to look), settled. Locks, in order: reservation, payment, job.
create function kitloop.mend_payment(p_payment_id uuid) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_reservation public.reservations;
    v_payment public.payments;
begin
    v_reservation := kitloop.lock_reservation(
        (select p.reservation_id from public.payments p where p.id = p_payment_id), false
    );
    select * into strict v_payment from public.payments p where p.id = p_payment_id for update;
    insert into public.jobs (kind, payment_id, refund_id, run_after)
    select 'refund_payment', p_payment_id, f.id, clock_timestamp() from public.refunds f
    where f.payment_id = p_payment_id and f.status = 'pending' and f.stripe_refund_id is null
    on conflict do nothing;
    if found then
        return 'refund_resent';
    elsif v_payment.method = 'card' and kitloop.owed_minor(v_payment) > 0 then
        return case
            when (kitloop.resend_refund(p_payment_id)).id is null then 'owed'
            else 'refund_resent'
        end;
    elsif v_payment.payment_intent_id is not null and v_payment.status not in ('succeeded', 'canceled', 'capturing')
        and (v_payment.superseded or v_reservation.status in ('expired', 'cancelled', 'no_show'))
    then
        perform kitloop.enqueue_job('cancel_payment_intent', p_payment_id);
        return 'cancel_resent';
    end if;
    return 'settled';
end
$$;

-- The operation: payments whose money should move and for which no job is under way, mended one by one, at most p_limit:
-- [{payment_id, reservation_id, decision}]. Locks, for each: reservation, payment, job.
create function kitloop.mend_money(p_limit integer) returns table (payment_id uuid, reservation_id uuid, decision text)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    for payment_id, reservation_id in
        select s.payment_id, s.reservation_id from kitloop.stuck_payments(p_limit) s
    loop
        decision := kitloop.mend_payment(payment_id);
        return next;
    end loop;
end
$$;

grant execute on function kitloop.start_reconciliation(timestamptz, timestamptz, integer) to kitloop_app;
grant execute on function kitloop.advance_reconciliation(uuid, text, text, bigint, boolean) to kitloop_app;
grant execute on function kitloop.record_finding(uuid, text, text, text, uuid, boolean) to kitloop_app;
grant execute on function kitloop.reconciliation_report(uuid) to kitloop_app;
grant execute on function kitloop.missing_events(text[]) to kitloop_app;
grant execute on function kitloop.differences(jsonb) to kitloop_app;
grant execute on function kitloop.settle_fact(jsonb) to kitloop_app;
grant execute on function kitloop.open_payment_intents(timestamptz, text, integer) to kitloop_app;
grant execute on function kitloop.mend_money(integer) to kitloop_app;
