-- What has to be done elsewhere because of a decision (at Stripe; an e-mail), and what customers pay for with credits
-- (paid jobs): written with the decision, claimed by a lease, checked again when claimed, finished only by the worker
-- that holds the newest token.

-- Whether the reason of a job still holds: money is moved for what is true now, not for what was true then.
create function kitloop.job_still_holds(p_job public.jobs) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
    select case p_job.kind
        when 'capture_payment_intent' then (
            select p.status = 'capturing' from public.payments p where p.id = p_job.payment_id
        )
        when 'cancel_payment_intent' then (
            select p.payment_intent_id is not null
                and p.status not in ('succeeded', 'canceled', 'capturing')
                and (p.superseded or r.status in ('expired', 'cancelled', 'no_show'))
            from public.payments p
            join public.reservations r on r.id = p.reservation_id
            where p.id = p_job.payment_id
        )
        when 'refund_payment' then (
            select r.status = 'pending' and r.stripe_refund_id is null from public.refunds r where r.id = p_job.refund_id
        )
        when 'send_email' then (
            select n.status = 'queued' and kitloop.notification_address(n.reservation_id, n.kind) is not null
                and (n.kind <> 'confirmation' or r.status in ('confirmed', 'active', 'completed'))
            from public.notification_logs n
            join public.reservations r on r.id = n.reservation_id
            where n.id = p_job.notification_id
        )
        else p_job.customer_id is not null
    end
$$;

