-- Jobs that were given up: what an operator sees of them, and having one run again.

-- The operation: dead letters, newest first, those that wait for somebody (p_is_open) or those that were replayed, or
-- both (null). Null for a cursor that is no dead letter.
create function kitloop.ops_dead_letters(p_is_open boolean, p_cursor uuid, p_limit integer) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select kitloop.ops_page(array(
        select jsonb_build_object(
            'id', l.id, 'job_id', l.job_id, 'kind', l.kind, 'attempts', l.attempts,
            'last_error', kitloop.ops_masked(l.last_error), 'payment_id', j.payment_id, 'refund_id', j.refund_id,
            'notification_id', j.notification_id, 'customer_id', j.customer_id, 'job_status', j.status, 'created_at', j.created_at,
            'died_at', l.died_at, 'replayed_at', l.replayed_at, 'replayed_by', l.replayed_by
        )
        from public.job_dead_letters l
        join public.jobs j on j.id = l.job_id
        where (p_is_open is null or (l.replayed_at is null) = p_is_open)
            and (p_cursor is null or (l.died_at, l.id) < (
                select c.died_at, c.id from public.job_dead_letters c where c.id = p_cursor
            ))
        order by l.died_at desc, l.id desc
        limit p_limit + 1
    ), p_limit)
    where p_cursor is null or exists (select from public.job_dead_letters c where c.id = p_cursor)
$$;

-- Takes back what fail_job did, and queues the job, if what it is for is still wanted and not under way another way. Only
-- what Stripe itself never does twice gets a new idempotency key. A refund keeps its own, and one whose key Stripe may have
-- forgotten is looked up before it is made (is_key_old in claim_job), so that it is not made again. A paid job's credits are
-- held again. The caller holds reservation, payment, job and credit account.
create function kitloop.revive_job(p_job public.jobs) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_job public.jobs;
begin
    -- Resend has forgotten the key of an e-mail that old (is_email_too_old): it might tell somebody twice.
    if p_job.kind = 'send_email' and p_job.created_at < clock_timestamp() - interval '23 hours' then
        return false;
    end if;
    if exists (
        select from public.jobs j
        where j.kind = p_job.kind and j.payment_id = p_job.payment_id and p_job.refund_id is null
            and j.status in ('queued', 'running')
    ) then
        return false;
    end if;
    case p_job.kind
        when 'capture_payment_intent' then
            update public.payments p set status = 'capturing'
            from public.reservations r
            where p.id = p_job.payment_id and r.id = p.reservation_id
                and p.status = 'requires_capture' and not p.superseded and r.status = 'authorized';
        when 'refund_payment' then
            update public.refunds r set status = 'pending', updated_at = clock_timestamp()
            from public.payments p
            where r.id = p_job.refund_id and p.id = r.payment_id
                and r.status = 'canceled' and r.stripe_refund_id is null and r.amount_minor <= kitloop.owed_minor(p);
        when 'send_email' then
            update public.notification_logs n set status = 'queued', last_error = null
            where n.id = p_job.notification_id and n.status = 'failed';
        else
            null;
    end case;
    update public.jobs j
    set status = 'queued', attempts = 0, run_after = clock_timestamp(), finished_at = null,
        generation = j.generation + (j.kind in ('capture_payment_intent', 'cancel_payment_intent'))::integer,
        hold_number = j.hold_number + (j.customer_id is not null)::integer
    where j.id = p_job.id and j.status = 'failed' and kitloop.job_still_holds(j)
    returning * into v_job;
    if v_job.customer_id is not null then
        perform kitloop.enter_job_credits(v_job, 'hold');
    end if;
    return v_job.id is not null;
end
$$;

-- Whether a job could be paid for again; one that costs no credits always can. The caller holds the job.
-- Locks: the credit account.
create function kitloop.can_pay_again(p_job public.jobs) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_account public.credit_accounts;
begin
    if p_job.customer_id is null then
        return true;
    end if;
    v_account := kitloop.lock_credit_account(p_job.customer_id);
    return v_account.balance >= p_job.credits;
end
$$;

-- The operation: an operator has a job run again that was given up. A letter whose job is obsolete is done with as well:
-- what it asked a person for has happened another way, or must not happen any more. One whose customer has not the credits
-- stays open.
-- Outcomes: replayed; dead_letter_not_found, already_replayed, job_obsolete, insufficient_credits.
-- Locks, in order: reservation, payment, job, dead letter, credit account.
create function kitloop.replay_dead_letter(
    p_dead_letter_id uuid, p_operator text, out outcome text, out job_id uuid, out kind text
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_job public.jobs;
    v_letter public.job_dead_letters;
begin
    select l.job_id, l.kind into replay_dead_letter.job_id, replay_dead_letter.kind
    from public.job_dead_letters l
    where l.id = p_dead_letter_id;
    if not found then
        outcome := 'dead_letter_not_found';
        return;
    end if;
    perform kitloop.lock_job_subject(replay_dead_letter.job_id);
    select * into strict v_job from public.jobs j where j.id = replay_dead_letter.job_id for update;
    select * into strict v_letter from public.job_dead_letters l where l.id = p_dead_letter_id for update;
    if v_letter.replayed_at is not null then
        outcome := 'already_replayed';
    elsif not kitloop.can_pay_again(v_job) then
        outcome := 'insufficient_credits';
    else
        outcome := case when kitloop.revive_job(v_job) then 'replayed' else 'job_obsolete' end;
        update public.job_dead_letters l set replayed_at = clock_timestamp(), replayed_by = p_operator
        where l.id = p_dead_letter_id;
    end if;
    insert into public.audit_logs (actor, action, reservation_id, details)
    values (
        'operator:' || p_operator, 'dead_letter_replay',
        coalesce(
            (select p.reservation_id from public.payments p where p.id = v_job.payment_id),
            (select n.reservation_id from public.notification_logs n where n.id = v_job.notification_id)
        ),
        jsonb_build_object('dead_letter_id', p_dead_letter_id, 'job_id', v_job.id, 'outcome', outcome)
    );
end
$$;

grant execute on function kitloop.ops_dead_letters(boolean, uuid, integer) to kitloop_app;
grant execute on function kitloop.replay_dead_letter(uuid, text) to kitloop_app;
