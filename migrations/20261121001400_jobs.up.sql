-- What has to be done at Stripe because of a decision: written with the decision, claimed by a lease, checked again
-- when claimed, finished only by the worker that holds the newest token.

-- Whether the reason of a job still holds: money is moved for what is true now, not for what was true then.
create function kitloop.job_still_holds(p_job public.jobs) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
    select case p_job.kind
        when 'capture_payment_intent' then p.status = 'capturing'
        when 'cancel_payment_intent' then
            p.payment_intent_id is not null
            and p.status not in ('succeeded', 'canceled', 'capturing')
            and (p.superseded or r.status in ('expired', 'cancelled', 'no_show'))
        when 'refund_payment' then kitloop.must_go_back(p)
    end
    from public.payments p
    join public.reservations r on r.id = p.reservation_id
    where p.id = p_job.payment_id
$$;

-- Ends a job for good, as failed: a person has to look. A payment that could not be captured may be declined again.
-- The caller holds the payment and the job.
create function kitloop.fail_job(p_job_id uuid, p_error text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_job public.jobs;
begin
    update public.jobs j
    set status = 'failed', lease_until = null, last_error = p_error, finished_at = clock_timestamp()
    where j.id = p_job_id
    returning * into v_job;
    if v_job.kind = 'capture_payment_intent' then
        update public.payments p set status = 'requires_capture' where p.id = v_job.payment_id and p.status = 'capturing';
    end if;
end
$$;

-- Ends a job whose workers died in every attempt. Everybody else locks the payment before the job; who claims has the job
-- first, so it does not wait for the payment: held by somebody, the job is looked at again a little later.
-- The caller holds the job.
create function kitloop.give_up_job(p_job public.jobs) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    perform from public.payments p where p.id = p_job.payment_id for update skip locked;
    if found then
        perform kitloop.fail_job(p_job.id, coalesce(p_job.last_error, 'the worker died in every attempt'));
    else
        update public.jobs j set lease_until = clock_timestamp() + interval '5 seconds' where j.id = p_job.id;
    end if;
end
$$;

-- The operation: claims the next due job, or one whose lease ran out; no row when there is none. Jobs whose reason is
-- gone or whose attempts are used up end on the way. amount_minor: what to refund or capture. Locks: the job's row,
-- skipping those that others hold.
create function kitloop.claim_job(
    p_worker text, p_lease_seconds integer
) returns table (
    job_id uuid, kind text, fencing_token bigint, generation integer, payment_id uuid, payment_intent_id text,
    amount_minor bigint, reservation_id uuid
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_job public.jobs;
begin
    loop
        select * into v_job from public.jobs j
        where (j.status = 'queued' and j.run_after <= clock_timestamp())
            or (j.status = 'running' and j.lease_until <= clock_timestamp())
        order by j.run_after
        limit 1
        for update skip locked;
        if not found then
            return;
        elsif not kitloop.job_still_holds(v_job) then
            update public.jobs j
            set status = 'obsolete', lease_until = null, finished_at = clock_timestamp()
            where j.id = v_job.id;
        elsif v_job.status = 'running' and v_job.attempts >= v_job.max_attempts then
            perform kitloop.give_up_job(v_job);
        else
            exit;
        end if;
    end loop;
    update public.jobs j
    set status = 'running', locked_by = p_worker, attempts = j.attempts + 1, fencing_token = j.fencing_token + 1,
        lease_until = clock_timestamp() + make_interval(secs => p_lease_seconds)
    where j.id = v_job.id
    returning * into v_job;
    return query
    select v_job.id, v_job.kind, v_job.fencing_token, v_job.generation, p.id, p.payment_intent_id,
        case v_job.kind
            when 'refund_payment' then p.captured_minor - kitloop.refunded_minor(p.id)
            else p.amount_minor
        end,
        p.reservation_id
    from public.payments p
    where p.id = v_job.payment_id;
end
$$;

-- The operation: gives a job back after an error. p_is_final: no further attempt makes sense. p_new_generation: the
-- idempotency key at Stripe is spent. The pause grows: min(900 s, 10 s * 3^(attempt - 1)), of which a random half.
-- Refusals are counted; while Stripe is only away, cancelling and refunding go on for ever, since money depends on it.
-- Outcomes: retried, failed, fenced. Locks, in order: payment, job.
create function kitloop.retry_job(
    p_job_id uuid, p_fencing_token bigint, p_error text, p_is_final boolean, p_new_generation boolean, out outcome text
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_job public.jobs;
begin
    perform from public.payments p where p.id = (select j.payment_id from public.jobs j where j.id = p_job_id) for update;
    select * into v_job from public.jobs j
    where j.id = p_job_id and j.fencing_token = p_fencing_token and j.status = 'running'
    for update;
    if not found then
        outcome := 'fenced';
    elsif p_is_final or (
        v_job.attempts >= v_job.max_attempts and (p_new_generation or v_job.kind = 'capture_payment_intent')
    ) then
        perform kitloop.fail_job(p_job_id, p_error);
        outcome := 'failed';
    else
        update public.jobs j
        set status = 'queued', lease_until = null, last_error = p_error,
            generation = j.generation + p_new_generation::integer,
            -- While Stripe is only away nothing is used up; from the sixth attempt on the pause is the longest there is.
            attempts = case
                when p_new_generation or v_job.kind = 'capture_payment_intent' then j.attempts
                else least(j.attempts, 6)
            end,
            run_after = clock_timestamp()
                + make_interval(secs => least(900, 10 * 3 ^ (j.attempts - 1)) * (0.5 + random() / 2))
        where j.id = p_job_id;
        outcome := 'retried';
    end if;
end
$$;

-- The operation: what Stripe answered becomes fact, and the job is done; if its reason still holds after that (a refund
-- that failed at once, or after Stripe had stored its answer), it goes back, with a new key, unless three refunds failed. The fact counts even when the
-- job is no longer the caller's: it happened. Outcomes: finished, retried, failed, fenced.
-- Locks, in order: reservation, gear rows by id, payment, refund, job.
create function kitloop.finish_job(
    p_job_id uuid, p_fencing_token bigint, p_fact jsonb,
    out outcome text, out decision text, out status text, out paid_at timestamptz
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_job public.jobs;
begin
    case p_fact ->> 'kind'
        when 'refund' then
            select a.decision into decision from kitloop.apply_refund(p_fact) a;
        else
            select a.decision into decision from kitloop.apply_payment_intent(p_fact) a;
    end case;
    select * into v_job from public.jobs j where j.id = p_job_id for update;
    if v_job.fencing_token <> p_fencing_token or v_job.status <> 'running' then
        outcome := 'fenced';
    elsif kitloop.job_still_holds(v_job) then
        outcome := kitloop.retry_job(
            p_job_id, p_fencing_token, 'not done at Stripe: ' || decision, kitloop.failed_refunds(v_job.payment_id) >= 3, true
        );
    else
        update public.jobs j
        set status = 'succeeded', lease_until = null, last_error = null, finished_at = clock_timestamp()
        where j.id = p_job_id;
        outcome := 'finished';
    end if;
    select r.status, r.paid_at into finish_job.status, finish_job.paid_at
    from public.payments p
    join public.reservations r on r.id = p.reservation_id
    where p.id = v_job.payment_id;
end
$$;

-- The operation: the worker says that it lives.
create function kitloop.beat(p_worker text) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
    insert into public.worker_heartbeats (worker, beat_at)
    values (p_worker, clock_timestamp())
    on conflict (worker) do update set beat_at = excluded.beat_at
$$;

grant execute on function kitloop.claim_job(text, integer) to kitloop_app;
grant execute on function kitloop.finish_job(uuid, bigint, jsonb) to kitloop_app;
grant execute on function kitloop.retry_job(uuid, bigint, text, boolean, boolean) to kitloop_app;
grant execute on function kitloop.beat(text) to kitloop_app;