-- Ends a job as failed, with a dead letter: a person has to look. A payment that could not be captured may be declined
-- again; what a refund should have carried is owed; what a customer would have paid for a job comes back. The caller holds
-- the payment and the job. Locks: the credit account of a paid job.
create function kitloop.fail_job(p_job_id uuid, p_error text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_job public.jobs;
begin
    update public.jobs j
    set status = 'failed', lease_until = null, last_error = p_error, finished_at = clock_timestamp()
    where j.id = p_job_id
    returning * into v_job;
    insert into public.job_dead_letters (job_id, kind, attempts, last_error, died_at)
    values (p_job_id, v_job.kind, v_job.attempts, p_error, v_job.finished_at);
    case v_job.kind
        when 'capture_payment_intent' then
            update public.payments p set status = 'requires_capture'
            where p.id = v_job.payment_id and p.status = 'capturing';
        when 'refund_payment' then
            update public.refunds r set status = 'canceled', updated_at = clock_timestamp()
            where r.id = v_job.refund_id and r.status = 'pending' and r.stripe_refund_id is null;
            perform kitloop.notify(p.reservation_id, 'refund_failed') from public.payments p
            where p.id = v_job.payment_id;
        when 'send_email' then
            update public.notification_logs n set status = 'failed', last_error = p_error
            where n.id = v_job.notification_id;
        else
            if v_job.customer_id is not null then
                perform kitloop.enter_job_credits(v_job, 'release');
            end if;
    end case;
end
$$;

-- Locks what a job is about before the job is: its reservation, which a word to the provider refers to, and its payment.
create function kitloop.lock_job_subject(p_job_id uuid) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    perform kitloop.lock_reservation(p.reservation_id, false)
    from public.jobs j
    join public.payments p on p.id = j.payment_id
    where j.id = p_job_id;
    perform from public.payments p where p.id = (select j.payment_id from public.jobs j where j.id = p_job_id) for update;
end
$$;

-- Ends a job whose workers died in every attempt. Everybody else locks reservation and payment before the job; who claims
-- has the job first, so it does not wait for them: held by somebody, the job is looked at again a little later.
-- The caller holds the job.
create function kitloop.give_up_job(p_job public.jobs) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    perform from public.payments p
    join public.reservations r on r.id = p.reservation_id
    where p.id = p_job.payment_id
    for update of r, p skip locked;
    if found or p_job.payment_id is null then
        perform kitloop.fail_job(p_job.id, coalesce(p_job.last_error, 'worker_died'));
    else
        update public.jobs j set lease_until = clock_timestamp() + interval '5 seconds' where j.id = p_job.id;
    end if;
end
$$;

-- Whether an e-mail was tried so long ago that another attempt might tell somebody twice: Resend knows an idempotency key
-- for a day (https://resend.com/docs/dashboard/emails/idempotency-keys).
create function kitloop.is_email_too_old(p_job public.jobs) returns boolean
language sql set search_path = pg_catalog, pg_temp as $$
    select p_job.kind = 'send_email' and p_job.attempts > 0 and p_job.created_at < clock_timestamp() - interval '23 hours'
$$;

-- Starts an attempt of a job: what claim_job answers. The caller holds the job.
create function kitloop.start_job(
    p_job_id uuid, p_worker text, p_lease_seconds integer
) returns table (
    job_id uuid, kind text, fencing_token bigint, generation integer, reservation_id uuid, payment_intent_id text,
    amount_minor bigint, refund_id uuid, notification jsonb, user_id uuid, provider_id uuid, input jsonb,
    is_key_old boolean
)
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_job public.jobs;
begin
    update public.jobs j
    set status = 'running', locked_by = p_worker, attempts = j.attempts + 1, fencing_token = j.fencing_token + 1,
        lease_until = clock_timestamp() + make_interval(secs => p_lease_seconds)
    where j.id = p_job_id
    returning * into v_job;
    return query
    select v_job.id, v_job.kind, v_job.fencing_token, v_job.generation, coalesce(p.reservation_id, n.reservation_id),
        p.payment_intent_id, coalesce(r.amount_minor, p.amount_minor), r.id,
        kitloop.notification_document(n), c.user_id, v_job.provider_id, v_job.input,
        v_job.created_at < clock_timestamp() - interval '23 hours'
    from (select v_job.payment_id, v_job.refund_id, v_job.notification_id, v_job.customer_id) job
    left join public.payments p on p.id = job.payment_id
    left join public.refunds r on r.id = job.refund_id
    left join public.notification_logs n on n.id = job.notification_id
    left join public.customers c on c.id = job.customer_id;
end
$$;

-- The operation: claims the next due job, or one whose lease ran out; no row when there is none. Jobs whose reason is
-- gone or whose attempts are used up end on the way; refunds wait for the end of a dispute. amount_minor: what to refund
-- or capture. notification: what an e-mail tells. user_id, provider_id, input: who wants a paid job, for which shop, and
-- what exactly. is_key_old: Stripe may have forgotten the idempotency key
-- (https://docs.stripe.com/api/idempotent_requests: after a day). A row without a job: many ended on the way, and there may
-- be more, so claim again; the statement stays short, however many there are. Locks, in order: the job's row, skipping
-- those that others hold; the credit account of a paid job that is given up.
create function kitloop.claim_job(
    p_worker text, p_lease_seconds integer
) returns table (
    job_id uuid, kind text, fencing_token bigint, generation integer, reservation_id uuid, payment_intent_id text,
    amount_minor bigint, refund_id uuid, notification jsonb, user_id uuid, provider_id uuid, input jsonb,
    is_key_old boolean
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_job public.jobs;
begin
    for v_turn in 1..20 loop
        select * into v_job from public.jobs j
        where (j.status = 'queued' and j.run_after <= clock_timestamp())
            or (j.status = 'running' and j.lease_until <= clock_timestamp())
        order by j.priority, j.run_after
        limit 1
        for update skip locked;
        if not found then
            return;
        elsif not kitloop.job_still_holds(v_job) then
            update public.jobs j
            set status = 'obsolete', lease_until = null, finished_at = clock_timestamp()
            where j.id = v_job.id;
            update public.notification_logs n
            set status = case
                when kitloop.notification_address(n.reservation_id, n.kind) is null then 'no_address' else 'obsolete'
            end
            where n.id = v_job.notification_id and n.status = 'queued';
        elsif v_job.status = 'running' and v_job.attempts >= v_job.max_attempts then
            perform kitloop.give_up_job(v_job);
            -- Its credit account is not held any longer than need be.
            exit when v_job.customer_id is not null;
        elsif kitloop.is_email_too_old(v_job) then
            perform kitloop.fail_job(v_job.id, coalesce(v_job.last_error, 'too late to be sent again'));
        elsif v_job.kind = 'refund_payment' and kitloop.is_in_dispute(v_job.payment_id) then
            update public.jobs j
            set status = 'queued', lease_until = null, run_after = clock_timestamp() + interval '15 minutes'
            where j.id = v_job.id;
        else
            return query select * from kitloop.start_job(v_job.id, p_worker, p_lease_seconds);
            return;
        end if;
    end loop;
    return next;
end
$$;

-- The operation: gives a job back after an error. p_is_final: no further attempt makes sense. p_new_generation: the
-- idempotency key at Stripe is spent. The pause grows: min(900 s, 10 s * 3^(attempt - 1)), of which a random half.
-- Refusals are counted; while Stripe is only away, cancelling and refunding go on for ever, since money depends on it.
-- An e-mail is given up after 23 h (is_email_too_old), a paid job when its attempts are used up.
-- Outcomes: retried, failed, fenced. Locks, in order: reservation, payment, job, credit account.
create function kitloop.retry_job(
    p_job_id uuid, p_fencing_token bigint, p_error text, p_is_final boolean, p_new_generation boolean, out outcome text
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_job public.jobs;
    v_is_counted boolean;
begin
    perform kitloop.lock_job_subject(p_job_id);
    select * into v_job from public.jobs j
    where j.id = p_job_id and j.fencing_token = p_fencing_token and j.status = 'running'
    for update;
    v_is_counted := p_new_generation or v_job.kind = 'capture_payment_intent' or v_job.customer_id is not null;
    if v_job.id is null then
        outcome := 'fenced';
    elsif p_is_final or (v_is_counted and v_job.attempts >= v_job.max_attempts) or kitloop.is_email_too_old(v_job) then
        perform kitloop.fail_job(p_job_id, p_error);
        outcome := 'failed';
    else
        update public.jobs j
        set status = 'queued', lease_until = null, last_error = p_error,
            generation = j.generation + p_new_generation::integer,
            -- While Stripe is only away nothing is used up; from the sixth attempt on the pause is the longest there is.
            attempts = case when v_is_counted then j.attempts else least(j.attempts, 6) end,
            run_after = clock_timestamp()
                + make_interval(secs => least(900, 10 * 3 ^ (j.attempts - 1)) * (0.5 + random() / 2))
        where j.id = p_job_id;
        outcome := 'retried';
    end if;
end
$$;

-- The operation: what Stripe answered becomes fact, and the job is done; if its reason still holds after that (Stripe told
-- of other refunds than the one wanted), it goes back, with a new key. The fact counts even when the job is no longer the
-- caller's: it happened. Outcomes: finished, retried, failed, fenced.
-- Locks, in order: reservation, gear rows by id, payment, refund, job.
create function kitloop.finish_job(
    p_job_id uuid, p_fencing_token bigint, p_fact jsonb,
    out outcome text, out decision text, out status text, out paid_at timestamptz
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_job public.jobs;
begin
    select a.decision into decision from kitloop.apply_fact(p_fact) a;
    select * into v_job from public.jobs j where j.id = p_job_id for update;
    if v_job.fencing_token <> p_fencing_token or v_job.status <> 'running' then
        outcome := 'fenced';
    elsif kitloop.job_still_holds(v_job) then
        outcome := kitloop.retry_job(p_job_id, p_fencing_token, 'not done at Stripe: ' || decision, false, true);
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

-- The operation: what became of an e-mail. p_delivery: sent, under Resend's p_message_id where that is known, or off.
-- Outcomes: finished, fenced. Locks: the job.
create function kitloop.finish_email(
    p_job_id uuid, p_fencing_token bigint, p_delivery text, p_message_id text, out outcome text
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_job public.jobs;
begin
    update public.jobs j
    set status = 'succeeded', lease_until = null, last_error = null, finished_at = clock_timestamp()
    where j.id = p_job_id and j.fencing_token = p_fencing_token and j.status = 'running'
    returning * into v_job;
    outcome := case when found then 'finished' else 'fenced' end;
    update public.notification_logs n
    set status = p_delivery, message_id = p_message_id,
        sent_at = case p_delivery when 'sent' then clock_timestamp() end
    where n.id = v_job.notification_id;
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
grant execute on function kitloop.finish_email(uuid, bigint, text, text) to kitloop_app;
grant execute on function kitloop.beat(text) to kitloop_app;
